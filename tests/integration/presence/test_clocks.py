"""Presence on hosts whose clocks are an hour off, and are set by as much while people come and go."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import asyncpg
import grpc
import pytest
from aiokafka import AIOKafkaConsumer
from parley.gateway.v1 import messages_pb2 as gateway
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.presence.v1 import events_pb2, messages_pb2
from parley.presence.v1 import service_pb2 as api

from services.presence.config import Config
from services.presence.publisher import TOPIC
from services.presence.wiring import build
from services.runtime import tasks
from services.runtime.grpc.channels import connect
from tests.integration.presence.test_attach import Gateway
from tests.support.clock import HostClock
from tests.support.identities import environment as identity_env
from tests.support.identities import tokens_of
from tests.support.waiting import PATIENCE_S, eventually, until

HOUR_S = 3600.0
# Of what a whole test may take. The faults are of an hour.
SOON_S = 600.0


@pytest.fixture
def env(database_url: str, broker: str) -> dict[str, str]:
    return {
        "PARLEY_GRPC_ADDRESS": "127.0.0.1:0",
        "PARLEY_DRAIN_GRACE_S": "0",
        **identity_env("presence"),
        "PARLEY_KAFKA_BOOTSTRAP": broker,
        "PARLEY_KAFKA_IDEMPOTENT": "false",
        "PARLEY_DATABASE_URL": database_url,
        "PARLEY_OFFLINE_DELAY_S": "0.5",
        "PARLEY_STATE_INTERVAL_S": "0.1",
        "PARLEY_COLLECT_S": "0.2",
    }


class Town:
    """A replica's only gateway, and all that it was told of people."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._epoch, self._owns = 0, False
        self.refused = 0
        self.told: list[gateway.PresenceChanged] = []

    async def listen(self) -> None:
        """Attach, again and again: until it has asked for the time, a host that is wrong refuses every token."""
        while True:
            self._stream = Gateway(self._channel)
            self._stream.say(api.AttachRequest(hello=messages_pb2.Hello(gateway_id="gateway-1", reads_delivers=True)))
            try:
                await self._hear()
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                    raise
                self._stream.leave()
                self.refused += 1
            await asyncio.sleep(0.05)

    async def _hear(self) -> None:
        while True:
            response = await self._stream.call.read()
            if response.HasField("assignment"):
                self._epoch = response.assignment.epoch
                self._owns = len(response.assignment.partitions) > 0
                self._stream.say(api.AttachRequest(registered=messages_pb2.Registered(epoch=self._epoch)))
            for deliver in (response.deliver, *response.delivers.delivers):
                frame = gateway_service.SubscribeResponse.FromString(deliver.frame)
                if frame.event.HasField("presence"):
                    self.told.append(frame.event.presence)

    def leave(self) -> None:
        self._stream.leave()

    @property
    def is_assigned(self) -> bool:
        return self._owns

    def arrive(self, session_id: int, user_id: str) -> None:
        session = messages_pb2.Session(session_id=session_id, user_id=user_id, device_id="device-1")
        self._stream.say(api.AttachRequest(register=messages_pb2.Register(sessions=[session], epoch=self._epoch)))

    def go(self, session_id: int) -> None:
        self._stream.say(api.AttachRequest(unregister=messages_pb2.Unregister(session_ids=[session_id])))

    def watch(self, session_id: int, user_id: str) -> None:
        watch = messages_pb2.Watch(session_id=session_id, user_ids=[user_id], epoch=self._epoch)
        self._stream.say(api.AttachRequest(watch=watch))

    async def told_last(self, user_id: str, state: gateway.PresenceState) -> gateway.PresenceChanged:
        def last() -> gateway.PresenceChanged | None:
            return next((one for one in reversed(self.told) if one.user_id == user_id), None)

        await until(lambda: (one := last()) is not None and one.state == state, what=str(state), progress=last)
        found = last()
        assert found
        return found


@asynccontextmanager
async def started(env: dict[str, str], clock: HostClock) -> AsyncIterator[Town]:
    app = build(Config.from_env(env), clock)
    await app.start()
    assert app.server is not None
    channel = connect(f"127.0.0.1:{app.server.port}", tokens_of("gateway"), fresh=True)
    town = Town(channel)
    # grpc may tell of a refused stream, whose first frame could not be written, as cancelled: begin again then too.
    listening = tasks.keep("gateway", town.listen)
    try:
        yield town
    finally:
        await tasks.stop(listening)
        town.leave()
        await channel.close()
        await app.stop()


