"""How the client of a consumer is closed: within seconds, also where the library would wait for longer or leave
something open."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from services.runtime import tasks


async def stop(consumer: AIOKafkaConsumer) -> None:
    """Stop it, in a few seconds whatever the broker does."""
    if not await _ends_well(consumer.stop(), 5):
        await abandon(consumer)


async def abandon(consumer: AIOKafkaConsumer) -> None:
    """End what is left of a client that could not take leave of its group in time. It has no public way to do so."""
    fetcher, client = consumer._fetcher, consumer._client
    left = [
        getattr(consumer._coordinator, name, None)
        for name in ("_coordination_task", "_heartbeat_task", "_commit_refresh_task")
    ]
    if fetcher:
        left += [fetcher._fetch_task, *fetcher._pending_tasks]
    await tasks.stop(*left, client._sync_task)
    await _ends_well(client.close(), 1)
    # Else it complains that nobody closed it.
    consumer._closed = True


def member_id_of(consumer: AIOKafkaConsumer) -> str:
    """Empty where the coordinator has not given it one."""
    return str(getattr(consumer._coordinator, "member_id", ""))


async def _ends_well(closing: Coroutine[Any, Any, None], limit_s: float) -> bool:
    """Whether it ended within that time as it should.

    It is a task of its own, since the client lets the cancellations of its own tasks through, which would pass for ours
    and leave the rest of it open.
    """

    async def close() -> bool:
        with suppress(KafkaError, OSError):
            await closing
            return True
        return False

    task = tasks.detached(close(), name="kafka-client-close", why="ends by its time limit")
    try:
        await asyncio.wait({task}, timeout=limit_s)
    finally:
        await tasks.stop(task)
    return not task.cancelled() and task.result()
