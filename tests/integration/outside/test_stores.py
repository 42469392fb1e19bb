"""PostgreSQL, the broker and messaging are reached and are no help: at the start, and in the middle of the work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from deploy.embedded import broker as tansu
from deploy.embedded.logs import LogSink
from deploy.embedded.ports import Ports
from deploy.embedded.probes import tcp
from deploy.embedded.process import ManagedProcess, ProcessSpec
from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig, KafkaConfig
from services.runtime.errors import BusUnavailable, StoreUnavailable
from services.runtime.kafka.bus import Incoming, Outgoing
from services.runtime.kafka.consumer import KafkaConsumer
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.kafka.subscription import Subscription
from services.runtime.postgres.database import Database
from services.signaling.clients import GrpcMembers
from services.signaling.core.errors import MembersUnavailable
from services.signaling.core.model import ConversationId
from tests.support.db import own_database
from tests.support.faulty import HOST, Fault, FaultyServer, faulty_server
from tests.support.identities import tokens_of
from tests.support.waiting import eventually, until

TOPIC = "graph.events.v1"
PATIENCE_S = 120


@asynccontextmanager
async def unix_front(database_url: str) -> AsyncIterator[tuple[str, int]]:
    """PostgreSQL's socket, as an address."""
    folder = parse_qs(urlsplit(database_url).query)["host"][0]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(Path(folder) / ".s.PGSQL.5432")
        ways = [asyncio.create_task(_carry(*way)) for way in ((reader, up_writer), (up_reader, writer))]
        await asyncio.wait(ways)

    listener = await asyncio.start_server(serve, HOST, 0)
    try:
        yield listener.sockets[0].getsockname()
    finally:
        listener.close()


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while chunk := await source.read(65_536):
            sink.write(chunk)
    except OSError:
        pass
    finally:
        sink.close()


@asynccontextmanager
async def faulty_database(postgres: str, mode: str = "disable") -> AsyncIterator[tuple[Database, FaultyServer]]:
    """A database that is reached through the server alone."""
    async with own_database(postgres) as its_url, unix_front(its_url) as front, faulty_server(None, front) as server:
        url = urlsplit(its_url)
        config = DatabaseConfig(f"postgresql://{url.username}@{server.address}{url.path}?sslmode={mode}", pool_size=2)
        made = Database(config, MIGRATIONS)
        try:
            yield made, server
        finally:
            await made.stop()


# Where TLS was asked for, what answers neither yes nor no is left at its first byte. Where it was not, asyncpg's parser
# reads all of it: on a length below zero it never returns to the event loop.
WITHOUT_TLS = [Fault.HANG, Fault.RESET, Fault.TRICKLE, Fault.ERROR]


async def test_a_database_that_is_no_help_is_waited_for(postgres: str) -> None:
    async def wait_for(mode: str, fault: Fault) -> None:
        async with faulty_database(postgres, mode) as (made, server):
            server.fault = fault
            await made.start()
            await until(lambda: server.connections >= 2, within_s=PATIENCE_S, what=f"a second try, {mode}, {fault}")
            assert not await made.ready(), (mode, fault)
            server.fault = None
            async with asyncio.timeout(PATIENCE_S):
                await made.wait_connected()
            assert await made.ready(), (mode, fault)

    # All at once, since each waits for its timeouts.
    async with asyncio.TaskGroup() as tasks:
        for mode, fault in [*(("disable", one) for one in WITHOUT_TLS), *(("prefer", one) for one in Fault)]:
            tasks.create_task(wait_for(mode, fault))


async def test_a_database_that_fails_in_the_middle_is_an_outage_and_comes_back(postgres: str) -> None:
    async def fail(fault: Fault) -> None:
        async with faulty_database(postgres) as (made, server):
            await made.start()
            await made.wait_connected()
            server.fault = fault
            async with asyncio.timeout(PATIENCE_S):
                with pytest.raises(StoreUnavailable):
                    async with made.transaction() as connection:
                        await connection.execute("SELECT 1")
            server.fault = None
            await eventually(made.ready, deadline_s=PATIENCE_S, what=f"a ready database after {fault}")

    async with asyncio.TaskGroup() as tasks:
        for fault in (Fault.HANG, Fault.RESET):
            tasks.create_task(fail(fault))


