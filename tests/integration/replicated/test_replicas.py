"""The stack with more than one replica of presence, gateway and messaging: it must behave like one of each."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import grpc
import pytest
from aiokafka import AIOKafkaConsumer
from parley.gateway.v1 import messages_pb2 as gateway
from parley.gateway.v1 import service_pb2 as gateway_api
from parley.messaging.v1 import relations_pb2 as relations
from parley.messaging.v1 import relations_pb2_grpc as relations_grpc
from parley.messaging.v1 import service_pb2 as messaging
from parley.presence.v1 import events_pb2
from parley.presence.v1 import service_pb2 as presence

from deploy.embedded.record import StackRecord
from loadtests.event_routing.replicas import counters, names_of, replicas_of
from parley_client.client import Device, Edge
from parley_client.delivery_checks import delivery_faults
from parley_client.stream import EventStream
from tests.support.admins import admin_of
from tests.support.ops_command import run_ops
from tests.support.sender import SteadySender
from tests.support.stack import RunningStack
from tests.support.waiting import PATIENCE_S, eventually

PRESENCE = ("presence-1", "presence-2", "presence-3")


class People:
    """Devices of new users, on either gateway."""

    def __init__(self, record: StackRecord, cleanup: AsyncExitStack) -> None:
        self._record = record
        self._cleanup = cleanup

    def device(self, user_id: str = "", gateway: str = "") -> Device:
        """A device that reaches the stack by the edge, or one gateway alone."""
        address = self._record.grpc_addresses[gateway] if gateway else self._record.edge_address
        edge = Edge(address, self._record.issuer_url)
        device = Device(edge, user_id or f"user-{secrets.token_hex(6)}", f"device-{secrets.token_hex(4)}")
        self._cleanup.push_async_callback(device.close)
        return device

    async def follow(self, device: Device) -> EventStream:
        """The device's stream, ready and synced by another way than its gateway."""
        return await self._cleanup.enter_async_context(EventStream(device))

    async def pair(self, count: int = 1) -> tuple[Device, list[Device], str]:
        """One person, a conversation with another one, and that one's devices."""
        one, other = self.device(), self.device()
        request = messaging.CreateDirectConversationRequest(peer_user_id=other.user_id)
        created = await one.messaging.CreateDirectConversation(request)
        others = [other, *(self.device(other.user_id) for _ in range(count - 1))]
        return one, others, created.conversation.conversation_id


@pytest.fixture
async def people(record: StackRecord) -> AsyncIterator[People]:
    async with AsyncExitStack() as cleanup:
        yield People(record, cleanup)


async def send(device: Device, conversation_id: str, text: str = "hello") -> None:
    request = messaging.SendMessageRequest(conversation_id=conversation_id, client_message_id=secrets.token_hex(8))
    request.text.text = text
    await device.messaging.SendMessage(request)


async def handled_events(record: StackRecord) -> int:
    """By all presence replicas together."""
    return sum((await counters(record, "presence", "presence_events")).values())


async def watch(watcher: EventStream, user_id: str) -> None:
    """Watches somebody, as soon as there is a route again."""

    async def is_taken() -> bool:
        try:
            await watcher.watch([user_id])
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return False
        return True

    await eventually(is_taken)


async def sees(watcher: EventStream, user_id: str, state: int) -> None:
    """Waits until the watcher is told of a state."""
    known = watcher.inbox.presence
    await watcher.until(
        lambda: user_id in known and known[user_id].state == state, PATIENCE_S, f"state {state} of {user_id}"
    )


async def test_every_partition_has_one_owner_and_every_replica_has_every_gateway(record: StackRecord) -> None:
    async with replicas_of(record) as replicas:
        views = [await replicas.describe(name) for name in PRESENCE]
    owned = sorted(partition for view in views for partition in view.partitions)
    assert owned == list(range(views[0].partition_count))
    assert [len(view.gateways) for view in views] == [2, 2, 2]


