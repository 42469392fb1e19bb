"""What a user gets, seen in two contexts of headless Chromium."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.scenarios import Facts

pytestmark = pytest.mark.chromium


def test_two_people_log_in_and_see_each_other_online(facts: Facts) -> None:
    assert facts["logged_in"]
    assert facts["see_each_other_online"]


def test_messages_arrive_live_and_once_on_each_side(facts: Facts) -> None:
    assert facts["copies_of_each_message"] == [1, 1, 1, 1]


def test_typing_and_read_are_seen(facts: Facts) -> None:
    assert facts["typing_seen"]
    assert facts["read_seen"]


def test_a_video_call_rings_on_the_other_side(facts: Facts) -> None:
    assert facts["rang"]


@pytest.mark.parametrize("person", ["alice", "bob"])
def test_frames_are_decoded_and_sound_is_heard_on_both_sides(facts: Facts, person: str) -> None:
    first, later = facts["media"][person]["first"], facts["media"][person]["later"]
    assert later["framesDecoded"] >= first["framesDecoded"] + 10
    # The lowest layer of the camera's pictures (camera.mjs).
    assert later["frameWidth"] == 80
    assert later["audioEnergy"] > 0


def test_mute_is_seen_and_silences(facts: Facts) -> None:
    assert facts["mute_seen"]
    # Silence that Opus coded is not quite zero; a second of the test tone brings about 0.3.
    assert facts["energy_while_muted"] < 0.001


def test_the_camera_goes_off_and_comes_back(facts: Facts) -> None:
    assert facts["camera_off_seen"]
    assert facts["camera_seen_again"]


def test_hanging_up_leaves_a_record_with_the_length_on_both_sides(facts: Facts) -> None:
    assert len(facts["call_records"]) == 2
    assert all(re.match(r"Video call · \d+:\d\d", record) for record in facts["call_records"])
    assert facts["call_records"][0] == facts["call_records"][1]


def test_hanging_up_closes_the_connections(facts: Facts) -> None:
    assert facts["connections_after"] == [0, 0]


def test_a_reload_keeps_the_messages(facts: Facts) -> None:
    assert facts["reload_keeps_messages"]


def test_what_is_written_offline_is_sent_when_the_network_is_back(facts: Facts) -> None:
    assert facts["offline_line"] == "You are offline. Waiting for the network…"
    assert facts["offline_message_arrived"]


def test_with_camera_and_microphone_refused_the_call_goes_on_and_says_so(facts: Facts) -> None:
    assert "Your camera and microphone are blocked" in facts["refused_line"]
    assert facts["refused_sees_frames"] > 0


def test_a_tab_that_closes_hangs_up(facts: Facts) -> None:
    assert facts["closed_tab_hangs_up"]


def test_the_pages_report_no_errors_and_ask_no_other_host(facts: Facts) -> None:
    assert facts["faults"] == []


def test_screenshots_are_kept(facts: Facts) -> None:
    names = {Path(path).stem for path in facts["screenshots"]}
    assert {"conversation-wide-dark", "call-wide-light", "call-phone-dark", "conversation-phone-light"} <= names
    assert all(Path(path).stat().st_size > 0 for path in facts["screenshots"])
