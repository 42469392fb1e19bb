"""The contract of messaging's store, held by the fake and PostgreSQL: conversations, messages, sync, read cursors."""

import asyncio
from datetime import timedelta
from uuid import UUID

from services.messaging.kernel.content import CallOutcome, CallRecord, Text
from services.messaging.kernel.errors import ConversationNotFound
from services.messaging.kernel.model import (
    ConversationId,
    Cursor,
    Draft,
    Message,
    MessageId,
    PageMark,
    UserId,
)
from services.runtime.ids import new_id
from tests.support.clock import ManualClock
from tests.support.messaging_cases import Store
from tests.support.messaging_store import (
    ALICE,
    BOB,
    CAROL,
    fill,
    opened,
    text,
)


async def test_a_pair_has_one_conversation(store: Store, clock: ManualClock) -> None:
    first = await opened(store, clock, ALICE, BOB)
    clock.advance(1)
    second = await opened(store, clock, BOB, ALICE)
    assert second == first
    assert [member.user_id for member in second.members] == [ALICE, BOB]


async def test_a_pair_has_one_conversation_even_in_a_race(store: Store, clock: ManualClock) -> None:
    conversations = await asyncio.gather(*(opened(store, clock) for _ in range(10)))
    assert len({conversation.id for conversation in conversations}) == 1


async def test_messages_are_numbered_without_gaps_and_come_back_as_they_were(store: Store, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    record = CallRecord(UUID(int=9), True, CallOutcome.COMPLETED, timedelta(seconds=83), (ALICE, BOB))
    call = Draft(MessageId(new_id(clock.now())), conversation.id, BOB, "call", clock.now(), record)
    outcomes = await store.append([text(clock, conversation, "a"), call, text(clock, conversation, "b", BOB)])
    assert [outcome.seq for outcome in outcomes if isinstance(outcome, Message)] == [1, 2, 3]
    assert list(await store.list_messages(conversation.id, 0, None, 10)) == list(reversed(outcomes))
    found = await store.find_conversation(conversation.id)
    assert found is not None
    assert found.last_seq == 3


async def test_a_repeated_key_gives_the_first_message(store: Store, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    first = (await store.append([text(clock, conversation, "k")]))[0]
    clock.advance(5)
    again = await store.append(
        [text(clock, conversation, "k"), text(clock, conversation, "k"), text(clock, conversation, "other")]
    )
    assert again[:2] == [first, first]
    assert isinstance(again[2], Message)
    assert again[2].seq == 2


async def test_concurrent_retries_store_one_message(store: Store, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    outcomes = await asyncio.gather(*(store.append([text(clock, conversation, "k")]) for _ in range(8)))
    assert len({message.id for batch in outcomes for message in batch if isinstance(message, Message)}) == 1
    found = await store.find_conversation(conversation.id)
    assert found is not None
    assert found.last_seq == 1


async def test_concurrent_batches_over_the_same_conversations_neither_deadlock_nor_leave_gaps(
    store: Store, clock: ManualClock
) -> None:
    conversations = [await opened(store, clock, ALICE, UserId(f"peer{number}")) for number in range(4)]
    batches = [
        [text(clock, conversations[(turn + step) % 4], f"{turn}-{step}") for step in range(4)] for turn in range(12)
    ]
    await asyncio.gather(*(store.append(batch) for batch in batches))
    for conversation in conversations:
        seqs = [message.seq for message in await store.list_messages(conversation.id, 0, None, 100)]
        assert seqs == list(range(12, 0, -1))


async def test_who_is_not_in_it_and_what_is_not_there_is_refused(store: Store, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    nowhere = Draft(MessageId(new_id(clock.now())), ConversationId(UUID(int=5)), ALICE, "k", clock.now(), Text("x"))
    outcomes = await store.append([text(clock, conversation, "k", CAROL), nowhere])
    assert isinstance(outcomes[0], ConversationNotFound)
    assert isinstance(outcomes[1], ConversationNotFound)
    assert await store.find_conversation(ConversationId(UUID(int=5))) is None


async def test_history_pages_begin_below_a_number(store: Store, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    await fill(store, clock, conversation, 6)
    page = await store.list_messages(conversation.id, 0, 4, 2)
    assert [message.seq for message in page] == [3, 2]


async def test_conversations_are_listed_by_activity(store: Store, clock: ManualClock) -> None:
    quiet = await opened(store, clock, ALICE, BOB)
    clock.advance(1)
    empty = await opened(store, clock, ALICE, CAROL)
    clock.advance(1)
    await fill(store, clock, quiet, 2)
    rows = await store.list_conversations(ALICE, None, 10, clock.now())
    assert [(row.conversation.id, row.last_message.seq if row.last_message else None) for row in rows] == [
        (quiet.id, 2),
        (empty.id, None),
    ]
    below = await store.list_conversations(ALICE, PageMark(rows[0].active_at, quiet.id), 10, clock.now())
    assert [row.conversation.id for row in below] == [empty.id]
    assert [row.conversation.id for row in await store.list_conversations(BOB, None, 10, clock.now())] == [quiet.id]


async def test_sync_gives_what_the_cursors_lack_in_order(store: Store, clock: ManualClock) -> None:
    known, new, current = [await opened(store, clock, ALICE, UserId(f"peer{number}")) for number in range(3)]
    for conversation, count in ((known, 5), (new, 4), (current, 2)):
        clock.advance(1)
        await fill(store, clock, conversation, count)
    deltas = await store.sync(ALICE, {known.id: Cursor(2), current.id: Cursor(2)}, None, 3, 100, clock.now())
    assert [(delta.conversation.id, [m.seq for m in delta.messages], delta.has_more) for delta in deltas] == [
        (known.id, [3, 4, 5], False),
        (new.id, [2, 3, 4], False),
    ]
    short = await store.sync(
        ALICE, {known.id: Cursor(1), current.id: Cursor(2), new.id: Cursor(4)}, None, 3, 100, clock.now()
    )
    assert [([m.seq for m in delta.messages], delta.has_more) for delta in short] == [([2, 3, 4], True)]
    assert len(await store.sync(ALICE, {}, None, 3, 2, clock.now())) == 2
    assert await store.sync(CAROL, {known.id: Cursor(0)}, None, 3, 100, clock.now()) == []
