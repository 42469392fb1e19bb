"""A picture that is viewed once and a voice message that is heard once, in two contexts of headless Chromium."""

from __future__ import annotations

import pytest

from tests.e2e.scenarios import Facts, run_scenario

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def facts(web_url: str) -> Facts:
    """The facts of the scenario by name (view_once.mjs)."""
    return run_scenario("view_once.mjs", web_url)


def test_beside_a_text_it_is_not_sent(facts: Facts) -> None:
    assert facts["refused_with_a_text"]


def test_it_is_words_until_it_is_opened_and_cannot_be_saved_or_opened_again(facts: Facts) -> None:
    assert (facts["pictures_before"], facts["save_buttons"], facts["openable_after"]) == (0, 0, 0)


def test_a_voice_message_that_is_recorded_is_heard_once(facts: Facts) -> None:
    assert facts["voices_openable_after"] == 0


def test_the_pages_report_no_errors_and_ask_no_other_host(facts: Facts) -> None:
    assert facts["faults"] == []
