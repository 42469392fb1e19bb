"""Firefox and Chromium in one conversation and in calls of each other, through the whole stack."""

from __future__ import annotations

import pytest

from tests.e2e.scenarios import Facts, run_scenario
from tests.support.needs import program

pytestmark = [pytest.mark.chromium, pytest.mark.firefox]


@pytest.fixture(scope="module")
def facts(web_url: str) -> Facts:
    """The facts of the scenario by name (two-engines.mjs)."""
    return run_scenario("two-engines.mjs", web_url, program("firefox"))


def test_they_write_to_each_other(facts: Facts) -> None:
    assert facts["written"]


@pytest.mark.parametrize("caller", ["chromium", "firefox"])
def test_they_see_and_hear_each_other_whoever_calls(facts: Facts, caller: str) -> None:
    seen = facts[f"{caller}_calls"]
    assert seen["firefox"]["frames"] > 10
    assert seen["firefox"]["energy"] > 0
    assert seen["chromium"]["frames"]
    assert seen["chromium"]["voices"]


def test_the_pages_report_no_errors(facts: Facts) -> None:
    assert facts["faults"] == []
