"""Runs the scripts of scenarios, which report step by step what they see in browsers (tests/e2e/play.mjs)."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.canary import CANARIES
from tests.support.needs import program
from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parent.parent.parent
SCREENSHOTS = ROOT / "build" / "e2e"
# A script's own waits give up before, and say more. This is for one that says nothing at all any more.
SILENCE_S = 2 * PATIENCE_S
STOP_S = 20.0


class Facts(dict[str, Any]):
    """What a scenario saw, by name. What it saw until a step failed is kept; to ask for more fails with that step."""

    def __init__(self, scenario: str) -> None:
        super().__init__()
        self.scenario = scenario
        self.steps_ms: dict[str, int] = {}
        # Of the step at which it stopped; the first line says all.
        self.failure = ""

    def __missing__(self, name: str) -> Any:
        reason = self.failure or f"scenario {self.scenario}: it came to its end"
        done = ", ".join(f"{step} ({ms} ms)" for step, ms in self.steps_ms.items())
        raise AssertionError(
            f"{reason}\nSo no step saw {name!r}. Steps done: {done or 'none'}. "
            f"What the pages showed: build/e2e/failed-{self.scenario}-*."
        )


def run_scenario(name: str, web_url: str, *arguments: str, cue: Callable[[str], None] | None = None) -> Facts:
    """What a scenario saw; it is kept beside its screenshots too. Never fails: what is missing fails who asks for it.

    `cue` is called with the text of each of the script's cues, and does something to the stack.
    """
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    script = Path(__file__).with_name(name)
    CANARIES.note_script(script)
    for former in SCREENSHOTS.glob(f"failed-{script.stem}-*"):
        former.unlink()
    command = ["node", str(script), web_url, program("chromium"), str(SCREENSHOTS), *arguments]
    facts = follow(script.stem, command, cue or (lambda text: None))
    kept = {"facts": facts, "steps_ms": facts.steps_ms, "failure": facts.failure}
    (SCREENSHOTS / f"{script.stem}-facts.json").write_text(json.dumps(kept, indent=2))
    return facts


@contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        # Playwright closes its browsers on this signal. One that has ended does not mind.
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def follow(scenario: str, command: list[str], cue: Callable[[str], None], silence_s: float = SILENCE_S) -> Facts:
    """What a script reports, to its end or until it has said nothing for so long."""
    facts = Facts(scenario)
    with _running(command) as process:
        _take(process, facts, cue, silence_s)
    return facts


@dataclass
class _Place:
    """How far a scenario has come."""

    scenario: str
    began: float
    step: str = "the script starts"
    waits_for: str = "its first word"
    last: str = "nothing"

    def note(self, line: dict[str, Any]) -> None:
        """Takes what tells where the scenario is."""
        match line:
            case {"step": sentence}:
                self.step, self.waits_for, self.last = sentence, "the step's end", "nothing"
            case {"waits": what}:
                self.waits_for = what
            case {"moved": what}:
                self.last = what

    def failure(self, silence: str) -> str:
        """Of a script that does not tell its own."""
        after_s = round(time.monotonic() - self.began)
        seen = f"{self.last}, and then the script {silence}"
        failed = {"step": self.step, "after_s": after_s, "waited_for": self.waits_for, "seen": seen}
        return _told(self.scenario, failed)


def _told(scenario: str, failed: dict[str, Any]) -> str:
    """The failure's one line: scenario, step, what was waited for and what was last seen, or another error."""
    happened = failed.get("error") or f"waited for {failed['waited_for']}; last seen: {failed['seen']}"
    return f'scenario {scenario}, step "{failed["step"]}", {failed["after_s"]} s after the start: {happened}'


def _take(process: subprocess.Popen[str], facts: Facts, cue: Callable[[str], None], silence_s: float) -> None:
    place = _Place(facts.scenario, time.monotonic())
    lines = _lines_of(process)
    while True:
        try:
            line = lines.get(timeout=silence_s)
        except queue.Empty:
            facts.failure = place.failure(f"said nothing for {silence_s:g} s")
            return
        if line is None:
            facts.failure = place.failure(f"ended with status {process.wait(STOP_S)}")
            return
        match report := json.loads(line):
            case {"done": sentence, "ms": ms, "facts": seen}:
                facts.steps_ms[sentence] = ms
                facts.update(seen)
            case {"cue": text}:
                _answer(process, cue, text)
            case {"end": seen}:
                facts.update(seen)
                return
            case {"failure": failed, "faults": faults}:
                facts.failure = f"{_told(facts.scenario, failed)}\nFaults of the pages until then: {faults}"
                return
            case _:
                place.note(report)


def _answer(process: subprocess.Popen[str], cue: Callable[[str], None], text: str) -> None:
    cue(text)
    assert process.stdin
    process.stdin.write("done\n")
    process.stdin.flush()


def _lines_of(process: subprocess.Popen[str]) -> queue.Queue[str | None]:
    """The lines of its output as they come; None is the end."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        assert process.stdout
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines
