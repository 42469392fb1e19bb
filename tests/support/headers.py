"""The headers of all records of a broker, dead letters among them, for canary.py to search."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from tests.support.waiting import PATIENCE_S

# A test may have left the broker dead.
CONNECT_S = 10.0


def keep_headers(bootstrap: str, path: Path) -> None:
    """Writes a line for each record that has headers: `topic/partition/offset name=value …`."""
    asyncio.run(_keep(bootstrap, path))


async def _keep(bootstrap: str, path: Path) -> None:
    # The broker's own way: nobody commits here, and nobody is in a group.
    reader = AIOKafkaConsumer(bootstrap_servers=bootstrap, request_timeout_ms=int(CONNECT_S * 1000))
    async with asyncio.timeout(CONNECT_S):
        await reader.start()
    try:
        async with asyncio.timeout(PATIENCE_S):
            await _read_all(reader, await _partitions(bootstrap), path)
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


async def _read_all(reader: AIOKafkaConsumer, everything: list[TopicPartition], path: Path) -> None:
    ends = await reader.end_offsets(everything)
    begins = await reader.beginning_offsets(everything)
    waiting = {one for one in everything if begins[one] < ends[one]}
    reader.assign(list(waiting))
    for one in waiting:
        reader.seek(one, begins[one])
    with path.open("w") as kept:
        while waiting:
            for one, records in (await reader.getmany(timeout_ms=1000)).items():
                for record in records:
                    said = " ".join(
                        f"{name}={(value or b'').decode(errors='replace')}" for name, value in record.headers
                    )
                    kept.write(f"{one.topic}/{one.partition}/{record.offset} {said}\n" if said else "")
            waiting = {one for one in waiting if await reader.position(one) < ends[one]}