async def test_a_message_reaches_a_users_devices_on_both_gateways_and_is_handled_once_for_each_user(
    record: StackRecord, people: People
) -> None:
    before = await handled_events(record)
    alice, _, conversation_id = await people.pair()
    streams = []
    for name in ("gateway-1", "gateway-2"):
        stub = people.device(alice.user_id, name)
        call = stub.gateway.Subscribe(gateway_api.SubscribeRequest(device_id=stub.device_id))
        async with asyncio.timeout(PATIENCE_S):
            assert (await call.read()).event.HasField("ready")
        streams.append(call)
    # The conversation and each message are one event for each of two members, at the owner of each, whatever the number
    # of replicas and gateways.
    for number in (1, 2, 3):
        await send(alice, conversation_id)
        for call in streams:
            async with asyncio.timeout(PATIENCE_S):
                while (await call.read()).event.message.seq != number:
                    pass
        due = before + 2 + 2 * number

        async def all_handled(due: int = due) -> bool:
            return await handled_events(record) == due

        await eventually(all_handled)
    for call in streams:
        call.cancel()


async def watched(people: People) -> tuple[Device, Device, EventStream]:
    """Alice, Bob, and the stream of hers, which shows that he is online."""
    alice, (bob,), _ = await people.pair()
    watching = await people.follow(alice)
    await watching.until_current(PATIENCE_S)
    await (await people.follow(bob)).until_current(PATIENCE_S)
    await watch(watching, bob.user_id)
    await sees(watching, bob.user_id, gateway.PRESENCE_STATE_ONLINE)
    return alice, bob, watching


async def test_away_and_back_are_seen_by_who_watches_on_another_replica(people: People) -> None:
    _, bob, watching = await watched(people)
    for away, state in ((True, gateway.PRESENCE_STATE_AWAY), (False, gateway.PRESENCE_STATE_ONLINE)):
        await bob.presence.SetStatus(presence.SetStatusRequest(device_id=bob.device_id, away=away))
        await sees(watching, bob.user_id, state)


@pytest.mark.parametrize("hides", ["blocks", "shows presence to nobody"])
async def test_who_may_not_see_somebody_any_more_is_told_offline_at_once_and_then_nothing(
    people: People, hides: str
) -> None:
    alice, bob, watching = await watched(people)
    async with grpc.aio.insecure_channel(bob.edge.address) as channel:
        relations_of_bob = relations_grpc.RelationsServiceStub(channel)
        token = (("authorization", f"Bearer {await bob.tokens.token()}"),)
        if hides == "blocks":
            await relations_of_bob.BlockUser(relations.BlockUserRequest(user_id=alice.user_id), metadata=token)
        else:
            hidden = relations.UpdateSettingsRequest(presence_audience=relations.AUDIENCE_NOBODY)
            await relations_of_bob.UpdateSettings(hidden, metadata=token)
    await sees(watching, bob.user_id, gateway.PRESENCE_STATE_OFFLINE)
    known = watching.inbox.presence
    assert not known[bob.user_id].HasField("last_seen_time")
    known.clear()
    await bob.presence.SetStatus(presence.SetStatusRequest(device_id=bob.device_id, away=True))
    await watch(watching, bob.user_id)
    # What comes by the same streams afterwards has come, so the change would have.
    carol = people.device()
    request = messaging.CreateDirectConversationRequest(peer_user_id=carol.user_id)
    fence = (await alice.messaging.CreateDirectConversation(request)).conversation.conversation_id
    await send(alice, fence)
    history = watching.inbox.conversations
    await watching.until(lambda: history.history(fence).cursor == 1, PATIENCE_S, "the message behind it")
    assert bob.user_id not in known or known[bob.user_id].state == gateway.PRESENCE_STATE_OFFLINE


async def is_kept(record: StackRecord, user_id: str) -> bool:
    connection = await asyncpg.connect(record.database_urls["parley_presence"])
    try:
        found = await connection.fetchval("SELECT last_seen_time FROM user_states WHERE user_id = $1", user_id)
    finally:
        await connection.close()
    return found is not None


