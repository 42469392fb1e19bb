"""One run of the checker: a stack, towns, a nemesis, and the verdict.

`python -m tests.faults.checker.run --seconds 60 --seed 7`. The seed is printed and replays what people do and what is
done to the stack, as far as time allows. The history stays in build/faults/SEED.json; `--judge FILE` judges one again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults.checker import networks
from tests.faults.checker.history import History
from tests.faults.checker.judging import Judged, Plan, checked_stack, judge_run, left_out, say
from tests.faults.checker.nemesis import FAULTS, Means
from tests.faults.checker.promises import breaches
from tests.faults.checker.shrinking import explain
from tests.faults.checker.town import counts

MODULE = "tests.faults.checker.run"
SHOWN = 5


def summary(seed: str, judged: Sequence[Judged]) -> dict[str, Any]:
    """How much a run has had of what, all towns together, and what was broken."""
    totals: Counter[str] = Counter()
    for one in judged:
        totals.update(counts(one.history))
    faults = Counter(fault.name for fault in judged[0].history.faults)
    broken = Counter(breach.promise for one in judged for breach in one.breaches)
    return {"seed": seed, **totals, "faults": dict(faults), "breaches": broken.total(), "broken": dict(broken)}


def report(seed: str, judged: Sequence[Judged]) -> str:
    """What a run has shown, for a person; its first line is one JSON object, the summary."""
    found = [(one.history, breach) for one in judged for breach in one.breaches]
    lines = [json.dumps(summary(seed, judged))]
    lines += [explain(history, breach) for history, breach in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"and {len(found) - SHOWN} more")
    if found:
        lines.append(f"again: python -m {MODULE} --seed {seed}")
    return "\n".join(lines)


def main() -> int:
    """Exit status 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(10**9)))
    parser.add_argument("--faults", default=",".join(FAULTS), help="comma-separated; empty for none")
    parser.add_argument("--towns", type=int, default=1, help="of eleven people each (default 1)")
    parser.add_argument("--broker", default="", choices=("", "kafka", "tansu"))
    parser.add_argument("--judge", type=Path, help="a history to judge again, in place of a run")
    arguments = parser.parse_args()
    if arguments.judge is not None:
        history = History.loads(arguments.judge.read_text())
        judged = [Judged(history, breaches(history))]
    else:
        faults = tuple(filter(None, arguments.faults.split(",")))
        is_apart = networks.missing() is None and any(FAULTS[name].takes is Means.NETWORK for name in faults)
        if is_apart:
            networks.enter(MODULE, sys.argv[1:])
        say("\n".join([f"seed {arguments.seed}", *left_out(faults)]))
        plan = Plan(arguments.seed, arguments.seconds, faults, arguments.towns)
        with checked_stack(arguments.broker, is_apart=is_apart) as stack:
            judged = asyncio.run(judge_run(stack, plan))
    print(report(arguments.seed, judged), flush=True)
    return 1 if any(one.breaches for one in judged) else 0


if __name__ == "__main__":
    sys.exit(main())
