"""The stack that most faults are done to: one for all of them that run in one process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.stack import RunningStack, run_stack

# The broker misses a killed consumer after this, in the background after five times as much, and so long the one that
# replaces it waits. Raising it: each kill takes longer. Lowering it: on a busy machine those that live are missed too.
SESSION_MS = 2000


@pytest.fixture(scope="session")
def faulty() -> Iterator[RunningStack]:
    """A stack of its own, since other tests need theirs whole. Whoever does something to it leaves it running.

    It has one pod of two media workers, and its gateway spreads reconnects over far longer than its grace lets it live.
    """
    env = {"PARLEY_KAFKA_SESSION_TIMEOUT_MS": str(SESSION_MS), "PARLEY_SFU_WORKERS": "2"}
    drain = {"PARLEY_DRAIN_SPREAD_S": "10", "PARLEY_DRAIN_GRACE_S": "3"}
    with run_stack("faults", env=env, part_env={"gateway": drain}) as running:
        yield running
