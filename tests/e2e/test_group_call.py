"""A group's call of three in headless Chromium: started, joined, led, moved, locked and ended by clicking."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.scenarios import Facts, run_scenario

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def facts(web_url: str) -> Facts:
    """The facts of the scenario by name (group-call.mjs)."""
    return run_scenario("group-call.mjs", web_url)


def test_a_running_call_is_joined_from_its_conversation_which_says_who_is_in_it(facts: Facts) -> None:
    assert facts["joined_later"]
    assert facts["list_shows_the_call"] == 1


def test_group_call_of_three_each_sees_and_hears_the_two_others(facts: Facts) -> None:
    assert len(facts["seen"]) == 3
    for side in facts["seen"]:
        assert len(side["frames"]) >= 2
        assert len(side["voices"]) >= 2


def test_a_raised_hand_and_a_muted_microphone_are_seen(facts: Facts) -> None:
    assert facts["hand_first"]
    assert facts["mute_seen"]


def test_who_is_asked_for_silence_is_muted_and_told_and_can_speak_again(facts: Facts) -> None:
    assert facts["asked_line"] == "An admin asked you to be quiet. You are muted."


def test_a_shared_screen_is_seen(facts: Facts) -> None:
    assert facts["screen_seen"]


def test_who_leaves_can_come_back(facts: Facts) -> None:
    assert facts["left_line"] == "You left the call"
    assert facts["rejoined"]


def test_the_call_moves_to_another_device_of_the_same_person(facts: Facts) -> None:
    assert facts["moved"]
    assert facts["tiles_after_move"] == 3


def test_a_locked_call_lets_nobody_in_and_who_was_removed_stays_out(facts: Facts) -> None:
    assert facts["locked_out"]
    assert facts["removed_line"] == "You were removed from this call."


def test_an_admin_ends_it_for_all_and_the_record_has_its_length(facts: Facts) -> None:
    assert re.match(r"Voice call · \d+:\d\d", facts["record"])


def test_the_pages_report_no_errors_and_ask_no_other_host(facts: Facts) -> None:
    assert facts["faults"] == []


def test_screenshots_are_kept(facts: Facts) -> None:
    names = {Path(path).stem for path in facts["screenshots"]}
    assert {
        "group-call-wide-light",
        "group-call-phone-dark",
        "call-people-wide-light",
        "shared-screen-wide-light",
    } <= names
