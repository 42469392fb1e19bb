"""The contract of the store of receipts, held by the fake and PostgreSQL: one's own cursor, and what others learn."""

import asyncio
from datetime import timedelta

import pytest

from services.messaging.kernel.model import Conversation, Cursor, Delta, UserId
from services.messaging.kernel.own_state import OwnChange, OwnState
from services.messaging.kernel.request import RequestState
from services.messaging.receipts.ports import ReceiptStore
from tests.support.clock import ManualClock
from tests.support.messaging_cases import Store
from tests.support.messaging_news import News
from tests.support.messaging_store import ALICE, BOB, CAROL, fill, founded, opened, own

TOLD = 32


async def shown(store: Store, conversation: Conversation, user: UserId = BOB) -> tuple[int, int]:
    """What others may know: read, delivered."""
    found = await store.find_conversation(conversation.id)
    member = found.member(user) if found else None
    assert member is not None
    return member.read_seq, member.delivered_seq


async def told(news: News) -> list[tuple[str, int, int]]:
    moved = [event.read_cursor_moved for event in await news.events() if event.HasField("read_cursor_moved")]
    return [(move.user_id, move.read_seq, move.delivered_seq) for move in moved]


async def synced(store: Store, clock: ManualClock, user: UserId, conversation: Conversation, seq: int) -> list[Delta]:
    """What Sync tells a device that has all messages, of the last second."""
    since = clock.now() - timedelta(seconds=1)
    return list(await store.sync(user, {conversation.id: Cursor(seq)}, since, 10, 10, clock.now()))


