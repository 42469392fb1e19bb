"""Many runs of the checker, one after the other, until they have had so many faults and messages together.

`python -m tests.faults.checker.soak --faults 200 --messages 100000`. Each round is a run of its own, with a stack of
its own and another seed. What each has shown is a line in build/reports/soak/NAME.jsonl, and all of them as a table
NAME.md beside it; the same command goes on from there. `--table` writes the table alone.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from deploy.embedded.record import ROOT
from tests.faults.checker.evidence import Goal, Round, progress, table
from tests.faults.checker.judging import say

FOLDER = ROOT / "build" / "reports" / "soak"
# A run of this length has some 25 faults. Raising it spends less on stacks that start, and looks at longer histories;
# lowering it loses less with a round that is broken off.
ROUND_S = 300.0
# Raising it makes more people write at once, until the machine is full.
TOWNS = 4
# Of a run that found something, as of one that did not.
_JUDGED = (0, 1)


class RunBroken(Exception):
    """A run ended without a verdict."""


def read(evidence: Path) -> list[Round]:
    """The rounds so far. A line that was not written to its end, by whoever was killed, is none."""
    if not evidence.exists():
        return []
    return [Round.of_line(line) for line in evidence.read_text().splitlines(keepends=True) if line.endswith("\n")]


def keep(evidence: Path, rounds: Sequence[Round]) -> None:
    """Write all of them, and the table."""
    evidence.parent.mkdir(parents=True, exist_ok=True)
    unfinished = evidence.with_suffix(".unfinished")
    unfinished.write_text("".join(f"{one.to_line()}\n" for one in rounds))
    unfinished.replace(evidence)
    evidence.with_suffix(".md").write_text(table(rounds))


def run_round(seed: str, seconds: float, towns: int, more: Sequence[str], log: Path) -> Round:
    """One run, whose output stays in `log`. Raises RunBroken."""
    command = [sys.executable, "-m", "tests.faults.checker.run", "--seed", seed, "--seconds", str(seconds)]
    began_s = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*command, "--towns", str(towns), *more], cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            output, _ = process.communicate()
        except BaseException:
            # It clears up behind itself.
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
        errors.write(output)
    # A run that fails by itself ends with 1, too, and reports nothing.
    if process.returncode not in _JUDGED or not output.startswith("{"):
        raise RunBroken(f"a run ended with {process.returncode}; see {log}")
    return Round.of_report(
        json.loads(output.splitlines()[0]),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=_commit(),
        towns=towns,
        seconds=round(time.monotonic() - began_s, 1),
        load=round(os.getloadavg()[0], 1),
    )


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def soak(evidence: Path, goal: Goal, arguments: argparse.Namespace) -> list[Round]:
    """Rounds until the goal is reached, each kept as soon as it is there. Raises RunBroken."""
    rounds = read(evidence)
    if rounds:
        say(f"goes on: {progress(rounds, goal)}")
    while not goal.is_reached(rounds):
        # After one that was broken off, the same again.
        seed = f"{rounds[0].seed.rpartition('-')[0] if rounds else arguments.seed}-{len(rounds) + 1}"
        log = evidence.parent / f"{evidence.stem}-{len(rounds) + 1}.log"
        rounds.append(run_round(seed, arguments.round_s, arguments.towns, arguments.more, log))
        keep(evidence, rounds)
        say(progress(rounds, goal))
    return rounds


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Exit status 1 when a promise was broken, 2 when a run had no verdict, 130 when it was told to stop."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.checker.soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--faults", type=int, default=200, help="to have in all (default 200)")
    parser.add_argument("--messages", type=int, default=100_000, help="acknowledged, in all (default 100000)")
    parser.add_argument("--round-s", type=float, default=ROUND_S, help="how long people live in each (default 300)")
    parser.add_argument("--towns", type=int, default=TOWNS, help="beside each other, of eleven people (default 4)")
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(10**9)), help="of a soak that begins")
    parser.add_argument("--name", default="soak", help="of the evidence; another one begins anew")
    parser.add_argument("--table", action="store_true", help="write the table of what there is, and run nothing")
    parser.add_argument("more", nargs="*", metavar="-- …", help="for each run, such as -- --faults kill,pause")
    arguments = parser.parse_args()
    evidence, goal = FOLDER / f"{arguments.name}.jsonl", Goal(arguments.faults, arguments.messages)
    signal.signal(signal.SIGTERM, _stop)
    try:
        rounds = read(evidence) if arguments.table else soak(evidence, goal, arguments)
    except RunBroken as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:
        say("stopped; the same command goes on")
        return 130
    print(table(rounds), flush=True)
    return 1 if any(one.broken for one in rounds) else 0


if __name__ == "__main__":
    sys.exit(main())