@asynccontextmanager
async def faulty_broker(ports: Ports, folder: Path) -> AsyncIterator[tuple[KafkaConfig, FaultyServer]]:
    """A broker that is reached through the server alone."""
    clear, front = ports.tcp(f"{folder.name}-clear"), ports.tcp(f"{folder.name}-front")
    command = (
        *(str(tansu.binary()), "broker", "--listener-url", f"tcp://{HOST}:{clear}"),
        *("--advertised-listener-url", f"tcp://{HOST}:{front}", "--storage-engine", "memory://tansu/"),
    )
    sink = LogSink(folder, None)
    process = ManagedProcess(ProcessSpec(name="broker", command=command, ready=tcp(HOST, clear)), sink)
    await process.start()
    try:
        async with faulty_server(None, (HOST, clear), front) as server:
            yield KafkaConfig(server.address, idempotent=False, session_timeout_ms=3000, fetch_wait_ms=10), server
    finally:
        await process.stop()
        sink.close()


async def test_a_broker_that_is_no_help_is_waited_for(tmp_path: Path) -> None:
    ports = Ports({})

    async def wait_for(fault: Fault) -> None:
        handled: list[bytes] = []

        async def handle(records: Sequence[Incoming]) -> None:
            handled.extend(record.value or b"" for record in records)

        async with faulty_broker(ports, tmp_path / fault.value) as (config, server):
            server.fault = fault
            publisher = KafkaPublisher(config)
            consumer = KafkaConsumer(config, Subscription((TOPIC,), "faults"), handle, publisher)
            await publisher.start()
            await consumer.start()
            try:
                what = f"a second try of both, {fault}"
                await until(lambda: server.connections >= 4, within_s=PATIENCE_S, what=what)
                assert not await publisher.ready(), fault
                assert not await consumer.ready(), fault
                server.fault = None
                server.break_all()
                async with asyncio.timeout(PATIENCE_S):
                    await publisher.wait_connected()
                await publisher.publish([Outgoing(TOPIC, b"k", b"late")])
                await until(lambda: handled == [b"late"], within_s=PATIENCE_S, what=f"the record, {fault}")
            finally:
                await consumer.stop()
                await publisher.stop()

    async with asyncio.TaskGroup() as tasks:
        for fault in Fault:
            tasks.create_task(wait_for(fault))


async def test_a_broker_that_fails_in_the_middle_is_an_outage_and_comes_back(tmp_path: Path) -> None:
    ports = Ports({})

    async def fail(fault: Fault) -> None:
        async with faulty_broker(ports, tmp_path / fault.value) as (config, server):
            publisher = KafkaPublisher(config)
            await publisher.start()
            try:
                await publisher.wait_connected()
                await publisher.publish([Outgoing(TOPIC, b"k", b"before")])
                server.fault = fault
                async with asyncio.timeout(PATIENCE_S):
                    with pytest.raises(BusUnavailable):
                        await publisher.publish([Outgoing(TOPIC, b"k", b"during")])
                server.fault = None
                server.break_all()

                async def is_published() -> bool:
                    try:
                        await publisher.publish([Outgoing(TOPIC, b"k", b"after")])
                    except BusUnavailable:
                        return False
                    return True

                await eventually(is_published, deadline_s=PATIENCE_S, what=f"a record after {fault}")
            finally:
                await publisher.stop()

    async with asyncio.TaskGroup() as tasks:
        for fault in (Fault.HANG, Fault.RESET):
            tasks.create_task(fail(fault))


async def test_messaging_that_is_no_help_is_unavailable_to_who_calls_it() -> None:
    async def ask(fault: Fault) -> None:
        async with faulty_server(fault) as server:
            members = GrpcMembers(server.address, tokens_of("signaling"))
            await members.start()
            try:
                with pytest.raises(MembersUnavailable):
                    await members.members_of(ConversationId("c"))
            finally:
                await members.stop()

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(ask(fault) for fault in Fault))
