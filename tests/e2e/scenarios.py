"""Runs the scripts of scenarios, which report step by step what they see in browsers (tests/e2e/play.mjs)."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.canary import CANARIES
from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parent.parent.parent
SCREENSHOTS = ROOT / "build" / "e2e"
# A script's own waits give up before, and say more. This is for one that says nothing at all any more.
SILENCE_S = 2 * PATIENCE_S
STOP_S = 20.0


class Facts(dict[str, Any]):
    """What a scenario saw, by name. What it saw until a step failed is kept; to ask for more fails with that step."""

    def __init__(self) -> None:
        super().__init__()
        self.steps_ms: dict[str, int] = {}
        self.failure = ""

    def __missing__(self, name: str) -> Any:
        reason = f"the scenario stopped at {self.failure}" if self.failure else "no step of the scenario saw it"
        done = ", ".join(f"{step} {ms} ms" for step, ms in self.steps_ms.items())
        raise AssertionError(f"{name!r} is not known: {reason}\nSteps done: {done or 'none'}. See build/e2e/failed-*.")


def find_chromium() -> str:
    """The browser's path. Without one the tests fail: `.ci/test` leaves them out on purpose where there is none."""
    chromium = os.environ.get("PARLEY_CHROMIUM") or shutil.which("chromium")
    assert chromium, "There is no Chromium here; `make e2e` installs Debian's when it may."
    return chromium


def run_scenario(name: str, web_url: str, *arguments: str, cue: Callable[[str], None] | None = None) -> Facts:
    """What a scenario saw; it is kept beside its screenshots too. Never fails: what is missing fails who asks for it.

    `cue` is called with the text of each of the script's cues, and does something to the stack.
    """
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    script = Path(__file__).with_name(name)
    CANARIES.note_script(script)
    for former in SCREENSHOTS.glob(f"failed-{script.stem}-*"):
        former.unlink()
    command = ["node", str(script), web_url, find_chromium(), str(SCREENSHOTS), *arguments]
    facts = follow(command, cue or (lambda text: None))
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


def follow(command: list[str], cue: Callable[[str], None], silence_s: float = SILENCE_S) -> Facts:
    """What a script reports, to its end or until it has said nothing for so long."""
    facts = Facts()
    with _running(command) as process:
        _take(process, facts, cue, silence_s)
    return facts


def _take(process: subprocess.Popen[str], facts: Facts, cue: Callable[[str], None], silence_s: float) -> None:
    step, began = "start", time.monotonic()
    last: dict[str, Any] = {}
    lines = _lines_of(process)
    while True:
        try:
            line = lines.get(timeout=silence_s)
        except queue.Empty:
            facts.failure = f"step {step}: it said nothing for {silence_s:g} s; the last was {last}"
            return
        if line is None:
            after_s = time.monotonic() - began
            facts.failure = f"step {step}: the script ended without a word after {after_s:.0f} s; the last was {last}"
            return
        match last := json.loads(line):
            case {"step": name}:
                step = name
            case {"done": name, "ms": ms, "facts": seen}:
                facts.steps_ms[name] = ms
                facts.update(seen)
            case {"cue": text}:
                _answer(process, cue, text)
            case {"end": seen}:
                facts.update(seen)
                return
            case {"failure": failure, "faults": faults}:
                facts.failure = f"{failure}\nFaults of the pages until then: {faults}"
                return


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
