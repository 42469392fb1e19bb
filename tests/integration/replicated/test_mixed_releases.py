"""A rolling update to the release that brought the direct way: who does not know it costs time, and no message."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from deploy.embedded.record import StackRecord
from deploy.embedded.settings import PARTS
from loadtests.event_routing.replicas import counters, replicas_of
from tests.support.older_release import OLDER
from tests.support.stack import RunningStack, run_stack
from tests.support.waiting import PATIENCE_S, eventually
from tests.support.writing_pair import Acknowledged, Pair

MESSAGES = 10
PRESENCE = ("presence-1", "presence-2")
MESSAGING = ("messaging-1", "messaging-2")


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What starts while its service's name stands there is of the release before: presence, at first."""
    folder = tmp_path_factory.mktemp("older")
    (folder / "presence").touch()
    return folder


@pytest.fixture(scope="module")
def running(older: Path) -> Iterator[RunningStack]:
    with run_stack(
        "mixed-releases",
        parts=tuple(set(PARTS) - {"web", "sfu"}),
        replicas={"messaging": 2, "presence": 2},
        env={OLDER: str(older)},
        programs={name: f"tests.support.older_release {name}" for name in ("messaging", "presence")},
    ) as stack:
        yield stack


async def settled(running: RunningStack) -> StackRecord:
    """The stack, once all replicas have their share."""
    async with replicas_of(running.record) as replicas:
        await replicas.until_settled(PATIENCE_S)
    return running.record


@pytest.fixture
async def pair(running: RunningStack) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as cleanup:
        pair = Pair(await settled(running))
        await pair.meet(cleanup)
        yield pair


async def roll(running: RunningStack, pair: Pair, names: Sequence[str]) -> Acknowledged:
    """Replaces one replica after the other, while both write all the time. What was acknowledged."""
    acknowledged: Acknowledged = []
    async with pair.writing(acknowledged) as senders:
        for name in names:
            pid = running.kill(name, signal.SIGTERM)
            await asyncio.to_thread(running.wait_for_restart, name, pid)
            await settled(running)
            for sender in senders:
                await sender.until_acknowledged(MESSAGES, PATIENCE_S)
    return acknowledged


async def taken_directly(running: RunningStack) -> int:
    """Deliveries that presence took directly, since its replicas began."""
    return sum((await counters(running.record, "presence", "presence_direct_deliveries", result="taken")).values())


async def until_direct(running: RunningStack, pair: Pair) -> Acknowledged:
    """Writes until it goes directly again. What was acknowledged."""
    before = await taken_directly(running)
    acknowledged: Acknowledged = []

    async def is_taken() -> bool:
        acknowledged.extend(await pair.write(1))
        return await taken_directly(running) > before

    await eventually(is_taken, what="a message that is taken directly")
    return acknowledged


async def test_messages_come_whole_and_in_order_through_a_rolling_update(
    running: RunningStack, pair: Pair, older: Path
) -> None:
    # Messaging is new, presence old: what is handed over finds nobody.
    acknowledged = await pair.write(MESSAGES)
    await pair.until_read(acknowledged)
    assert await taken_directly(running) == 0

    # Presence is replaced, one replica after the other; messaging finds the new ones by itself.
    (older / "presence").unlink()
    acknowledged += await roll(running, pair, PRESENCE)
    acknowledged += await until_direct(running, pair)
    await pair.until_known(acknowledged)

    # Presence is new, messaging old, one and then both: what comes has no id, and comes by Kafka.
    (older / "messaging").touch()
    acknowledged += await roll(running, pair, MESSAGING)
    await pair.until_known(acknowledged)
    before = await taken_directly(running)
    acknowledged += await pair.write(MESSAGES)
    await pair.until_known(acknowledged)
    assert await taken_directly(running) == before

    # Messaging is new again.
    (older / "messaging").unlink()
    acknowledged += await roll(running, pair, MESSAGING)
    acknowledged += await until_direct(running, pair)
    await pair.until_known(acknowledged)
