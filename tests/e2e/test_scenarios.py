"""A scenario that stops: what it saw until then is kept, and the failure names its step. Without a browser."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.scenarios import Facts, follow
from tests.support.waiting import PATIENCE_S

BEGINNING = """
import json, sys, time
def say(**line): print(json.dumps(line), flush=True)
say(step="talk")
say(done="talk", ms=5, facts={"hello": "seen"})
say(step="ring")
"""


def played(rest: str, *, cue: Callable[[str], None] = lambda text: None, silence_s: float = 60.0) -> Facts:
    """The facts of a script that begins well and goes on like this."""
    return follow("ways", [sys.executable, "-c", BEGINNING + rest], cue, silence_s)


def first_line(facts: Facts, asked: str = "answered") -> str:
    """What the failure of a test begins with that asks for what was not seen."""
    with pytest.raises(AssertionError) as failed:
        facts[asked]
    return str(failed.value).splitlines()[0]


def test_the_first_line_of_a_failure_has_scenario_step_what_was_waited_for_and_what_was_last_seen() -> None:
    told = {"step": "Bob is called", "after_s": 3, "waited_for": "the call rings", "seen": "Calling…"}
    assert first_line(played(f"say(failure={told}, faults=[])")) == (
        'scenario ways, step "Bob is called", 3 s after the start: waited for the call rings; last seen: Calling…'
    )


def test_an_error_that_is_no_wait_stands_in_the_first_line_with_its_step() -> None:
    told = {"step": "Bob is called", "after_s": 3, "error": "no picture in the clipboard"}
    assert first_line(played(f"say(failure={told}, faults=[])")).endswith(
        'step "Bob is called", 3 s after the start: no picture in the clipboard'
    )


def test_what_was_seen_before_a_step_failed_is_kept_and_the_rest_fails_with_that_step() -> None:
    facts = played("say(failure=dict(step='ring', after_s=3, error='nobody answered'), faults=['console: oh'])")
    assert facts["hello"] == "seen"
    with pytest.raises(
        AssertionError, match=r'step "ring", .* nobody answered\n(.*\n)?So no step saw .answered.'
    ) as failed:
        facts["answered"]
    assert "console: oh" in str(failed.value)
    assert "Steps done: talk (5 ms)" in str(failed.value)


def test_errors_of_the_pages_are_only_known_at_the_end_so_that_no_scenario_stops_unnoticed() -> None:
    stopped = played("say(failure=dict(step='ring', after_s=3, error='no'), faults=[])")
    with pytest.raises(AssertionError, match="no step saw 'faults'"):
        stopped["faults"]
    ended = played("say(end={'faults': [], 'screenshots': []})")
    assert ended["faults"] == []


def test_a_script_that_says_nothing_any_more_is_given_up_with_its_step_and_its_wait() -> None:
    # The script that hangs is what is tested; it is ended long before.
    facts = played("say(waits='a picture')\nsay(moved='ten packets')\ntime.sleep(600)", silence_s=2)
    assert facts["hello"] == "seen"
    line = first_line(facts)
    assert line.startswith('scenario ways, step "ring", ')
    assert line.endswith("waited for a picture; last seen: ten packets, and then the script said nothing for 2 s")


def test_a_script_that_goes_on_moving_is_not_given_up_however_long_it_takes() -> None:
    # Longer in all than the silence that is allowed: the pauses are those of the script under test.
    moving = "for number in range(12):\n    say(moved=str(number))\n    time.sleep(0.5)\nsay(end={'faults': []})"
    assert played(moving, silence_s=5)["faults"] == []


def test_a_script_that_dies_is_told_with_its_step() -> None:
    line = first_line(played("sys.exit(7)"))
    assert 'step "ring"' in line
    assert line.endswith("the script ended with status 7")


def test_the_script_waits_for_what_the_test_does_at_its_cue() -> None:
    done: list[str] = []
    rest = "say(cue='kill it')\nanswer = sys.stdin.readline()\nsay(end={'answer': answer.strip()})"
    assert played(rest, cue=done.append)["answer"] == "done"
    assert done == ["kill it"]


def in_node(*lines: str) -> Any:
    """What lines of JavaScript report last, which have telling.mjs and waiting.mjs."""
    folder = Path(__file__).parent.as_uri()
    imports = [f'import {{ {names} }} from "{folder}/{file}.mjs";' for names, file in JAVASCRIPT]
    command = ["node", "--input-type=module", "--eval", "\n".join((*imports, *lines))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    return json.loads(done.stdout.splitlines()[-1])


JAVASCRIPT = (("tell", "telling"), ("eventually, say", "waiting"))
# As Playwright words them.
NOT_THERE = """locator.click: Timeout 90000ms exceeded.
Call log:
\x1b[2m  - waiting for getByRole('button', { name: 'Accept' })\x1b[22m
"""
NOT_ENABLED = """locator.click: Timeout 90000ms exceeded.
Call log:
  - waiting for getByRole('button', { name: 'Send' })
    - locator resolved to <button disabled type="button">Send</button>
  - attempting click action
    2 × waiting for element to be visible, enabled and stable
      - element is not enabled
    - retrying click action
"""
NO_PAGE = """page.goto: Timeout 90000ms exceeded.
Call log:
  - navigating to "http://127.0.0.1:1/", waiting until "load"
"""


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            NOT_THERE,
            {
                "waited_for": "getByRole('button', { name: 'Accept' }) (click)",
                "seen": 'nothing of it; the pages say: "Ringing…"',
            },
        ),
        (
            NOT_ENABLED,
            {
                "waited_for": "getByRole('button', { name: 'Send' }) (click)",
                "seen": '<button disabled type="button">Send</button>, element is not enabled',
            },
        ),
        (
            NO_PAGE,
            {
                "waited_for": 'navigating to "http://127.0.0.1:1/", waiting until "load" (goto)',
                "seen": 'nothing of it; the pages say: "Ringing…"',
            },
        ),
        ("page.evaluate: no call runs\n    at page", {"error": "page.evaluate: no call runs / at page"}),
    ],
    ids=["not there", "not enabled", "no page", "no wait"],
)
def test_an_error_of_playwright_tells_what_it_looked_for_and_what_was_there(message: str, told: object) -> None:
    said = json.dumps('"Ringing…"')
    assert in_node(f"say(tell(new Error({json.dumps(message)}), {said}));") == told


def test_a_wait_whose_look_fails_tells_what_it_was_for_and_what_it_had_seen_before() -> None:
    told = in_node(
        "let looks = 0;",
        f"const read = async () => {{ if (looks++ > 1) throw new Error({json.dumps(NOT_THERE)}); return looks; }};",
        'await eventually("the clock runs", read, (seen) => seen > 9).catch((error) => say(tell(error)));',
    )
    assert told["waited_for"] == "the clock runs"
    assert told["seen"].startswith("2, and then a look failed: waited for getByRole('button', { name: 'Accept' })")


def test_a_wait_says_what_it_is_for_as_soon_as_it_has_to_wait() -> None:
    folder = "let looks = 0; const read = async () => looks++;"
    assert in_node(folder, 'await eventually("two looks", read, (seen) => seen > 1);') == {"waits": "two looks"}
