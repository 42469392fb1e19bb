"""A short run of the checker, with another seed each time. The report of the tests says which one it was."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator

import pytest

from tests.faults.checker.judging import Plan, checked_stack, judge_run
from tests.faults.checker.run import report
from tests.faults.checker.stacks import CheckedStack
from tests.support.figures import DRAWN

pytestmark = pytest.mark.restarts

# Replays a run: the report names its seed.
SEED = "PARLEY_CHECKER_SEED"
# Half as long again as each bug of checker/bugs was tried for. Raising it finds more in each run; lowering it leaves
# more of three minutes to a slow machine. `make faults` goes on for 15 minutes.
SECONDS = 24.0


@pytest.fixture
def checked() -> Iterator[CheckedStack]:
    with checked_stack() as stack:
        yield stack


async def test_no_promise_is_broken_by_what_a_fresh_seed_draws(
    checked: CheckedStack, record_property: Callable[[str, object], None]
) -> None:
    seed = os.environ.get(SEED) or str(random.SystemRandom().randrange(10**9))
    judged = await judge_run(checked, Plan(seed, SECONDS))
    told = report(seed, judged)
    record_property(DRAWN, f"the checker {told.splitlines()[0]}")
    assert not any(one.breaches for one in judged), told
