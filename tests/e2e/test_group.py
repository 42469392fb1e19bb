"""A group of two, and what becomes of messages in it, seen in two contexts of headless Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.scenarios import Facts, run_scenario

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def facts(web_url: str) -> Facts:
    """The facts of the scenario by name (group.mjs)."""
    return run_scenario("group.mjs", web_url)


def test_a_group_appears_on_the_other_side_and_can_be_called(facts: Facts) -> None:
    assert facts["group_seen"]
    assert facts["call_buttons"] == 2


def test_a_reaction_is_seen_by_the_other_and_joined(facts: Facts) -> None:
    assert facts["reaction_seen"]


def test_links_open_without_telling_where_they_were(facts: Facts) -> None:
    assert facts["link"] == {"href": "https://example.org/map", "rel": "noopener noreferrer"}


def test_an_edit_by_keyboard_alone_is_seen_by_the_other(facts: Facts) -> None:
    assert facts["edit_seen"]


def test_an_answer_shows_what_it_answers_and_whom_it_mentions(facts: Facts) -> None:
    assert facts["reply_shown"] == "Answer to YouShall we meet at ten?"
    assert facts["mention"] == "@Alice Adler"


def test_an_unsent_message_leaves_a_line_and_nothing_of_itself(facts: Facts) -> None:
    assert facts["unsend_seen"]


def test_a_poll_is_voted_in_changed_and_taken_back_live(facts: Facts) -> None:
    assert facts["own_choice"]
    assert facts["voters"] == 1


def test_an_invite_link_lets_in_without_the_history_and_a_removed_person_is_told(facts: Facts) -> None:
    assert facts["joined_by_invite"]
    assert facts["history_before_joining"] == 0
    assert facts["removed_is_told"]


def test_a_reload_keeps_what_was_changed(facts: Facts) -> None:
    assert facts["reload_keeps_changes"]


def test_the_pages_report_no_errors_and_ask_no_other_host(facts: Facts) -> None:
    assert facts["faults"] == []


def test_screenshots_are_kept(facts: Facts) -> None:
    names = {Path(path).stem for path in facts["screenshots"]}
    assert {"group-wide-dark", "group-phone-dark", "group-panel-wide-light", "message-menu-phone-dark"} <= names
