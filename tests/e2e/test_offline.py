"""What a browser keeps over a reload without a network: contexts of headless Chromium with its own IndexedDB."""

from __future__ import annotations

import pytest

from tests.e2e.scenarios import Facts, run_scenario

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def facts(web_url: str) -> Facts:
    """The facts of the scenario by name (offline.mjs)."""
    return run_scenario("offline.mjs", web_url)


def test_a_page_that_is_reloaded_without_a_network_shows_the_last_messages(facts: Facts) -> None:
    assert facts["shown_without_network"] == [1, 1]


def test_what_was_written_without_a_network_survives_a_reload(facts: Facts) -> None:
    assert facts["waits_after_reload"] == [1, 1]
    assert facts["anna_has"] == [0, 0]


def test_it_goes_out_once_and_in_order_when_the_network_is_back(facts: Facts) -> None:
    assert facts["sent"] == [[1, 1], [1, 1]]
    assert facts["in_order"]


def test_a_logout_leaves_nothing_behind(facts: Facts) -> None:
    assert facts["databases_after_logout"] == []


def test_the_pages_report_no_errors_and_ask_no_other_host(facts: Facts) -> None:
    assert facts["faults"] == []
