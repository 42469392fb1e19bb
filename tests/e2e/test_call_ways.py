"""The ways that a call of two can go, with several devices of each, in headless Chromium."""

from __future__ import annotations

import pytest

from tests.e2e.scenarios import Facts, run_scenario

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def facts(web_url: str) -> Facts:
    """The facts of the scenario by name (call-ways.mjs)."""
    return run_scenario("call-ways.mjs", web_url)


def test_a_missed_call_leaves_a_record_in_both_conversations(facts: Facts) -> None:
    assert facts["missed_line"].endswith("did not answer")
    by_caller, by_callee = facts["missed_records"]
    assert by_caller.startswith("Video call · no answer")
    assert by_callee.startswith("Missed video call")


def test_answered_elsewhere_stops_the_ringing_of_the_other_device_which_says_so(facts: Facts) -> None:
    assert facts["elsewhere_line"] == "Answered on another device"


def test_a_decline_on_one_device_ends_it_on_all(facts: Facts) -> None:
    assert facts["declined_line"].endswith("declined the call")


def test_a_caller_who_gives_up_stops_the_ringing_on_all_devices(facts: Facts) -> None:
    by_caller, by_callee = facts["cancelled_records"]
    assert by_caller.startswith("Voice call · cancelled")
    assert by_callee.startswith("Missed voice call")


def test_a_blocked_caller_learns_no_more_than_one_whom_nobody_may_call(facts: Facts) -> None:
    blocked, nobody = facts["blocked_line"], facts["nobody_line"]
    assert blocked["line"] == nobody["line"] == "This call cannot be placed right now."
    assert blocked["records"] == nobody["records"] == 0
    assert facts["rang_although_refused"] == [0, 0]


def test_two_who_call_each_other_at_once_are_in_one_call(facts: Facts) -> None:
    assert facts["glare_became_one_call"]
    assert all(record.startswith("Video call · ") for record in facts["glare_records"])


def test_a_call_during_another_one_waits_for_who_wants_that_and_disturbs_nothing_when_declined(facts: Facts) -> None:
    assert facts["waiting_line"] == "hal is calling"


def test_a_page_that_crashed_in_a_call_comes_back_to_it(facts: Facts) -> None:
    assert facts["came_back"]


def test_the_pages_report_no_errors_and_ask_no_other_host(facts: Facts) -> None:
    assert facts["faults"] == []
