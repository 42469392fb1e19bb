"""Conversations and messages: one per pair, sent once, in one order, and told to nobody else."""

from __future__ import annotations

import asyncio
import uuid

import grpc
import pytest
from parley.messaging.v1 import messages_pb2 as messages
from parley.messaging.v1 import service_pb2 as messaging

from tests.integration.api.conftest import World, new_user, open_direct, refused, send

NOT_FOUND = grpc.StatusCode.NOT_FOUND
INVALID = grpc.StatusCode.INVALID_ARGUMENT


async def test_the_same_pair_always_gets_the_same_conversation(world: World) -> None:
    one, other = world.device(), world.device()
    ids = await asyncio.gather(*(open_direct(one, other.user_id), open_direct(other, one.user_id)) * 3)
    assert len(set(ids)) == 1
    answer = await one.messaging.GetConversation(messaging.GetConversationRequest(conversation_id=ids[0]))
    assert {member.user_id for member in answer.conversation.members} == {one.user_id, other.user_id}
    assert answer.conversation.kind == messages.CONVERSATION_KIND_DIRECT
    assert uuid.UUID(ids[0]).version == 7


async def test_a_conversation_with_oneself_is_refused(world: World) -> None:
    device = world.device()
    with refused(INVALID, "FIELD_INVALID") as refusal:
        await open_direct(device, device.user_id)
    assert refusal.fields == ("peer_user_id",)


@pytest.mark.parametrize("peer", ["", "a b", "x" * 65, "zoë", "a\nb"])
async def test_a_peer_id_that_cannot_be_one_is_refused(world: World, peer: str) -> None:
    with refused(INVALID, "FIELD_INVALID") as refusal:
        await open_direct(world.device(), peer)
    assert refusal.fields == ("peer_user_id",)


async def test_a_retried_send_returns_the_first_result(world: World) -> None:
    one, other, conversation_id = await world.pair()
    first = await send(one, conversation_id, "hello", client_message_id="key-1")
    again = await send(one, conversation_id, "something else", client_message_id="key-1")
    assert again == first
    theirs = await send(other, conversation_id, "hello", client_message_id="key-1")
    assert (first.seq, theirs.seq) == (1, 2)


async def test_retries_at_the_same_time_store_one_message(world: World) -> None:
    one, _, conversation_id = await world.pair()
    stored = await asyncio.gather(*(send(one, conversation_id, "hello", "key-1") for _ in range(8)))
    assert {(message.seq, message.message_id) for message in stored} == {(1, stored[0].message_id)}


async def test_sends_at_the_same_time_get_consecutive_numbers(world: World) -> None:
    one, other, conversation_id = await world.pair()
    senders = [one, other] * 10
    stored = await asyncio.gather(*(send(device, conversation_id, f"{n}") for n, device in enumerate(senders)))
    assert sorted(message.seq for message in stored) == list(range(1, 21))


@pytest.mark.parametrize("text", ["", " \n\t ", "x" * 10_001, "a\x00b"], ids=["empty", "blank", "too long", "NUL"])
async def test_a_text_out_of_bounds_is_refused_by_field(world: World, text: str) -> None:
    one, _, conversation_id = await world.pair()
    with refused(INVALID, "FIELD_INVALID") as refusal:
        await send(one, conversation_id, text)
    assert refusal.fields == ("text.text",)


@pytest.mark.parametrize("text", ["x" * 10_000, "👩‍👩‍👧" * 2_000, "e\u0301 ≠ é", " spaces stay  "])
async def test_a_text_within_bounds_is_kept_byte_for_byte(world: World, text: str) -> None:
    one, other, conversation_id = await world.pair()
    await send(one, conversation_id, text)
    page = await other.messaging.ListMessages(messaging.ListMessagesRequest(conversation_id=conversation_id))
    assert page.messages[0].text.text == text


@pytest.mark.parametrize("key", ["", "x" * 65, "naïve", "a\tb"])
async def test_a_client_message_id_out_of_bounds_is_refused_by_field(world: World, key: str) -> None:
    one, _, conversation_id = await world.pair()
    request = messaging.SendMessageRequest(conversation_id=conversation_id, client_message_id=key)
    request.text.text = "hello"
    with refused(INVALID, "FIELD_INVALID") as refusal:
        await one.messaging.SendMessage(request)
    assert refusal.fields == ("client_message_id",)


