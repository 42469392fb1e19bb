"""A rolling update to the release that brought the direct way: who does not know it costs time, and no message."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

from loadtests.event_routing.replicas import counters
from tests.integration.replicated.conftest import settled
from tests.support.stack import RunningStack
from tests.support.waiting import PATIENCE_S, eventually
from tests.support.writing_pair import Acknowledged, Pair

MESSAGES = 10
PRESENCE = ("presence-1", "presence-2", "presence-3")
MESSAGING = ("messaging-1", "messaging-2")


async def replace(running: RunningStack, names: Sequence[str]) -> None:
    """Replaces replicas, all at once."""
    pids = {name: running.kill(name, signal.SIGTERM) for name in names}
    for name, pid in pids.items():
        await asyncio.to_thread(running.wait_for_restart, name, pid)
    await settled(running)


async def roll(running: RunningStack, pair: Pair, names: Sequence[str]) -> Acknowledged:
    """Replaces one replica after the other, while both write all the time. What was acknowledged."""
    acknowledged: Acknowledged = []
    async with pair.writing(acknowledged) as senders:
        for name in names:
            await replace(running, [name])
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
    replicated: RunningStack, pair: Pair, older: Path
) -> None:
    # Messaging is new, presence old: what is handed over finds nobody.
    (older / "presence").touch()
    await replace(replicated, PRESENCE)
    acknowledged = await pair.write(MESSAGES)
    await pair.until_known(acknowledged)
    assert await taken_directly(replicated) == 0

    # Presence is replaced, one replica after the other; messaging finds the new ones by itself.
    (older / "presence").unlink()
    acknowledged += await roll(replicated, pair, PRESENCE)
    acknowledged += await until_direct(replicated, pair)
    await pair.until_known(acknowledged)

    # Presence is new, messaging old: what comes has no id, and comes by Kafka.
    (older / "messaging").touch()
    await replace(replicated, MESSAGING)
    before = await taken_directly(replicated)
    acknowledged += await pair.write(MESSAGES)
    await pair.until_known(acknowledged)
    assert await taken_directly(replicated) == before

    # Messaging is replaced, too; while one is new and one old, it comes both ways.
    (older / "messaging").unlink()
    acknowledged += await roll(replicated, pair, MESSAGING)
    acknowledged += await until_direct(replicated, pair)
    await pair.until_known(acknowledged)
