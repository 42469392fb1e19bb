"""Receipts and vanishing messages, from device to device."""

from __future__ import annotations

import grpc
from google.protobuf.duration_pb2 import Duration
from parley.messaging.v1 import messages_pb2 as messages
from parley.messaging.v1 import service_pb2 as messaging

from tests.integration.api.conftest import DEADLINE_S, World, new_user, open_direct, refused, send


async def test_what_reached_a_device_is_told_to_the_peer_and_what_was_read_to_ones_own_devices(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    tablet = await world.online(bob.user_id)
    for text in ("one", "two"):
        await send(alice.device, conversation_id, text)
    await bob.until_seq(conversation_id, 2)
    places = [messages.Cursor(conversation_id=conversation_id, seq=2)]
    await bob.device.messaging.MarkDelivered(messaging.MarkDeliveredRequest(cursors=places))
    seen = alice.stream.inbox.conversations
    await alice.stream.until(
        lambda: seen.history(conversation_id).delivered_seq.get(bob.user_id) == 2, DEADLINE_S, "delivered"
    )
    assert not seen.history(conversation_id).read_seq.get(bob.user_id)
    await bob.device.messaging.MarkRead(messaging.MarkReadRequest(conversation_id=conversation_id, seq=1))
    own = tablet.stream.inbox
    await tablet.stream.until(
        lambda: own.conversations.history(conversation_id).own_read_seq == 1,
        DEADLINE_S,
        "the cursor of the other device",
    )
    assert own.own_states[conversation_id].unread_count == 1


async def test_when_messages_vanish_is_told_and_stamped_on_what_follows(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    request = messaging.SetVanishingRequest(conversation_id=conversation_id, vanish_after=Duration(seconds=300))
    after = (await alice.device.messaging.SetVanishing(request)).conversation
    assert after.vanish_after.seconds == 300
    sent = await send(alice.device, conversation_id, "for five minutes")
    assert sent.expire_time.ToMicroseconds() - sent.send_time.ToMicroseconds() == 300_000_000
    await bob.until_seq(conversation_id, 2)
    history = bob.stream.inbox.conversations.history(conversation_id)
    assert history.info is not None
    assert (history.info.vanish_after_s, [entry.kind for entry in history.shown]) == (300, ["system", "text"])
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") as refusal:
        request.vanish_after.seconds = 299
        await alice.device.messaging.SetVanishing(request)
    assert refusal.fields == ("vanish_after",)


async def test_a_stranger_can_neither_make_messages_vanish_nor_say_what_was_delivered(world: World) -> None:
    bob = new_user()
    alice, stranger = world.device(), world.device()
    conversation_id = await open_direct(alice, bob)
    await send(alice, conversation_id, "hello")
    with refused(grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND"):
        await stranger.messaging.SetVanishing(messaging.SetVanishingRequest(conversation_id=conversation_id))
    places = [messages.Cursor(conversation_id=conversation_id, seq=1)]
    await stranger.messaging.MarkDelivered(messaging.MarkDeliveredRequest(cursors=places))
    asked = messaging.GetConversationRequest(conversation_id=conversation_id)
    seen = (await alice.messaging.GetConversation(asked)).conversation
    assert [member.delivered_seq for member in seen.members] == [0, 0]