@asynccontextmanager
async def replica(env: dict[str, str], clock: HostClock) -> AsyncIterator[Town]:
    async with started(env, clock) as town:
        await until(lambda: town.is_assigned, what="the partitions", progress=lambda: town.refused)
        yield town


async def row_of(url: str, user_id: str) -> asyncpg.Record | None:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchrow("SELECT * FROM user_states WHERE user_id = $1", user_id)
    finally:
        await connection.close()


async def stored(url: str, user_id: str, status: int) -> asyncpg.Record:
    """The row, once it says so."""
    row = None

    async def says_so() -> bool:
        nonlocal row
        row = await row_of(url, user_id)
        return row is not None and row["standing"] == status

    await eventually(says_so, what=f"status {status} of {user_id}", progress=lambda: row)
    assert row is not None
    return row


def is_now(unix_s: float) -> bool:
    return abs(unix_s - time.time()) < SOON_S


async def fed(broker: str, user_id: str, until: datetime) -> list[events_pb2.PresenceEvent]:
    """What the feed says of somebody, once it tells of this time. States that follow fast upon each other are one."""
    reader = AIOKafkaConsumer(TOPIC, bootstrap_servers=broker, auto_offset_reset="earliest", fetch_max_wait_ms=10)
    await reader.start()
    try:
        events: list[events_pb2.PresenceEvent] = []
        async with asyncio.timeout(PATIENCE_S):
            while not events or events[-1].event_time.ToDatetime(UTC) < until - timedelta(milliseconds=1):
                record = await reader.getone()
                if record.key == user_id.encode():
                    events.append(events_pb2.PresenceEvent.FromString(record.value))
        return events
    finally:
        await reader.stop()


@pytest.mark.parametrize("off_s", [HOUR_S, -HOUR_S])
async def test_a_wrong_clock_that_is_set_leaves_nobody_in_a_wrong_state(
    env: dict[str, str], broker: str, database_url: str, off_s: float
) -> None:
    alice, bob = f"alice-{secrets.token_hex(4)}", f"bob-{secrets.token_hex(4)}"
    clock, other = HostClock(off_s), HostClock(-off_s)
    async with replica(env, clock) as town:
        town.arrive(1, alice)
        town.arrive(2, bob)
        town.watch(2, alice)
        await town.told_last(alice, gateway.PRESENCE_STATE_ONLINE)
        town.go(1)
        # Within the delay, by twice as much, to the other side.
        clock.off_s = -off_s
        told = await town.told_last(alice, gateway.PRESENCE_STATE_OFFLINE)
        assert is_now(told.last_seen_time.ToSeconds())
        row = await stored(database_url, alice, 0)
        assert is_now(row["last_seen_time"].timestamp())
        assert is_now(row["changed_time"].timestamp())
        clock.off_s = off_s
        town.arrive(3, alice)
        await town.told_last(alice, gateway.PRESENCE_STATE_ONLINE)
        await stored(database_url, alice, 1)
    # The owner after it stands on a host that is two hours away from it.
    async with replica(env, other) as town:
        town.arrive(2, bob)
        town.watch(2, alice)
        # Whom the owner before left online, and who has not come here.
        told = await town.told_last(alice, gateway.PRESENCE_STATE_OFFLINE)
        row = await stored(database_url, alice, 0)
        assert is_now(row["last_seen_time"].timestamp())
        town.arrive(1, alice)
        last = await stored(database_url, alice, 1)
    for event in await fed(broker, alice, until=last["changed_time"]):
        assert is_now(event.event_time.ToSeconds())


@pytest.mark.parametrize("off_s", [HOUR_S, -HOUR_S])
async def test_a_wrong_host_that_cannot_ask_for_the_time_takes_nobody_until_it_can(
    env: dict[str, str], database_url: str, postgres: str, off_s: float
) -> None:
    """PostgreSQL is away while presence starts, so that it knows its own clock alone."""
    name, alice = urlsplit(database_url).path[1:], f"alice-{secrets.token_hex(4)}"
    admin = await asyncpg.connect(postgres)
    try:
        await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        async with started(env, HostClock(off_s)) as town:
            await until(lambda: town.refused >= 2, what="the gateway to be refused", progress=lambda: town.refused)
            assert not town.is_assigned
            await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
            await until(lambda: town.is_assigned, what="the partitions", progress=lambda: town.refused)
            town.arrive(1, alice)
            row = await stored(database_url, alice, 1)
            assert is_now(row["changed_time"].timestamp())
    finally:
        await admin.close()
