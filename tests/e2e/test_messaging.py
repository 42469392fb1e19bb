"""Requests, receipts, files, search, vanishing and keeping conversations, seen in contexts of headless Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.scenarios import Facts, run_scenario

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def facts(web_url: str) -> Facts:
    """The facts of the scenario by name (messaging.mjs)."""
    return run_scenario("messaging.mjs", web_url)


def test_a_message_is_sent_then_delivered_then_read(facts: Facts) -> None:
    assert facts["receipts"] == ["Sent", "Delivered", "Read"]


def test_a_picture_is_seen_by_the_other(facts: Facts) -> None:
    assert facts["picture_width"] == 1200


def test_where_a_picture_was_made_does_not_leave_the_device(facts: Facts) -> None:
    assert facts["picture_says_where"] == [True, False]


def test_a_file_is_fetched_by_the_other_under_its_name(facts: Facts) -> None:
    assert facts["downloaded"] == ["notes.txt", "milk, bread"]


def test_a_file_that_cannot_be_sent_says_why(facts: Facts) -> None:
    assert facts["refused_file"].startswith("Files of this type cannot be sent.")


def test_what_is_to_be_sent_later_is_seen_by_nobody_until_it_is_sent(facts: Facts) -> None:
    assert facts["scheduled_seen_before"] == 0
    assert facts["scheduled_in_field"] == ""


def test_search_marks_the_words_and_leads_to_the_message_in_its_history(facts: Facts) -> None:
    assert facts["search_marks"] == ["Are", "you", "there"]
    assert facts["jumped"]


def test_a_picture_of_long_ago_is_among_what_was_sent_and_leads_to_its_message(facts: Facts) -> None:
    assert facts["gallery_picture_width"] == 1200


def test_a_vanishing_message_disappears_by_the_devices_own_clock(facts: Facts) -> None:
    assert facts["vanished"]
    assert facts["others_clock"] == 1


def test_pinned_muted_unread_and_archived_on_one_device_are_so_on_the_other(facts: Facts) -> None:
    assert facts["kept_on_all_devices"]


def test_before_a_request_is_accepted_nothing_is_read_and_nobody_is_online(facts: Facts) -> None:
    assert facts["while_waiting"]["receipt"] == "Sent"
    assert "Online" not in facts["while_waiting"]["presence"]
    assert facts["accepted"]


def test_a_declined_request_is_in_no_list(facts: Facts) -> None:
    assert facts["declined"]


def test_a_block_holds_at_once_and_can_be_taken_back(facts: Facts) -> None:
    assert facts["blocked_line"].startswith("You cannot write to")
    assert facts["got_while_blocked"] == 0


def test_the_pages_report_no_errors_and_ask_no_other_host(facts: Facts) -> None:
    assert facts["faults"] == []


def test_screenshots_are_kept(facts: Facts) -> None:
    names = {Path(path).stem for path in facts["screenshots"]}
    assert {"search-wide-light", "request-phone-dark", "picture-phone-dark", "archived-wide-dark"} <= names
