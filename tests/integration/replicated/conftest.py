"""The stack with more than one replica of messaging, presence and gateway, for all tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from deploy.embedded.record import StackRecord
from loadtests.event_routing.replicas import replicas_of
from tests.support.direct_hop import LOST
from tests.support.older_release import OLDER
from tests.support.stack import RunningStack, run_stack
from tests.support.waiting import PATIENCE_S
from tests.support.writing_pair import Pair

PARTS = ("postgres", "broker", "issuer", "messaging", "presence", "gateway", "signaling", "edge")
# A killed replica is missed after this, and in the background after five times as much. Raising it: each kill takes
# longer. Lowering it: on a busy machine those that live are missed too.
SESSION_MS = 2000


@pytest.fixture(scope="session")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """While this file is there, what messaging hands over to presence is lost."""
    return tmp_path_factory.mktemp("direct") / "lost"


@pytest.fixture(scope="session")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What starts while its service's name stands in this folder is of the release before."""
    return tmp_path_factory.mktemp("older")


@pytest.fixture(scope="session")
def replicated(lost: Path, older: Path) -> Iterator[RunningStack]:
    with run_stack(
        "replicated",
        parts=PARTS,
        replicas={"messaging": 2, "presence": 3, "gateway": 2},
        env={
            OLDER: str(older),
            LOST: str(lost),
            "PARLEY_OFFLINE_DELAY_S": "1",
            "PARLEY_KAFKA_SESSION_TIMEOUT_MS": str(SESSION_MS),
        },
        programs={name: f"tests.support.older_release {name}" for name in ("messaging", "presence")},
    ) as running:
        yield running


async def settled(running: RunningStack) -> StackRecord:
    """The stack, once all replicas have their share."""
    async with replicas_of(running.record) as replicas:
        await replicas.until_settled(PATIENCE_S)
    return running.record


@pytest.fixture
async def record(replicated: RunningStack) -> StackRecord:
    """The stack, once all replicas have their share."""
    return await settled(replicated)


@pytest.fixture
async def pair(record: StackRecord) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as cleanup:
        pair = Pair(record)
        await pair.meet(cleanup)
        yield pair
