"""What reaches a user's devices, live and after an absence."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from parley.gateway.v1 import service_pb2 as gateway
from parley.messaging.v1 import service_pb2 as messaging
from parley.presence.v1 import service_pb2 as presence

from parley_client.delivery_checks import delivery_faults, order_differences
from parley_client.inbox import OFFLINE
from parley_client.stream import EventStream
from tests.integration.api.conftest import DEADLINE_S, World, new_user, open_direct, read_to_the_end, refused, send

# The delayed offline, with conversation to spare.
OFFLINE_DEADLINE_S = 60.0


async def test_a_message_reaches_all_devices_of_both_users(world: World) -> None:
    bob = new_user()
    alice = await world.online()
    alices_tablet = await world.online(alice.user_id)
    bobs = [await world.online(bob), await world.online(bob)]
    conversation_id = await open_direct(alice.device, bob)
    await send(alice.device, conversation_id, "hello")
    for online in (alice, alices_tablet, *bobs):
        await online.until_seq(conversation_id, 1)
        assert (conversation_id, 1) in online.stream.inbox.message_arrived_s


async def test_a_stranger_gets_nothing(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    stranger = await world.online()
    strangers_own = await open_direct(stranger.device, new_user())
    await send(alice.device, conversation_id, "secret")
    await bob.until_seq(conversation_id, 1)
    # What is sent to the stranger afterwards has come, so the secret would have.
    await send(stranger.device, strangers_own, "to be seen")
    await stranger.until_seq(strangers_own, 1)
    assert conversation_id not in stranger.stream.inbox.conversations


async def test_a_new_conversation_is_told_to_the_peer(world: World) -> None:
    alice, bob = await world.online(), await world.online()
    conversation_id = await open_direct(alice.device, bob.user_id)
    await bob.stream.until(lambda: conversation_id in bob.stream.inbox.conversations, DEADLINE_S, "the conversation")
    members = bob.stream.inbox.conversations.history(conversation_id).members
    assert set(members) == {alice.user_id, bob.user_id}


async def test_messages_from_all_sides_at_once_come_in_one_order_everywhere(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    tablet = await world.online(bob.user_id)
    senders = [alice.device, bob.device, tablet.device] * 20
    stored = await asyncio.gather(*(send(device, conversation_id, f"{n}") for n, device in enumerate(senders)))
    acknowledged = [(message.client_message_id, message.seq) for message in stored]
    histories = []
    for online in (alice, bob, tablet):
        await online.until_seq(conversation_id, len(senders))
        histories.append(online.stream.inbox.conversations.history(conversation_id))
    for history in histories:
        assert delivery_faults(history, acknowledged) == []
        assert order_differences(histories[0], history) == []


async def test_a_device_that_was_away_has_everything_after_its_return(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    away = world.device(bob.user_id, "bob-tablet")
    stream = EventStream(away)
    async with stream:
        await stream.until_current(DEADLINE_S)
        await send(alice.device, conversation_id, "before")
        before = stream.inbox.conversations
        await stream.until(lambda: before.history(conversation_id).cursor == 1, DEADLINE_S, "the message before")
    acknowledged = []
    for number in range(150):
        message = await send(alice.device, conversation_id, f"while away {number}")
        acknowledged.append((message.client_message_id, message.seq))
    await bob.until_seq(conversation_id, 151)
    async with EventStream(away) as again:
        await again.until_current(DEADLINE_S)
        await send(alice.device, conversation_id, "after")
        now = again.inbox.conversations
        await again.until(lambda: now.history(conversation_id).cursor == 152, DEADLINE_S, "the message after")
        assert delivery_faults(now.history(conversation_id), acknowledged) == []


async def test_a_newer_stream_of_the_same_device_replaces_the_older(world: World) -> None:
    device = world.device()
    request = gateway.SubscribeRequest(device_id=device.device_id)
    older = device.gateway.Subscribe(request)
    first = await older.read()
    assert isinstance(first, gateway.SubscribeResponse)
    assert first.event.HasField("ready")
    newer = device.gateway.Subscribe(request)
    second = await newer.read()
    assert isinstance(second, gateway.SubscribeResponse)
    with refused(grpc.StatusCode.ABORTED, "REPLACED"):
        await read_to_the_end(older)
    newer.cancel()


async def test_the_stream_beats_as_often_as_it_says(world: World) -> None:
    device = world.device()
    call = device.gateway.Subscribe(gateway.SubscribeRequest(device_id=device.device_id))
    first = await call.read()
    assert isinstance(first, gateway.SubscribeResponse)
    heartbeat_s = first.event.ready.heartbeat_s
    assert 1 <= heartbeat_s <= 60
    async with asyncio.timeout(heartbeat_s * 3):
        second = await call.read()
    assert isinstance(second, gateway.SubscribeResponse)
    assert second.event.HasField("heartbeat")
    call.cancel()


@pytest.mark.parametrize("device_id", ["", "short", "x" * 65, "with space", "über-gerät"])
async def test_a_device_id_that_cannot_be_one_is_refused_by_field(world: World, device_id: str) -> None:
    device = world.device()
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") as refusal:
        await device.gateway.Subscribe(gateway.SubscribeRequest(device_id=device_id)).read()
    assert refusal.fields == ("device_id",)


async def test_typing_reaches_the_peer_and_stops(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    key = (conversation_id, alice.user_id)
    for typing in (True, False):
        await alice.device.presence.SetTyping(presence.SetTypingRequest(conversation_id=conversation_id, typing=typing))
        await bob.stream.until(
            lambda typing=typing: bob.stream.inbox.typing.get(key) is typing,  # type: ignore[misc]
            DEADLINE_S,
            f"typing {typing}",
        )


async def test_typing_in_a_conversation_of_others_is_not_found(world: World) -> None:
    _, _, conversation_id = await world.pair()
    with refused(grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND"):
        await world.device().presence.SetTyping(presence.SetTypingRequest(conversation_id=conversation_id, typing=True))


async def test_reading_is_told_to_the_peer_and_to_ones_other_devices(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    tablet = await world.online(bob.user_id)
    await send(alice.device, conversation_id, "hello")
    await bob.until_seq(conversation_id, 1)
    await bob.device.messaging.MarkRead(messaging.MarkReadRequest(conversation_id=conversation_id, seq=1))
    for online in (alice, tablet):
        conversations = online.stream.inbox.conversations
        await online.stream.until(
            lambda known=conversations: known.history(conversation_id).read_seq.get(bob.user_id) == 1,  # type: ignore[misc]
            DEADLINE_S,
            "read",
        )


async def test_presence_is_a_snapshot_first_and_then_each_change(world: World) -> None:
    alice = await world.online()
    bob_id = new_user()
    await open_direct(alice.device, bob_id)
    await alice.stream.watch([bob_id])
    inbox = alice.stream.inbox
    await alice.stream.until(lambda: bob_id in inbox.presence, DEADLINE_S, "the snapshot")
    assert inbox.presence[bob_id].state == OFFLINE
    bob = world.device(bob_id)
    async with EventStream(bob) as stream:
        await stream.until_current(DEADLINE_S)
        await alice.stream.until(lambda: inbox.is_online(bob_id), DEADLINE_S, "online")
    await alice.stream.until(lambda: not inbox.is_online(bob_id), OFFLINE_DEADLINE_S, "offline")
    assert inbox.presence[bob_id].HasField("last_seen_time")


async def test_a_stranger_cannot_watch(world: World) -> None:
    stranger, friend = await world.online(), await world.online()
    bob = await world.online()
    await open_direct(friend.device, bob.user_id)
    await stranger.stream.watch([bob.user_id])
    await friend.stream.watch([bob.user_id])
    await friend.stream.until(lambda: friend.stream.inbox.is_online(bob.user_id), DEADLINE_S, "online")
    own = await open_direct(stranger.device, new_user())
    await send(stranger.device, own, "comes after the snapshot would have")
    await stranger.until_seq(own, 1)
    assert bob.user_id not in stranger.stream.inbox.presence