async def test_a_read_cursor_moves_forward_only_and_not_beyond_the_end(
    store: Store, receipts: ReceiptStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    await fill(store, clock, conversation, 3)
    assert await receipts.move_read_cursor(conversation.id, BOB, 2, clock.now()) == 2
    assert await receipts.move_read_cursor(conversation.id, BOB, 1, clock.now()) == 2
    assert await receipts.move_read_cursor(conversation.id, BOB, 9, clock.now()) == 3
    assert await receipts.move_read_cursor(conversation.id, CAROL, 1, clock.now()) is None
    assert await shown(store, conversation) == (3, 3)
    assert await shown(store, conversation, ALICE) == (0, 0)
    assert (await own(store, clock, BOB, conversation)).read_seq == 3


async def test_reading_is_told_to_the_others_and_to_ones_own_devices(
    store: Store, receipts: ReceiptStore, news: News, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    await fill(store, clock, conversation, 3)
    await receipts.move_delivered_cursors(BOB, {conversation.id: 3}, clock.now(), TOLD)
    await receipts.move_read_cursor(conversation.id, BOB, 2, clock.now())
    await receipts.move_read_cursor(conversation.id, BOB, 2, clock.now())
    assert await told(news) == [("bob", 0, 3), ("bob", 2, 0)]
    assert [
        (user, state.own_state.read_seq, state.own_state.unread_count) for user, state in await news.own_states()
    ] == [("bob", 2, 1)]


async def test_who_sends_no_receipts_reads_and_gets_unseen(
    store: Store, receipts: ReceiptStore, news: News, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    await fill(store, clock, conversation, 3)
    await news.send_receipts(BOB, wanted=False)
    clock.advance(10)
    await receipts.move_delivered_cursors(BOB, {conversation.id: 3}, clock.now(), TOLD)
    assert await receipts.move_read_cursor(conversation.id, BOB, 2, clock.now()) == 2
    assert await shown(store, conversation) == (0, 0)
    assert await told(news) == []
    assert await synced(store, clock, ALICE, conversation, 3) == []
    (mine,) = await synced(store, clock, BOB, conversation, 3)
    assert (mine.own.read_seq, mine.own.unread) == (2, 1)
    assert mine.conversation.member(BOB) == (await store.find_conversation(conversation.id) or conversation).member(BOB)
    assert [(user, state.own_state.read_seq) for user, state in await news.own_states()] == [("bob", 2)]


async def test_what_was_read_unseen_is_shown_with_the_next_move_only(
    store: Store, receipts: ReceiptStore, news: News, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    await fill(store, clock, conversation, 3)
    await news.send_receipts(BOB, wanted=False)
    await receipts.move_read_cursor(conversation.id, BOB, 2, clock.now())
    await news.send_receipts(BOB, wanted=True)
    await receipts.move_read_cursor(conversation.id, BOB, 2, clock.now())
    assert await shown(store, conversation) == (0, 0)
    await receipts.move_read_cursor(conversation.id, BOB, 3, clock.now())
    assert await shown(store, conversation) == (3, 3)
    assert await told(news) == [("bob", 3, 3)]


@pytest.mark.parametrize("request_state", [RequestState.PENDING, RequestState.DECLINED])
async def test_nobody_learns_what_becomes_of_a_request(
    store: Store, receipts: ReceiptStore, news: News, clock: ManualClock, request_state: RequestState
) -> None:
    conversation = await opened(store, clock)
    await fill(store, clock, conversation, 2)
    await news.stand(conversation.id, BOB, request_state)
    await receipts.move_read_cursor(conversation.id, BOB, 1, clock.now())
    await receipts.move_delivered_cursors(BOB, {conversation.id: 2}, clock.now(), TOLD)
    assert (await shown(store, conversation), await told(news)) == ((0, 0), [])
    await news.stand(conversation.id, BOB, RequestState.ACCEPTED)
    assert (await own(store, clock, BOB, conversation)).read_seq == 1
    await receipts.move_read_cursor(conversation.id, BOB, 2, clock.now())
    assert await shown(store, conversation) == (2, 2)


async def test_deliveries_are_told_by_the_batch_once_and_never_go_back(
    store: Store, receipts: ReceiptStore, news: News, clock: ManualClock
) -> None:
    empty, strange = await opened(store, clock), await opened(store, clock, ALICE, CAROL)
    group = await founded(store, clock)
    await fill(store, clock, strange, 1)
    places = {empty.id: 5, strange.id: 1, group.id: 99}
    for _ in range(2):
        await receipts.move_delivered_cursors(BOB, places, clock.now(), TOLD)
    await receipts.move_delivered_cursors(BOB, {group.id: 0}, clock.now(), TOLD)
    assert [await shown(store, group), await shown(store, empty)] == [(0, 1), (0, 0)]
    assert await told(news) == [("bob", 0, 1)]


async def test_in_a_large_conversation_deliveries_come_by_sync_alone(
    store: Store, receipts: ReceiptStore, news: News, clock: ManualClock
) -> None:
    group = await founded(store, clock, "k", BOB, CAROL)
    clock.advance(10)
    await receipts.move_delivered_cursors(BOB, {group.id: 1}, clock.now(), 2)
    assert await told(news) == []
    (delta,) = await synced(store, clock, ALICE, group, 1)
    member = delta.conversation.member(BOB)
    assert member is not None
    assert (member.read_seq, member.delivered_seq) == (0, 1)
    await receipts.move_delivered_cursors(CAROL, {group.id: 1}, clock.now(), 3)
    assert await told(news) == [("carol", 0, 1)]


async def test_two_devices_that_tell_of_the_same_places_at_once_do_not_block_each_other(
    store: Store, receipts: ReceiptStore, clock: ManualClock
) -> None:
    conversations = [await founded(store, clock, f"k{number}") for number in range(8)]
    one = {conversation.id: 1 for conversation in conversations}
    other = {conversation.id: 1 for conversation in reversed(conversations)}
    await asyncio.gather(
        *(receipts.move_delivered_cursors(BOB, places, clock.now(), TOLD) for places in (one, other) * 5)
    )
    assert [await shown(store, conversation) for conversation in conversations] == [(0, 1)] * 8


async def test_reading_takes_the_mark_away_even_when_all_was_read_and_sync_tells_it(
    store: Store, receipts: ReceiptStore, news: News, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    await fill(store, clock, conversation, 2)
    await receipts.move_read_cursor(conversation.id, BOB, 2, clock.now())
    await store.change_own_state(conversation.id, BOB, OwnChange(marked_unread=True), clock.now())
    clock.advance(10)
    assert await synced(store, clock, BOB, conversation, 2) == []
    await receipts.move_read_cursor(conversation.id, BOB, 2, clock.now())
    deltas = await synced(store, clock, BOB, conversation, 2)
    assert [(delta.messages, delta.own) for delta in deltas] == [((), OwnState(read_seq=2))]
    assert await synced(store, clock, ALICE, conversation, 2) == []
    assert [state.own_state.marked_unread for _, state in await news.own_states()][-1] is False


async def test_sync_tells_of_cursors_that_moved_since(store: Store, receipts: ReceiptStore, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    await fill(store, clock, conversation, 2)
    clock.advance(10)
    await receipts.move_read_cursor(conversation.id, BOB, 2, clock.now())
    (delta,) = await synced(store, clock, ALICE, conversation, 2)
    assert delta.messages == ()
    assert max(member.read_seq for member in delta.conversation.members) == 2
    later = clock.now() + timedelta(seconds=1)
    assert await store.sync(ALICE, {conversation.id: Cursor(2)}, later, 10, 10, clock.now()) == []


async def test_cursors_that_moved_take_no_place_of_messages_and_all_come_with_the_last_page(
    store: Store, receipts: ReceiptStore, clock: ManualClock
) -> None:
    moved = [await opened(store, clock, ALICE, UserId(f"peer{number}")) for number in range(4)]
    for conversation in moved:
        await fill(store, clock, conversation, 1)
    clock.advance(10)
    for number, conversation in enumerate(moved):
        await receipts.move_delivered_cursors(UserId(f"peer{number}"), {conversation.id: 1}, clock.now(), TOLD)
    fresh = [await opened(store, clock, ALICE, UserId(f"other{number}")) for number in range(2)]
    for conversation in fresh:
        await fill(store, clock, conversation, 1)
    cursors, since = {conversation.id: Cursor(1) for conversation in moved}, clock.now()
    first = await store.sync(ALICE, cursors, since, 10, 2, clock.now())
    assert {delta.conversation.id for delta in first} == {conversation.id for conversation in fresh}
    cursors[fresh[0].id] = Cursor(1)
    last = await store.sync(ALICE, cursors, since, 10, 2, clock.now())
    assert [delta.conversation.id for delta in last][:1] == [fresh[1].id]
    assert {delta.conversation.id for delta in last[1:]} == {conversation.id for conversation in moved}