async def test_a_message_without_content_is_refused(world: World) -> None:
    one, _, conversation_id = await world.pair()
    request = messaging.SendMessageRequest(conversation_id=conversation_id, client_message_id="key-1")
    with refused(INVALID, "FIELD_INVALID") as refusal:
        await one.messaging.SendMessage(request)
    assert refusal.fields == ("content",)


async def test_a_stranger_may_neither_write_nor_mark_as_read(world: World) -> None:
    _, _, conversation_id = await world.pair()
    stranger = world.device()
    with refused(grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND"):
        await send(stranger, conversation_id, "hello")
    with refused(grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND"):
        await stranger.messaging.MarkRead(messaging.MarkReadRequest(conversation_id=conversation_id, seq=0))


async def test_to_a_reading_stranger_a_conversation_does_not_exist(world: World) -> None:
    one, _, existing = await world.pair()
    await send(one, existing, "secret")
    stranger = world.device()
    for conversation_id in (existing, str(uuid.uuid4())):
        with refused(NOT_FOUND, "CONVERSATION_NOT_FOUND"):
            await stranger.messaging.GetConversation(messaging.GetConversationRequest(conversation_id=conversation_id))
        with refused(NOT_FOUND, "CONVERSATION_NOT_FOUND"):
            await stranger.messaging.ListMessages(messaging.ListMessagesRequest(conversation_id=conversation_id))
    cursor = messages.Cursor(conversation_id=existing, seq=0)
    assert not (await stranger.messaging.Sync(messaging.SyncRequest(cursors=[cursor]))).deltas


async def test_an_unknown_conversation_takes_no_message(world: World) -> None:
    device, unknown = world.device(), str(uuid.uuid4())
    with refused(NOT_FOUND, "CONVERSATION_NOT_FOUND"):
        await send(device, unknown, "hello")
    with refused(NOT_FOUND, "CONVERSATION_NOT_FOUND"):
        await device.messaging.MarkRead(messaging.MarkReadRequest(conversation_id=unknown, seq=1))


@pytest.mark.parametrize("conversation_id", ["", "1", "not-a-uuid", "../../etc/passwd", "' OR 1=1 --"])
async def test_an_id_that_is_none_is_refused_by_field(world: World, conversation_id: str) -> None:
    with refused(INVALID, "FIELD_INVALID") as refusal:
        await send(world.device(), conversation_id, "hello")
    assert refusal.fields == ("conversation_id",)


async def test_history_comes_in_pages_newest_first(world: World) -> None:
    one, other, conversation_id = await world.pair()
    for number in range(7):
        await send(one, conversation_id, f"message {number + 1}")
    seen: list[int] = []
    before, more = 0, True
    while more:
        request = messaging.ListMessagesRequest(conversation_id=conversation_id, before_seq=before, page_size=3)
        page = await other.messaging.ListMessages(request)
        seen += [message.seq for message in page.messages]
        before, more = seen[-1], page.has_more
    assert seen == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("size", "before", "field"), [(201, 0, "page_size"), (-1, 0, "page_size"), (0, -1, "before_seq")]
)
async def test_a_page_out_of_bounds_is_refused_by_field(world: World, size: int, before: int, field: str) -> None:
    one, _, conversation_id = await world.pair()
    request = messaging.ListMessagesRequest(conversation_id=conversation_id, page_size=size, before_seq=before)
    with refused(INVALID, "FIELD_INVALID") as refusal:
        await one.messaging.ListMessages(request)
    assert refusal.fields == (field,)


async def test_conversations_come_in_pages_newest_activity_first(world: World) -> None:
    me = world.device()
    ids = [await open_direct(me, new_user()) for _ in range(5)]
    await send(me, ids[1], "wakes the second")
    seen: list[str] = []
    token = ""
    while True:
        request = messaging.ListConversationsRequest(page_size=2, page_token=token)
        page = await me.messaging.ListConversations(request)
        seen += [summary.conversation.conversation_id for summary in page.conversations]
        token = page.next_page_token
        if not token:
            break
    assert seen == [ids[1], ids[4], ids[3], ids[2], ids[0]]


@pytest.mark.parametrize("token", ["x", "AAAA", "ä", "A" * 32])
async def test_a_page_token_of_ones_own_making_is_refused_or_harmless(world: World, token: str) -> None:
    me = world.device()
    request = messaging.ListConversationsRequest(page_token=token)
    if token == "A" * 32:
        # Well formed: it says "before 1970", where there is nothing.
        assert not (await me.messaging.ListConversations(request)).conversations
        return
    with refused(INVALID, "FIELD_INVALID") as refusal:
        await me.messaging.ListConversations(request)
    assert refusal.fields == ("page_token",)


async def test_sync_returns_exactly_what_the_cursor_lacks(world: World) -> None:
    one, other, conversation_id = await world.pair()
    for number in range(5):
        await send(one, conversation_id, f"message {number + 1}")
    cursor = messages.Cursor(conversation_id=conversation_id, seq=2)
    answer = await other.messaging.Sync(messaging.SyncRequest(cursors=[cursor], limit=2))
    assert [message.seq for message in answer.deltas[0].messages] == [3, 4]
    assert answer.deltas[0].has_more
    cursor.seq = 4
    answer = await other.messaging.Sync(messaging.SyncRequest(cursors=[cursor], limit=2))
    assert [message.seq for message in answer.deltas[0].messages] == [5]
    assert not answer.deltas[0].has_more
    cursor.seq = 5
    assert not (await other.messaging.Sync(messaging.SyncRequest(cursors=[cursor]))).deltas


async def test_sync_without_a_cursor_brings_the_newest_page(world: World) -> None:
    one, other, conversation_id = await world.pair()
    for number in range(5):
        await send(one, conversation_id, f"message {number + 1}")
    answer = await other.messaging.Sync(messaging.SyncRequest(limit=2))
    assert [delta.conversation.conversation_id for delta in answer.deltas] == [conversation_id]
    assert [message.seq for message in answer.deltas[0].messages] == [4, 5]


async def test_a_cursor_ahead_of_the_conversation_brings_nothing_and_breaks_nothing(world: World) -> None:
    one, _, conversation_id = await world.pair()
    await send(one, conversation_id, "hello")
    cursor = messages.Cursor(conversation_id=conversation_id, seq=2**62)
    assert not [
        m for d in (await one.messaging.Sync(messaging.SyncRequest(cursors=[cursor]))).deltas for m in d.messages
    ]


async def test_too_many_cursors_are_refused_by_field(world: World) -> None:
    cursors = [messages.Cursor(conversation_id=str(uuid.uuid4())) for _ in range(1001)]
    with refused(INVALID, "FIELD_INVALID") as refusal:
        await world.device().messaging.Sync(messaging.SyncRequest(cursors=cursors))
    assert refusal.fields == ("cursors",)


async def test_the_read_cursor_only_moves_forward_and_the_peer_sees_it(world: World) -> None:
    one, other, conversation_id = await world.pair()
    for number in range(3):
        await send(one, conversation_id, f"message {number + 1}")
    moves = [(2, 2), (1, 2), (3, 3), (3, 3)]
    for seq, stands in moves:
        answer = await other.messaging.MarkRead(messaging.MarkReadRequest(conversation_id=conversation_id, seq=seq))
        assert answer.read_seq == stands
    seen = await one.messaging.GetConversation(messaging.GetConversationRequest(conversation_id=conversation_id))
    assert {member.user_id: member.read_seq for member in seen.conversation.members}[other.user_id] == 3


async def test_what_is_not_there_cannot_have_been_read(world: World) -> None:
    one, other, conversation_id = await world.pair()
    await send(one, conversation_id, "hello")
    answer = await other.messaging.MarkRead(messaging.MarkReadRequest(conversation_id=conversation_id, seq=2**40))
    assert answer.read_seq == 1
