"""The page that tries the API, in headless Chromium; and that what it says of curl does the same."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.e2e.scenarios import Facts, run_scenario

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def facts(web_url: str) -> Facts:
    """The facts of the scenario by name (playground.mjs)."""
    return run_scenario("playground.mjs", web_url)


def test_requests_are_answered_and_the_next_one_knows_the_conversation(facts: Facts) -> None:
    assert facts["opened"].startswith("200")
    assert facts["sent"].startswith("200")
    assert facts["prepared"] == ["conversationId", "clientMessageId", "text"]


def test_the_curl_that_it_shows_is_the_same_request(facts: Facts) -> None:
    command = ("bash", "-euo", "pipefail", "-c", facts["curl"])
    answer = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    # Under the same key: stored once.
    assert answer["message"]["seq"] == facts["seq"]
    assert answer["message"]["text"]["text"] == "Hello from the playground"


def test_a_slip_is_told_and_not_sent(facts: Facts) -> None:
    assert facts["problem"] == "SendMessage has no field txt."
    assert not facts["can_send"]
    assert facts["curl_of_a_slip"] == ""


def test_the_stream_goes_on_where_it_was_stopped(facts: Facts) -> None:
    assert facts["resumed"]


def test_it_fits_a_narrow_screen(facts: Facts) -> None:
    assert facts["overflow"] <= 0
