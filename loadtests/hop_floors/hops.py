"""The hops: what each is, whose CPU it takes, and how to take it once."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import grpc
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.embedded.envoy import binary
from deploy.embedded.ports import Ports
from deploy.embedded.record import ROOT
from loadtests.hop_floors import echo, edge

READY_WITHIN_S = 30.0


@dataclass(frozen=True)
class Hop:
    """`take` goes the way once. `pids`: whose CPU it takes, beside the client's."""

    take: Callable[[bytes], Awaitable[object]]
    pids: Mapping[str, int] = field(default_factory=dict)


@asynccontextmanager
async def unary() -> AsyncIterator[Hop]:
    """A unary RPC, grpc.aio on both sides."""
    async with _process(sys.executable, "-m", echo.__name__, cwd=ROOT, stdout=asyncio.subprocess.PIPE) as server:
        port = await _said_port(server)
        async with _asking(port) as ask:
            yield Hop(ask, {"server": server.pid})


@asynccontextmanager
async def unary_behind_envoy() -> AsyncIterator[Hop]:
    """The same, with Envoy in front of it."""
    async with _process(sys.executable, "-m", echo.__name__, cwd=ROOT, stdout=asyncio.subprocess.PIPE) as server:
        to_port = await _said_port(server)
        port = Ports({}).tcp("floor")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "envoy.json"
            file.write_text(json.dumps(edge.config(port, to_port)))
            command = (str(binary()), "-c", str(file), "--concurrency", "2", "--disable-hot-restart", "-l", "warning")
            async with _process(*command) as envoy, _asking(port) as ask:
                yield Hop(ask, {"server": server.pid, "envoy": envoy.pid})


@asynccontextmanager
async def statement(database_url: str, pids: Mapping[str, int]) -> AsyncIterator[Hop]:
    """One INSERT that is its own transaction, on disk when it is answered."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "DROP SCHEMA IF EXISTS floor CASCADE; CREATE SCHEMA floor; CREATE TABLE floor.rows"
            " (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea)"
        )

        async def insert(body: bytes) -> None:
            await connection.execute("INSERT INTO floor.rows (body) VALUES ($1)", body)

        yield Hop(insert, pids)
        await connection.execute("DROP SCHEMA floor CASCADE")
    finally:
        await connection.close()


@asynccontextmanager
async def produce(kafka: str, pids: Mapping[str, int]) -> AsyncIterator[Hop]:
    """A record that the broker has acknowledged (acks=all)."""
    async with _topic(kafka) as topic, _producer(kafka) as producer:

        async def send(body: bytes) -> None:
            await producer.send_and_wait(topic, body)

        yield Hop(send, pids)


@asynccontextmanager
async def produce_and_fetch(kafka: str, pids: Mapping[str, int]) -> AsyncIterator[Hop]:
    """A record from before it is sent until a consumer whose fetch waits has it."""
    async with _topic(kafka) as topic, _producer(kafka) as producer:
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", fetch_max_wait_ms=5_000)
        await consumer.start()
        try:
            consumer.assign([TopicPartition(topic, 0)])

            async def pass_through(body: bytes) -> None:
                came = asyncio.ensure_future(consumer.getone())
                await producer.send(topic, body)
                await came

            yield Hop(pass_through, pids)
        finally:
            await consumer.stop()


@asynccontextmanager
async def _topic(kafka: str) -> AsyncIterator[str]:
    """A topic of one partition that nobody else reads, for the length of the block."""
    name = f"floor-{secrets.token_hex(4)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
        yield name
        await admin.delete_topics([name])
    finally:
        await admin.close()


@asynccontextmanager
async def _producer(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", linger_ms=0)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def _asking(port: int) -> AsyncIterator[Callable[[bytes], Awaitable[object]]]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        say: Any = channel.unary_unary(f"/{echo.SERVICE}/{echo.METHOD}")
        async with asyncio.timeout(READY_WITHIN_S):
            await say(b"", wait_for_ready=True)
        yield say


async def _said_port(server: asyncio.subprocess.Process) -> int:
    if server.stdout is None:
        raise ValueError("the server's output is not read")
    async with asyncio.timeout(READY_WITHIN_S):
        return int(await server.stdout.readline())


@asynccontextmanager
async def _process(
    *command: str, cwd: Path | None = None, stdout: int | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, stdout=stdout)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
