"""How the client of a consumer, or a producer, is closed: within seconds, also where the library would wait for longer
or leave something open."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import ProducerClosed

from services.runtime import tasks

log = structlog.get_logger()


# For a producer to have acknowledged what it was given. Raising it waits longer for a broker that hangs; lowering it
# gives up what a slow one would still have taken.
_FLUSH_S = 3.0


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
    await tasks.stop(*left)
    await _close(client)
    # Else it complains that nobody closed it.
    consumer._closed = True


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """Stop it, in a few seconds whatever the broker does. What it has not sent by then, it never sends: the client
    would go on with it, behind the back of whoever comes next."""
    if await _ends_well(producer.stop(), _FLUSH_S):
        return
    producer._message_accumulator.fail_all(ProducerClosed())
    sender = producer._sender.sender_task
    if sender:
        # Waits for its requests, which end with their connections.
        sender.cancel()
    await _close(producer.client)
    await tasks.stop(sender)


async def _close(client: AIOKafkaClient) -> None:
    """Close its connections. It would not begin where the task that keeps up with the cluster failed."""
    await tasks.stop(client._sync_task)
    client._sync_task = None
    await _ends_well(client.close(), 1)


def member_id_of(consumer: AIOKafkaConsumer) -> str:
    """Empty where the coordinator has not given it one."""
    return str(getattr(consumer._coordinator, "member_id", ""))


async def _ends_well(closing: Coroutine[Any, Any, None], limit_s: float) -> bool:
    """Whether it ended within that time as it should.

    It is a task of its own, since the client lets the cancellations of its own tasks through, which would pass for ours
    and leave the rest of it open.
    """

    async def close() -> bool:
        try:
            await closing
        except Exception as error:
            # Also what one of the client's own tasks has ended by.
            log.info("kafka_client_not_closed_well", error=type(error).__name__)
            return False
        return True

    task = tasks.detached(close(), name="kafka-client-close", why="ends by its time limit")
    try:
        await asyncio.wait({task}, timeout=limit_s)
    finally:
        await tasks.stop(task)
    return not task.cancelled() and task.result()
