"""The contract of what the sweeper erases, held by the fake and PostgreSQL."""

import asyncio
from datetime import timedelta

import pytest

from services.messaging.kernel.content import Expired, Text
from services.messaging.kernel.errors import MessageNotFound
from services.messaging.kernel.model import Conversation, Cursor, Message
from services.messaging.messages.core import changes
from services.messaging.messages.core.changes import ChangePolicy
from services.messaging.pins.core import pin
from services.messaging.pins.ports import PinStore
from services.messaging.receipts.ports import ReceiptStore
from services.messaging.search.core import query_of
from services.messaging.vanishing.core import set_vanishing
from services.messaging.vanishing.ports import SweepStore
from services.runtime.postgres.database import Database
from tests.support.clock import ManualClock
from tests.support.messaging_cases import Store
from tests.support.messaging_news import News
from tests.support.messaging_store import ALICE, BOB, fail, fill, founded, opened, own, reacted, stamp, text

FIVE_MINUTES = timedelta(minutes=5)
CONTENT_TABLES = ("message_edits", "reactions", "poll_votes", "openings", "message_words", "pins")


async def vanishing_conversation(store: Store, clock: ManualClock, count: int) -> Conversation:
    """The line of the setting, and then so many texts, a second apart, that vanish after five minutes."""
    conversation = await opened(store, clock)
    await store.change_group(conversation.id, lambda before: set_vanishing(before, ALICE, FIVE_MINUTES), stamp(clock))
    for number in range(count):
        clock.advance(1)
        await store.append([text(clock, conversation, f"v{number}")])
    return conversation


async def edited(store: Store, clock: ManualClock, conversation: Conversation, seq: int) -> None:
    await store.change_message(
        conversation.id,
        seq,
        lambda _, message: changes.edit(message or fail(seq), ALICE, Text("newer"), clock.now(), ChangePolicy()),
        clock.now(),
    )


async def contents(store: Store, conversation: Conversation) -> list[str]:
    messages = await store.list_messages(conversation.id, 0, None, 100)
    return [type(message.content).__name__ for message in reversed(messages)]