async def test_last_seen_outlives_all_presence_replicas_and_a_stale_green_dot_does_not(
    replicated: RunningStack, people: People
) -> None:
    alice, (bob,), _ = await people.pair()
    async with EventStream(bob) as stream:
        await stream.until_current(PATIENCE_S)
    watching = await people.follow(alice)
    await watching.until_current(PATIENCE_S)
    await watch(watching, bob.user_id)
    known = watching.inbox.presence
    await watching.until(
        lambda: bob.user_id in known and known[bob.user_id].HasField("last_seen_time"), PATIENCE_S, "last seen"
    )
    seen = known[bob.user_id].last_seen_time
    # It is written a moment after it was told.
    await eventually(lambda: is_kept(replicated.record, bob.user_id))
    await asyncio.to_thread(_kill_all, replicated)
    async with replicas_of(replicated.record) as replicas:
        await replicas.until_settled(PATIENCE_S)
    known.clear()
    await watch(watching, bob.user_id)
    await watching.until(
        lambda: bob.user_id in known and known[bob.user_id].HasField("last_seen_time"),
        PATIENCE_S,
        "last seen, by the new owner",
    )
    assert abs(known[bob.user_id].last_seen_time.ToSeconds() - seen.ToSeconds()) <= 1


async def test_the_feed_has_the_states_of_a_user_by_their_key(record: StackRecord, people: People) -> None:
    bob = people.device()
    async with feed_of(record) as consumer:
        async with EventStream(bob) as stream:
            await stream.until_current(PATIENCE_S)
            assert (await next_event(consumer, bob.user_id)).state == gateway.PRESENCE_STATE_ONLINE
        gone = await next_event(consumer, bob.user_id)
    assert gone.state == gateway.PRESENCE_STATE_OFFLINE
    assert gone.HasField("last_seen_time")


async def test_nothing_durable_is_missing_after_a_presence_replica_was_killed_under_load(
    replicated: RunningStack, people: People
) -> None:
    alice, bobs, conversation_id = await people.pair(count=3)
    streams = [await people.follow(device) for device in bobs]
    for stream in streams:
        await stream.until_current(PATIENCE_S)
    async with SteadySender(alice, conversation_id) as sender:
        for name in PRESENCE:
            await sender.until_acknowledged(10, PATIENCE_S)
            old_pid = replicated.kill(name)
            await asyncio.to_thread(replicated.wait_for_restart, name, old_pid, PATIENCE_S)
        await sender.until_acknowledged(40, PATIENCE_S)
        await sender.stop()
    for stream in streams:
        history = stream.inbox.conversations.history(conversation_id)
        await stream.until(
            lambda history=history: history.cursor >= len(sender.acknowledged),  # type: ignore[misc]
            PATIENCE_S,
            "the last message",
        )
        assert delivery_faults(history, sender.acknowledged) == []


@pytest.mark.parametrize("what", ["sessions", "partitions", "slowest"])
async def test_people_who_run_it_can_look(record: StackRecord, what: str, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(admin_of(record, "operator").token(""))
    env = {
        "PARLEY_ADMIN_TOKEN_FILE": str(token_file),
        "PARLEY_PRESENCE_ADDRESSES": ",".join(record.admin_addresses[name] for name in PRESENCE),
        "PARLEY_GATEWAY_ADDRESSES": ",".join(record.admin_addresses[name] for name in names_of(record, "gateway")),
    }
    status, output, complaints = await run_ops(env, what)
    assert (status, complaints) == (0, "")
    assert len(output.splitlines()) >= {"sessions": 3, "partitions": 4, "slowest": 1}[what]
    assert "owned by nobody" not in output


def _kill_all(stack: RunningStack) -> None:
    """All at once, so that no replica is left that remembers anything."""
    pids = {name: stack.record.pids[name] for name in PRESENCE}
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    for name, pid in pids.items():
        stack.wait_for_restart(name, pid, PATIENCE_S)


@asynccontextmanager
async def feed_of(record: StackRecord) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        "presence.events.v1",
        bootstrap_servers=record.kafka_bootstrap,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=10,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def next_event(consumer: AIOKafkaConsumer, user_id: str) -> events_pb2.PresenceEvent:
    async with asyncio.timeout(PATIENCE_S):
        async for entry in consumer:
            if entry.key == user_id.encode():
                return events_pb2.PresenceEvent.FromString(entry.value)
    raise AssertionError("the topic ended")
