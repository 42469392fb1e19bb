"""All tests: python -m tests.run. Parts run side by side where they leave each other room; the end is a table.

What a part prints goes to build/tests/<part>.log; progress is a line now and then; of a part that failed the end of its
log is shown. Exit status 1 when a test failed, when a part ended without a report (a crash), or, with CI=true, when
something was left out.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "tests"
PROGRESS_S = 20.0
POLL_S = 0.2
# Of a part that failed.
SHOWN_LINES = 150
LONGEST = 15

SHARED = (
    "tests/integration/api",
    *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "tests/integration").glob("test_*.py"))),
)
# Integration tests of single services that go in one lane; the others go in another.
CALLS = ("signaling", "presence", "runtime")
# Of tests/faults a third of the time each; what is not named is the last third.
FAULTS_OF_CALLS = ("call", "drain")
FAULTS_OF_RESTARTS = ("restarts", "handoff", "pod")


@dataclass(frozen=True)
class Part:
    """Tests that one process runs. `command` gets the path of its JUnit report appended."""

    name: str
    command: tuple[str, ...]
    cwd: Path = ROOT

    @property
    def report(self) -> Path:
        """Where its JUnit report goes."""
        return FOLDER / f"{self.name}.xml"

    @property
    def log(self) -> Path:
        """Where what it prints goes."""
        return FOLDER / f"{self.name}.log"


@dataclass(frozen=True)
class Outcome:
    """How a part ended: `longest` has (seconds, test)."""

    name: str
    status: int
    seconds: float
    counts: Counter[str] = field(default_factory=Counter)
    longest: tuple[tuple[float, str], ...] = ()

    @property
    def failed(self) -> int:
        """Failed tests; at least 1 when the process itself failed."""
        return max(self.counts["failed"], int(self.status != 0))


def pytest_part(name: str, *arguments: str) -> Part:
    """A part that is a process of pytest."""
    return Part(name, (sys.executable, "-m", "pytest", *arguments, "--junitxml"))


def browser_tests(env: Mapping[str, str]) -> Sequence[str]:
    """The arguments for those browsers that there are."""
    if "PARLEY_CHROMIUM" not in env:
        return ()
    return ("tests/e2e",) if "PARLEY_FIREFOX" in env else ("tests/e2e", "--ignore", "tests/e2e/test_two_engines.py")


def stages(media_path: str, *, browsers: Sequence[str]) -> list[list[list[Part]]]:
    """What runs when: stages one after the other, in each its lanes side by side, in each lane its parts in turn."""
    web = Part("web-units", ("npm", "run", "test", "--", "--reporter=junit", "--outputFile"), ROOT)
    shared = pytest_part("shared-stack", *SHARED, *browsers)
    calls = pytest_part("calls", *(f"tests/integration/{name}" for name in CALLS))
    services = pytest_part(
        "single-services",
        *("tests/integration", "--ignore-glob", "tests/integration/test_*.py"),
        *(word for name in ("api", "sfu", *CALLS) for word in ("--ignore", f"tests/integration/{name}")),
    )
    # The media path as it ships: compiled. Its unit tests run on the sources as well, but for the matrix of peers.
    media = pytest_part("media", "-o", f"pythonpath={media_path}", "tests/unit/sfu", "tests/integration/sfu")
    matrix = ("--ignore", "tests/unit/sfu/test_foreign.py")
    return [
        [[pytest_part("units", "-n", "2", "--dist", "loadfile", "tests/unit", *matrix), web]],
        # Three lanes on two cores: each of them waits a good part of its time.
        [[shared], [calls, media], [services]],
        # When the browsers are done: what kills services all the time leaves them no room. Most of it waits, for leases
        # and for rings that end.
        [
            [pytest_part("faults-calls", *(f"tests/faults/test_{name}.py" for name in FAULTS_OF_CALLS))],
            [pytest_part("faults-restarts", *(f"tests/faults/test_{name}.py" for name in FAULTS_OF_RESTARTS))],
            [
                pytest_part(
                    "faults",
                    "tests/faults",
                    *(f"--ignore-glob=*/test_{name}.py" for name in (*FAULTS_OF_CALLS, *FAULTS_OF_RESTARTS)),
                )
            ],
        ],
    ]


class Lane:
    """Parts that run one after the other."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._waiting = list(parts)
        self._process: subprocess.Popen[bytes] | None = None
        self._part: Part | None = None
        self._began = 0.0
        self.outcomes: list[Outcome] = []

    def step(self) -> bool:
        """Go on where something has ended; whether anything is still to be done."""
        if self._process is not None:
            status = self._process.poll()
            if status is None:
                return True
            assert self._part
            self.outcomes.append(read_outcome(self._part, status, time.monotonic() - self._began))
            say(_one_line(self.outcomes[-1]))
            self._process = None
        if not self._waiting:
            self._part = None
            return False
        self._start(self._waiting.pop(0))
        return True

    def _start(self, part: Part) -> None:
        part.report.unlink(missing_ok=True)
        self._part, self._began = part, time.monotonic()
        last = f"{part.command[-1]}={part.report}"
        with part.log.open("wb") as log:
            self._process = subprocess.Popen(
                (*part.command[:-1], last), cwd=part.cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def progress(self) -> str:
        """What it is at, and how far; empty when it is at nothing."""
        if self._part is None:
            return ""
        found = re.findall(rb"\[ *(\d+)%\]", self._part.log.read_bytes())
        return f"{self._part.name} {found[-1].decode() if found else '0'} %"


def read_outcome(part: Part, status: int, seconds: float) -> Outcome:
    """What the part's report says. Without a report the process itself failed, and nothing is known of its tests."""
    try:
        cases = list(ElementTree.parse(part.report).getroot().iter("testcase"))
    except (FileNotFoundError, ElementTree.ParseError):
        return Outcome(part.name, status or 1, seconds)
    counts = Counter(map(_verdict, cases))
    times = sorted((float(case.get("time", 0)), f"{case.get('classname')}: {case.get('name')}") for case in cases)
    return Outcome(part.name, status, seconds, counts, tuple(reversed(times[-LONGEST:])))


def _verdict(case: ElementTree.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "passed" if case.find("skipped") is None else "skipped"


def table(outcomes: Iterable[Outcome], left_out: Sequence[str]) -> str:
    """How it ended, for reading; the last line is the sum."""
    rows = list(outcomes)
    lines = [f"{'part':<18}{'passed':>8}{'failed':>8}{'skipped':>9}{'time':>8}"]
    lines += [
        f"{row.name:<18}{row.counts['passed']:>8}{row.failed:>8}{row.counts['skipped']:>9}{row.seconds:>6.0f} s"
        + (f"   ended with status {row.status} and no report" if row.status and not row.counts else "")
        for row in rows
    ]
    longest = sorted((each for row in rows for each in row.longest), reverse=True)[:LONGEST]
    lines += ["", "longest:", *(f"{seconds:>7.1f} s  {name}" for seconds, name in longest), ""]
    lines += [f"LEFT OUT, because there is {reason}" for reason in left_out]
    passed, skipped = (sum(row.counts[name] for row in rows) for name in ("passed", "skipped"))
    lines.append(f"total: {passed} passed, {sum(row.failed for row in rows)} failed, {skipped} skipped")
    return "\n".join(lines)


def say(text: str) -> None:
    """A line for whoever watches."""
    print(text, flush=True)  # noqa: T201


def _one_line(outcome: Outcome) -> str:
    counts = outcome.counts
    return f"{outcome.name}: {counts['passed']} passed, {outcome.failed} failed in {outcome.seconds:.0f} s"


def _show_failure(part: Part) -> None:
    lines = part.log.read_text(errors="replace").splitlines()
    say(f"\n==== {part.name}: {shlex.join(part.command[:-1])}\n" + "\n".join(lines[-SHOWN_LINES:]))


def _run_stage(lanes: Sequence[Lane], began: float) -> None:
    said_at = time.monotonic()
    # A lane that has ended is asked once more each time: all of them must go on.
    while sum(lane.step() for lane in lanes):
        # Lanes are other processes, several at once: nothing here could wait for whichever ends first and still report.
        time.sleep(POLL_S)
        if time.monotonic() - said_at > PROGRESS_S:
            said_at = time.monotonic()
            say(f"{said_at - began:>5.0f} s  " + ", ".join(filter(None, (lane.progress() for lane in lanes))))


def main() -> int:
    """Gives the exit status. What is left out, and why, comes as arguments, a line each."""
    left_out = sys.argv[1:]
    FOLDER.mkdir(parents=True, exist_ok=True)
    compiled = (ROOT / "build" / "native" / "compiled").exists()
    plan = stages("build/native" if compiled else ".", browsers=browser_tests(os.environ))
    outcomes: list[Outcome] = []
    began = time.monotonic()
    for stage in plan:
        lanes = [Lane(parts) for parts in stage]
        _run_stage(lanes, began)
        outcomes += [outcome for lane in lanes for outcome in lane.outcomes]
    failed = {outcome.name for outcome in outcomes if outcome.failed}
    for part in (part for stage in plan for lane in stage for part in lane):
        if part.name in failed:
            _show_failure(part)
    say("\n" + table(outcomes, left_out))
    return int(bool(failed) or (bool(left_out) and os.environ.get("CI") == "true"))


if __name__ == "__main__":
    sys.exit(main())
