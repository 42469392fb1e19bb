"""Pinned messages, from device to device."""

from __future__ import annotations

import time

import grpc
from parley.messaging.v1 import messages_pb2 as messages
from parley.messaging.v1 import service_pb2 as messaging

from tests.integration.api.conftest import DEADLINE_S, Online, World, new_user, refused, send


def pin(conversation_id: str, seq: int, pinned: bool = True) -> messaging.SetMessagePinnedRequest:
    return messaging.SetMessagePinnedRequest(conversation_id=conversation_id, seq=seq, pinned=pinned)


async def until_pinned(online: Online, conversation_id: str, seqs: tuple[int, ...]) -> None:
    """Waits until these are pinned on the device."""
    conversations = online.stream.inbox.conversations
    await online.stream.until(
        lambda: conversations.history(conversation_id).pinned(time.time()) == seqs, DEADLINE_S, f"the pins {seqs}"
    )


async def test_a_pin_is_seen_by_every_device_and_by_one_that_was_away_and_ends_with_its_message(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    for text in ("one", "two", "three"):
        await send(alice.device, conversation_id, text)
    for seq in (1, 3):
        after = (await bob.device.messaging.SetMessagePinned(pin(conversation_id, seq))).conversation
    assert [each.seq for each in after.pinned_messages] == [3, 1]
    tablet = await world.online(alice.user_id)
    for online in (alice, bob, tablet):
        await until_pinned(online, conversation_id, (3, 1))
    await alice.until_seq(conversation_id, 5)
    listed = messaging.ListMessagesRequest(conversation_id=conversation_id, page_size=1)
    (line,) = (await alice.device.messaging.ListMessages(listed)).messages
    assert (line.sender_id, line.system.message_pinned.seq) == (bob.user_id, 3)
    unsent = messaging.UnsendMessageRequest(conversation_id=conversation_id, seq=3)
    await alice.device.messaging.UnsendMessage(unsent)
    for online in (alice, bob, tablet):
        await until_pinned(online, conversation_id, (1,))
    asked = messaging.GetConversationRequest(conversation_id=conversation_id)
    seen = (await bob.device.messaging.GetConversation(asked)).conversation
    assert [each.seq for each in seen.pinned_messages] == [1]
    await alice.device.messaging.SetMessagePinned(pin(conversation_id, 1, pinned=False))
    for online in (alice, bob, tablet):
        await until_pinned(online, conversation_id, ())


async def test_in_a_group_only_admins_pin_and_a_stranger_learns_nothing(world: World) -> None:
    alice, bob, stranger = world.device(), world.device(), world.device()
    request = messaging.CreateGroupRequest(client_conversation_id=new_user(), title="Hike", user_ids=[bob.user_id])
    group = (await alice.messaging.CreateGroup(request)).conversation.conversation_id
    await send(bob, group, "the meeting point")
    with refused(grpc.StatusCode.PERMISSION_DENIED, "ROLE_TOO_LOW"):
        await bob.messaging.SetMessagePinned(pin(group, 2))
    with refused(grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND"):
        await stranger.messaging.SetMessagePinned(pin(group, 2))
    with refused(grpc.StatusCode.NOT_FOUND, "MESSAGE_NOT_FOUND"):
        await alice.messaging.SetMessagePinned(pin(group, 99))
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "NOT_EDITABLE"):
        await alice.messaging.SetMessagePinned(pin(group, 1))
    role = messages.MEMBER_ROLE_ADMIN
    await alice.messaging.SetMemberRole(
        messaging.SetMemberRoleRequest(conversation_id=group, user_id=bob.user_id, role=role)
    )
    await bob.messaging.SetMessagePinned(pin(group, 2))


async def test_one_pin_more_than_may_be_is_refused_by_its_reason(world: World) -> None:
    alice, _, conversation_id = await world.pair()
    for number in range(21):
        await send(alice, conversation_id, f"text {number}")
    for seq in range(1, 21):
        await alice.messaging.SetMessagePinned(pin(conversation_id, seq))
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_PINS"):
        await alice.messaging.SetMessagePinned(pin(conversation_id, 21))
