"""The proof of the checker: each of `bugs.BUGS` is put into a stack, and must be found by a promise that it breaks.

`python -m tests.faults.checker.prove`, with names of bugs or none for all. First a run without a bug, in which nothing
must be found. The last line of stdout is one JSON object; exit status 1 when a bug was not found.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.checker import hosted
from tests.faults.checker.bugs import BUGS
from tests.faults.checker.judging import Plan, checked_stack, judge_run, say
from tests.faults.checker.stacks import CheckedStack

# What a bug leaves behind does not heal. Longer than the deletion of an account takes, which begins after 11 s (its
# devices go on for 3 of them): what is not deleted yet would count as found. Lowering it proves faster.
SETTLE_S = 20.0


@dataclass(frozen=True)
class Proof:
    """What the checker said of one bug. `by`: the promises that were broken, and how often."""

    bug: str
    by: dict[str, int]
    seconds: float

    @property
    def is_found(self) -> bool:
        """Whether it was found by what it breaks; without a bug, that nothing was found."""
        return any(promise in self.by for promise in BUGS[self.bug].promises) if self.bug else not self.by

    def __str__(self) -> str:
        verdict = "ok  " if self.is_found else "FAIL"
        by = ", ".join(f"{promise} ({count})" for promise, count in self.by.items())
        return f"{verdict}  {self.bug or 'no bug':26}  {self.seconds:5.1f} s  {by or 'nothing found'}"


async def _prove(stack: CheckedStack, name: str, seed: str, seconds: float) -> Proof:
    began_s = time.monotonic()
    if not name:
        judged = await judge_run(stack, Plan(seed, seconds, ()))
    else:
        bug = BUGS[name]
        targets = bug.targets or bug.service
        await _choose(stack, name)
        plan = Plan(f"{seed}-{name}", seconds, bug.faults, may_hit=lambda p: p.startswith(targets), patience_s=SETTLE_S)
        judged = await judge_run(stack, plan)
        await _choose(stack, name, chosen=False)
    found = [breach for one in judged for breach in one.breaches]
    by = [breach.promise for breach in found]
    return Proof(name, {promise: by.count(promise) for promise in sorted(set(by))}, time.monotonic() - began_s)


async def _choose(stack: CheckedStack, name: str, *, chosen: bool = True) -> None:
    """The service's processes are started anew, with this bug or without."""
    file = stack.folder / hosted.BUG
    if chosen:
        file.write_text(name)
    else:
        file.unlink()
    service = BUGS[name].service
    await asyncio.gather(
        *(stack.end(process, signal.SIGTERM) for process in stack.pids if process.split("-")[0] == service)
    )


async def _prove_all(stack: CheckedStack, names: Sequence[str], seed: str, seconds: float) -> list[Proof]:
    proofs = []
    for name in ("", *names):
        proofs.append(await _prove(stack, name, seed, seconds))
        say(str(proofs[-1]))
    return proofs


def main() -> int:
    """Exit status 1 when a bug was not found, or something without one."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.checker.prove", description=__doc__)
    parser.add_argument("bugs", nargs="*", metavar="BUG", help="all unless some are named")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each")
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(10**9)))
    arguments = parser.parse_args()
    if unknown := set(arguments.bugs) - set(BUGS):
        parser.error(f"no such bug: {', '.join(sorted(unknown))}; there are: {', '.join(BUGS)}")
    with checked_stack() as stack:
        proofs = asyncio.run(_prove_all(stack, arguments.bugs or list(BUGS), arguments.seed, arguments.seconds))
    print("\n".join(map(str, proofs)))
    found = {proof.bug or "none": list(proof.by) for proof in proofs}
    print(json.dumps({"ok": all(proof.is_found for proof in proofs), "seed": arguments.seed, "found": found}))
    return 0 if all(proof.is_found for proof in proofs) else 1


if __name__ == "__main__":
    sys.exit(main())