async def test_a_message_carries_its_end_from_the_setting_at_its_sending(store: Store, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    await fill(store, clock, conversation, 1)
    by_bob = stamp(clock, BOB)
    after = await store.change_group(conversation.id, lambda before: set_vanishing(before, BOB, FIVE_MINUTES), by_bob)
    assert (after.vanish_after, after.revision, after.last_seq) == (FIVE_MINUTES, 1, 2)
    (sent,) = await store.append([text(clock, conversation, "later")])
    assert isinstance(sent, Message)
    found = await store.list_messages(conversation.id, 0, None, 10)
    assert [message.expires_at for message in found] == [clock.now() + FIVE_MINUTES, None, None]
    (again,) = await store.append([text(clock, conversation, "later")])
    assert again == sent == found[0]


async def test_when_its_time_is_over_nothing_of_a_message_is_kept(
    store: Store, sweeps: SweepStore, news: News, clock: ManualClock
) -> None:
    conversation = await vanishing_conversation(store, clock, 2)
    await edited(store, clock, conversation, 2)
    await reacted(store, clock, conversation, 2, BOB, "👍")
    await store.index_words([(conversation.id, 2), (conversation.id, 3)])
    clock.advance(299.5)
    assert await sweeps.expire_due(clock.now(), 10) == 1
    assert await sweeps.expire_due(clock.now(), 10) == 0
    gone = await store.find_message(conversation.id, 2)
    assert gone is not None
    assert (gone.content, gone.reactions, gone.edit_count, gone.revision) == (Expired(), (), 0, 4)
    assert await store.list_edits(conversation.id, 2) == []
    assert [message.seq for message in await store.search(BOB, query_of("text newer"), None, None, 9)] == []
    assert await contents(store, conversation) == ["SystemContent", "Expired", "Text"]
    last = (await news.events())[-1].message_changed.message
    assert (last.seq, last.revision, last.WhichOneof("content")) == (2, 4, "expired")


async def test_a_device_that_was_away_learns_by_sync_what_vanished(
    store: Store, sweeps: SweepStore, clock: ManualClock
) -> None:
    conversation = await vanishing_conversation(store, clock, 3)
    clock.advance(400)
    assert await sweeps.expire_due(clock.now(), 10) == 3
    first = (await store.sync(BOB, {conversation.id: Cursor(4, 1)}, None, 2, 10, clock.now()))[0]
    rest = (await store.sync(BOB, {conversation.id: first.cursor}, None, 2, 10, clock.now()))[0]
    told = [(message.seq, message.revision, message.content) for message in (*first.changed, *rest.changed)]
    assert told == [(2, 2, Expired()), (3, 3, Expired()), (4, 4, Expired())]
    assert (first.has_more, rest.has_more, rest.cursor) == (True, False, Cursor(4, 4))


async def test_the_longest_overdue_go_first_in_batches(store: Store, sweeps: SweepStore, clock: ManualClock) -> None:
    conversation = await vanishing_conversation(store, clock, 5)
    clock.advance(400)
    assert [await sweeps.expire_due(clock.now(), 2) for _ in range(4)] == [2, 2, 1, 0]
    assert await contents(store, conversation) == ["SystemContent", *["Expired"] * 5]


async def test_what_was_unsent_before_its_time_stays_so(store: Store, sweeps: SweepStore, clock: ManualClock) -> None:
    conversation = await vanishing_conversation(store, clock, 1)
    await store.change_message(
        conversation.id, 2, lambda _, message: changes.unsend(message or fail(2), ALICE), clock.now()
    )
    clock.advance(400)
    assert await sweeps.expire_due(clock.now(), 10) == 0
    assert await contents(store, conversation) == ["SystemContent", "Unsent"]


async def test_what_is_over_is_not_unread_even_before_the_sweep(
    store: Store, sweeps: SweepStore, receipts: ReceiptStore, clock: ManualClock
) -> None:
    conversation = await vanishing_conversation(store, clock, 3)
    await receipts.move_read_cursor(conversation.id, BOB, 2, clock.now())
    assert (await own(store, clock, BOB, conversation)).unread == 2
    clock.advance(299.5)
    assert (await own(store, clock, BOB, conversation)).unread == 1
    await sweeps.expire_due(clock.now(), 10)
    assert (await own(store, clock, BOB, conversation)).unread == 1


async def test_replicas_that_sweep_at_once_leave_one_tombstone_of_each_message(
    store: Store, sweeps: SweepStore, news: News, clock: ManualClock
) -> None:
    conversations = [await vanishing_conversation(store, clock, 1)]
    for number in range(6):
        group = await founded(store, clock, f"k{number}")
        await store.change_group(group.id, lambda before: set_vanishing(before, ALICE, FIVE_MINUTES), stamp(clock))
        await store.append([text(clock, group, str(key)) for key in range(10)])
        conversations.append(group)
    clock.advance(400)

    async def replica() -> int:
        return sum([await sweeps.expire_due(clock.now(), 7) for _ in range(12)])

    expired = sum(await asyncio.gather(*(replica() for _ in range(4))))
    while count := await sweeps.expire_due(clock.now(), 100):
        expired += count
    changed = [event.message_changed.message for event in await news.events() if event.HasField("message_changed")]
    places = {(message.conversation_id, message.seq) for message in changed}
    assert (expired, len(changed), len(places)) == (61, 61, 61)
    for conversation in conversations:
        revisions = [message.revision for message in changed if message.conversation_id == str(conversation.id)]
        assert revisions == list(range(2, 2 + len(revisions)))


async def test_old_messages_are_deleted_from_the_beginning_in_batches(
    store: Store, sweeps: SweepStore, news: News, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    await fill(store, clock, conversation, 5)
    clock.advance(100)
    cutoff = clock.now()
    await store.append([text(clock, conversation, "new")])
    assert [await sweeps.delete_old(conversation.id, cutoff, clock.now(), 3) for _ in range(3)] == [3, 2, 0]
    assert [message.seq for message in await store.list_messages(conversation.id, 0, None, 10)] == [6]
    found = await store.find_conversation(conversation.id)
    assert found is not None
    assert (found.history_start_seq, found.last_seq, found.revision) == (5, 6, 2)
    told = [event.conversation_changed.conversation for event in await news.events()][-2:]
    assert [(card.history_start_seq, card.revision) for card in told] == [(3, 1), (5, 2)]
    await store.append([text(clock, conversation, "next")])
    assert [message.seq for message in await store.list_messages(conversation.id, 0, None, 10)] == [7, 6]


async def test_a_device_with_an_older_cursor_goes_on_from_where_the_history_begins(
    store: Store, sweeps: SweepStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    await fill(store, clock, conversation, 5)
    clock.advance(100)
    cutoff = clock.now()
    await store.append([text(clock, conversation, "six"), text(clock, conversation, "seven")])
    await sweeps.delete_old(conversation.id, cutoff, clock.now(), 100)
    for cursor in (Cursor(2), Cursor(5), None):
        (delta,) = await store.sync(BOB, {conversation.id: cursor} if cursor else {}, None, 10, 10, clock.now())
        assert ([message.seq for message in delta.messages], delta.cursor) == ([6, 7], Cursor(7, 1))
        assert delta.conversation.history_start_seq == 5
    assert (await own(store, clock, BOB, conversation)).unread == 2
    with pytest.raises(MessageNotFound):
        await reacted(store, clock, conversation, 3, BOB, "👍")


async def test_a_conversation_of_which_all_is_old_stays_with_nothing_in_it(
    store: Store, sweeps: SweepStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    await fill(store, clock, conversation, 2)
    await reacted(store, clock, conversation, 1, BOB, "👍")
    clock.advance(1)
    assert await sweeps.delete_old(conversation.id, clock.now(), clock.now(), 10) == 2
    (listed,) = await store.list_conversations(BOB, None, 10, clock.now())
    assert (listed.last_message, listed.own.unread) == (None, 0)
    (delta,) = await store.sync(BOB, {conversation.id: Cursor(1)}, None, 10, 10, clock.now())
    assert (delta.messages, delta.cursor) == ((), Cursor(2, 2))


async def test_the_walk_finds_each_conversation_with_old_messages(
    store: Store, sweeps: SweepStore, clock: ManualClock
) -> None:
    old = []
    for number in range(5):
        clock.advance(1)
        conversation = await founded(store, clock, f"k{number}")
        if number % 2 == 0:
            old.append(conversation.id)
        cutoff = clock.now() + timedelta(seconds=0.5)
    clock.advance(1)
    await founded(store, clock, "young")
    found, after, walks = [], None, 0
    while True:
        page, after = await sweeps.find_old(cutoff, after, 2)
        found += page
        walks += 1
        if after is None:
            break
    assert (len(found), len(set(found)), walks) == (5, 5, 4)
    assert set(old) <= set(found)


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
async def test_no_table_keeps_anything_of_what_is_gone(
    truth: Database, store: Store, sweeps: SweepStore, pins: PinStore, clock: ManualClock
) -> None:
    conversation = await vanishing_conversation(store, clock, 2)
    for seq in (2, 3):
        now = clock.now()
        await pins.change_pins(
            conversation.id, seq, lambda found, message, now=now: pin(found, message, ALICE, now), stamp(clock)
        )
        await edited(store, clock, conversation, seq)
        await reacted(store, clock, conversation, seq, BOB, "👍")
    await store.index_words([(conversation.id, 2), (conversation.id, 3)])
    await store.change_message(
        conversation.id, 2, lambda _, message: changes.unsend(message or fail(2), ALICE), clock.now()
    )
    clock.advance(400)
    await sweeps.expire_due(clock.now(), 10)
    async with truth.connection() as connection:
        left = [await connection.fetchval(f"SELECT count(*) FROM {table}") for table in CONTENT_TABLES]
        said = await connection.fetchval(
            "SELECT count(*) FROM messages WHERE body <> '' OR entities IS NOT NULL OR call IS NOT NULL"
        )
    assert (left, said) == ([0] * len(CONTENT_TABLES), 0)
