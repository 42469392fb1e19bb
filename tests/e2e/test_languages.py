"""The page in Arabic, from right to left, and the change of language while it is used, in headless Chromium."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.scenarios import Facts, run_scenario

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def facts(web_url: str) -> Facts:
    """The facts of the scenario by name (languages.mjs)."""
    return run_scenario("languages.mjs", web_url)


def test_each_page_speaks_its_browsers_language_in_its_direction(facts: Facts) -> None:
    assert facts["pages"] == [["ar", "rtl"], ["en", "ltr"]]


def test_in_arabic_everything_stands_on_the_other_side(facts: Facts) -> None:
    assert facts["arabic_sides"] == {
        "list_left_of_thread": False,
        "send_left_of_field": True,
        "own_left_of_others": True,
        "back_is_turned": True,
    }
    assert facts["english_sides"] == {
        "list_left_of_thread": True,
        "send_left_of_field": False,
        "own_left_of_others": False,
        "back_is_turned": False,
    }


def test_a_message_reads_in_its_own_direction_on_either_page(facts: Facts) -> None:
    assert facts["text_directions"] == [["rtl", "ltr"], ["rtl", "ltr"]]


def test_no_word_of_english_is_left_on_the_arabic_page(facts: Facts) -> None:
    assert facts["latin_words"] == []
    assert facts["call_latin_words"] == []
    assert facts["phone"]["latin_words"] == []


def test_a_call_is_shown_in_arabic_with_its_controls_in_the_middle(facts: Facts) -> None:
    assert facts["controls_off_middle"] <= 1
    assert facts["own_camera_left"]
    assert re.fullmatch(r"مكالمة فيديو · \d+:\d{2}", facts["record"])


def test_another_language_comes_without_a_reload_and_stays_after_one(facts: Facts) -> None:
    assert facts["changed"] == {
        "spanish": ["es", "ltr"],
        "draft": "نصف فكرة",
        "same": True,
        "list_left_of_thread": True,
        "after_reload": ["es", "ltr"],
    }


def test_on_a_phone_nothing_is_wider_than_the_window(facts: Facts) -> None:
    assert facts["phone"]["wider_than_window"] <= 0
    assert facts["phone"]["back_on_the_right"]


def test_the_pages_report_no_errors_and_ask_no_other_host(facts: Facts) -> None:
    assert facts["faults"] == []


def test_screenshots_are_kept(facts: Facts) -> None:
    names = {Path(path).stem for path in facts["screenshots"]}
    assert {"languages-conversation-wide-light", "languages-call-wide-light", "languages-list-phone-dark"} <= names
