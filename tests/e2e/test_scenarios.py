"""A scenario that does not come to its end: what it saw until then is kept, and the failure names its step."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from tests.e2e.scenarios import Facts, follow

BEGINNING = """
import json, sys, time
def say(**line): print(json.dumps(line), flush=True)
say(step="talk")
say(done="talk", ms=5, facts={"hello": "seen"})
say(step="ring")
"""


def played(rest: str, *, cue: Callable[[str], None] = lambda text: None, silence_s: float = 60.0) -> Facts:
    """The facts of a script that begins well and goes on like this."""
    return follow([sys.executable, "-c", BEGINNING + rest], cue, silence_s)


def test_what_was_seen_before_a_step_failed_is_kept_and_the_rest_fails_with_that_step() -> None:
    facts = played("say(failure='step ring, 3 s after the start: nobody answered', faults=['console: oh'])")
    assert facts["hello"] == "seen"
    with pytest.raises(AssertionError, match=r"'answered' is not known: .* step ring, .* nobody answered") as failed:
        facts["answered"]
    assert "console: oh" in str(failed.value)
    assert "Steps done: talk 5 ms" in str(failed.value)


def test_errors_of_the_pages_are_only_known_at_the_end_so_that_no_scenario_stops_unnoticed() -> None:
    stopped = played("say(failure='step ring: no', faults=[])")
    with pytest.raises(AssertionError, match="'faults' is not known"):
        stopped["faults"]
    ended = played("say(end={'faults': [], 'screenshots': []})")
    assert ended["faults"] == []


def test_a_script_that_says_nothing_any_more_is_given_up_in_its_step() -> None:
    # The script that hangs is what is tested; it is ended long before.
    facts = played("say(moved='ten pictures')\ntime.sleep(600)", silence_s=2)
    assert facts["hello"] == "seen"
    with pytest.raises(AssertionError, match=r"step ring: it said nothing for 2 s; the last was .*ten pictures"):
        facts["answered"]


def test_a_script_that_goes_on_moving_is_not_given_up_however_long_it_takes() -> None:
    # Longer in all than the silence that is allowed: the pauses are those of the script under test.
    moving = "for number in range(12):\n    say(moved=str(number))\n    time.sleep(0.5)\nsay(end={'faults': []})"
    assert played(moving, silence_s=5)["faults"] == []


def test_a_script_that_dies_is_told_with_its_step() -> None:
    with pytest.raises(AssertionError, match="step ring: the script ended without a word"):
        played("sys.exit(1)")["answered"]


def test_the_script_waits_for_what_the_test_does_at_its_cue() -> None:
    done: list[str] = []
    rest = "say(cue='kill it')\nanswer = sys.stdin.readline()\nsay(end={'answer': answer.strip()})"
    assert played(rest, cue=done.append)["answer"] == "done"
    assert done == ["kill it"]
