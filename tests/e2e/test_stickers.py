"""A sticker of an allowed provider, seen in two contexts of headless Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.scenarios import Facts, run_scenario

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def facts(web_url: str) -> Facts:
    """The facts of the scenario by name (stickers.mjs). The stack allows its host (tests/conftest.py)."""
    return run_scenario("stickers.mjs", web_url)


def test_the_provider_is_told_nothing_but_the_address(facts: Facts) -> None:
    assert facts["told"]
    assert all(headers == {} for headers in facts["told"])


def test_it_is_shown_in_bounds_and_told_in_words_in_the_list(facts: Facts) -> None:
    assert facts["shown"] == {"width": 240, "height": 135}
    assert facts["in_the_list"] >= 1


def test_one_of_the_page_is_found_sent_by_keys_and_loaded_from_the_page(facts: Facts) -> None:
    assert (facts["own_from"], facts["asked_of_the_provider"]) == ("/stickers/sleep.svg", 0)
    assert facts["own_in_focus"] == "Stickers"


def test_what_the_provider_has_lost_is_told_in_words(facts: Facts) -> None:
    assert facts["pictures"] == 0


def test_the_pages_ask_no_other_host_than_the_providers(facts: Facts) -> None:
    assert [fault for fault in facts["faults"] if "https://stickers.example/" not in fault] == []


def test_screenshots_are_kept(facts: Facts) -> None:
    assert "sticker-phone-dark" in {Path(path).stem for path in facts["screenshots"]}
