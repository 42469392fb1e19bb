"""A call between two browsers moves to another media worker, and nobody has to reconnect.

What is judged is counted: pictures that each screen shows from the move on. The gaps between them are only reported
(the test's output, build/e2e/handoff-facts.json): they are this machine's as much as ours, so that the gaps before the
move stand beside them.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.e2e.operations import locate_call, move_call
from tests.e2e.scenarios import Facts, run_scenario
from tests.support.stack import RunningStack

pytestmark = pytest.mark.chromium

MOVES = ("operator", "drain")
# As handoff.mjs waits for.
PICTURES = 25


@pytest.fixture(scope="module")
def facts(stack: RunningStack) -> Facts:
    """The facts of the scenario by name (handoff.mjs)."""

    def tell_to_move(name: str) -> None:
        if name == "operator":
            # On a slow machine a worker may have been silent for so long that its calls were moved before.
            assert move_call(stack.record) >= 1
        else:
            # As a rolling update does.
            stack.kill(locate_call(stack.record), signal.SIGTERM)

    return run_scenario("handoff.mjs", stack.record.web_url, *MOVES, cue=tell_to_move)


@pytest.mark.parametrize("name", MOVES)
def test_handoff_during_a_call_pictures_go_on_at_both_sides_without_a_word_of_reconnecting(
    facts: Facts, say: Callable[[str], None], name: str
) -> None:
    sides = facts[name]
    gaps, usual = ([side[which] for side in sides] for which in ("gapMs", "usualMs"))
    say(f"handoff by {name}: longest gap between pictures {gaps} ms, as long before the move {usual} ms")
    assert [side["shown"] >= PICTURES for side in sides] == [True, True]
    assert [side["reconnecting"] for side in sides] == [False, False]


def test_the_call_ends_in_order_and_the_pages_report_no_errors(facts: Facts) -> None:
    assert facts["hung_up"]
    assert facts["faults"] == []
