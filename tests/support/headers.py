"""All records of a broker, dead letters among them: their headers for canary.py to search, or whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from tests.support.waiting import PATIENCE_S

# A test may have left the broker dead.
CONNECT_S = 10.0


def keep_headers(bootstrap: str, path: Path) -> None:
    """Writes a line for each record that has headers: `topic/partition/offset name=value …`."""
    asyncio.run(_keep(bootstrap, path))


async def topics_holding(bootstrap: str, needles: Sequence[bytes]) -> tuple[int, set[str]]:
    """How many records there are, and the topics that have one of these in a value, a key or a header."""
    count, found = 0, set()

    def look(one: TopicPartition, record: Any) -> None:
        nonlocal count
        count += 1
        whole = b"".join([record.key or b"", record.value or b"", *(value or b"" for _, value in record.headers)])
        if any(needle in whole for needle in needles):
            found.add(one.topic)

    await _with_reader(bootstrap, look)
    return count, found


async def _keep(bootstrap: str, path: Path) -> None:
    with path.open("w") as kept:

        def keep(one: TopicPartition, record: Any) -> None:
            said = " ".join(f"{name}={(value or b'').decode(errors='replace')}" for name, value in record.headers)
            kept.write(f"{one.topic}/{one.partition}/{record.offset} {said}\n" if said else "")

        await _with_reader(bootstrap, keep)


async def _with_reader(bootstrap: str, take: Callable[[TopicPartition, Any], None]) -> None:
    # The broker's own way: nobody commits here, and nobody is in a group.
    reader = AIOKafkaConsumer(bootstrap_servers=bootstrap, request_timeout_ms=int(CONNECT_S * 1000))
    async with asyncio.timeout(CONNECT_S):
        await reader.start()
    try:
        async with asyncio.timeout(PATIENCE_S):
            await _read_all(reader, await _partitions(bootstrap), take)
    finally:
        await reader.stop()


async def _partitions(bootstrap: str) -> list[TopicPartition]:
    # A consumer knows only those of topics that it is told of.
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=int(CONNECT_S * 1000))
    await admin.start()
    try:
        topics = await admin.describe_topics()
    finally:
        await admin.close()
    return [TopicPartition(topic["topic"], one["partition"]) for topic in topics for one in topic["partitions"]]


async def _read_all(
    reader: AIOKafkaConsumer, everything: list[TopicPartition], take: Callable[[TopicPartition, Any], None]
) -> None:
    ends = await reader.end_offsets(everything)
    begins = await reader.beginning_offsets(everything)
    waiting = {one for one in everything if begins[one] < ends[one]}
    reader.assign(list(waiting))
    for one in waiting:
        reader.seek(one, begins[one])
    while waiting:
        for one, records in (await reader.getmany(timeout_ms=1000)).items():
            for record in records:
                take(one, record)
        waiting = {one for one in waiting if await reader.position(one) < ends[one]}
