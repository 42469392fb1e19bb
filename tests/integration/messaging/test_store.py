"""The contract of messaging's store, held by the fake and by PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from services.messaging.core import changes, groups
from services.messaging.core.changes import ChangePolicy
from services.messaging.core.errors import ConversationNotFound, NotAMember, RoleTooLow
from services.messaging.core.groups import Settings
from services.messaging.core.model import (
    CallOutcome,
    CallRecord,
    Conversation,
    ConversationId,
    Cursor,
    Draft,
    Edit,
    Line,
    LineKind,
    Mention,
    Message,
    MessageId,
    PageMark,
    Role,
    Text,
    Unsent,
    UserId,
    open_direct,
)
from services.messaging.core.own_state import OwnChange, OwnState
from services.messaging.core.searching import query_of
from services.messaging.ports import Invite, LineStamp, Store
from services.messaging.store import PostgresStore
from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.db import Database
from services.runtime.ids import new_id
from services.runtime.outbox import OutboxRelay
from tests.support.bus import MemoryPublisher
from tests.support.clock import ManualClock
from tests.support.db import connected
from tests.support.messaging import FakeStore

ALICE, BOB, CAROL = UserId("alice"), UserId("bob"), UserId("carol")


@pytest.fixture(params=["fake", "postgres"])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "fake" else str(request.getfixturevalue("database_url"))


@pytest.fixture
async def store(url: str | None) -> AsyncIterator[Store]:
    if url is None:
        yield FakeStore()
        return
    async with connected(Database(DatabaseConfig(url, pool_size=6), MIGRATIONS)) as database:
        yield PostgresStore(database, OutboxRelay(database, MemoryPublisher()), new_id)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def opened(store: Store, clock: ManualClock, one: UserId = ALICE, other: UserId = BOB) -> Conversation:
    return await store.open_direct(open_direct(ConversationId(new_id(clock.now())), one, other, clock.now()))


def text(clock: ManualClock, room: Conversation, key: str, sender: UserId = ALICE) -> Draft:
    return Draft(MessageId(new_id(clock.now())), room.id, sender, key, clock.now(), Text(f"text {key}"))


async def fill(store: Store, clock: ManualClock, room: Conversation, count: int) -> None:
    await store.append([text(clock, room, str(number)) for number in range(1, count + 1)])


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
    room = await opened(store, clock)
    record = CallRecord(UUID(int=9), True, CallOutcome.COMPLETED, timedelta(seconds=83))
    call = Draft(MessageId(new_id(clock.now())), room.id, BOB, "call", clock.now(), record)
    outcomes = await store.append([text(clock, room, "a"), call, text(clock, room, "b", BOB)])
    assert [outcome.seq for outcome in outcomes if isinstance(outcome, Message)] == [1, 2, 3]
    assert list(await store.list_messages(room.id, 0, None, 10)) == list(reversed(outcomes))
    found = await store.find_conversation(room.id)
    assert found is not None
    assert found.last_seq == 3


async def test_a_repeated_key_gives_the_first_message(store: Store, clock: ManualClock) -> None:
    room = await opened(store, clock)
    first = (await store.append([text(clock, room, "k")]))[0]
    clock.advance(5)
    again = await store.append([text(clock, room, "k"), text(clock, room, "k"), text(clock, room, "other")])
    assert again[:2] == [first, first]
    assert isinstance(again[2], Message)
    assert again[2].seq == 2


async def test_concurrent_retries_store_one_message(store: Store, clock: ManualClock) -> None:
    room = await opened(store, clock)
    outcomes = await asyncio.gather(*(store.append([text(clock, room, "k")]) for _ in range(8)))
    assert len({message.id for batch in outcomes for message in batch if isinstance(message, Message)}) == 1
    found = await store.find_conversation(room.id)
    assert found is not None
    assert found.last_seq == 1


async def test_concurrent_batches_over_the_same_conversations_neither_deadlock_nor_leave_gaps(
    store: Store, clock: ManualClock
) -> None:
    rooms = [await opened(store, clock, ALICE, UserId(f"peer{number}")) for number in range(4)]
    batches = [[text(clock, rooms[(turn + step) % 4], f"{turn}-{step}") for step in range(4)] for turn in range(12)]
    await asyncio.gather(*(store.append(batch) for batch in batches))
    for room in rooms:
        seqs = [message.seq for message in await store.list_messages(room.id, 0, None, 100)]
        assert seqs == list(range(12, 0, -1))


async def test_who_is_not_in_it_and_what_is_not_there_is_refused(store: Store, clock: ManualClock) -> None:
    room = await opened(store, clock)
    nowhere = Draft(MessageId(new_id(clock.now())), ConversationId(UUID(int=5)), ALICE, "k", clock.now(), Text("x"))
    outcomes = await store.append([text(clock, room, "k", CAROL), nowhere])
    assert isinstance(outcomes[0], NotAMember)
    assert isinstance(outcomes[1], ConversationNotFound)
    assert await store.find_conversation(ConversationId(UUID(int=5))) is None


async def test_history_pages_begin_below_a_number(store: Store, clock: ManualClock) -> None:
    room = await opened(store, clock)
    await fill(store, clock, room, 6)
    page = await store.list_messages(room.id, 0, 4, 2)
    assert [message.seq for message in page] == [3, 2]


async def test_conversations_are_listed_by_activity(store: Store, clock: ManualClock) -> None:
    quiet = await opened(store, clock, ALICE, BOB)
    clock.advance(1)
    empty = await opened(store, clock, ALICE, CAROL)
    clock.advance(1)
    await fill(store, clock, quiet, 2)
    rows = await store.list_conversations(ALICE, None, 10)
    assert [(row.conversation.id, row.last_message.seq if row.last_message else None) for row in rows] == [
        (quiet.id, 2),
        (empty.id, None),
    ]
    below = await store.list_conversations(ALICE, PageMark(rows[0].active_at, quiet.id), 10)
    assert [row.conversation.id for row in below] == [empty.id]
    assert [row.conversation.id for row in await store.list_conversations(BOB, None, 10)] == [quiet.id]


async def test_a_read_cursor_moves_forward_only_and_not_beyond_the_end(store: Store, clock: ManualClock) -> None:
    room = await opened(store, clock)
    await fill(store, clock, room, 3)
    assert await store.move_read_cursor(room.id, BOB, 2, clock.now()) == 2
    assert await store.move_read_cursor(room.id, BOB, 1, clock.now()) == 2
    assert await store.move_read_cursor(room.id, BOB, 9, clock.now()) == 3
    assert await store.move_read_cursor(room.id, CAROL, 1, clock.now()) is None
    found = await store.find_conversation(room.id)
    assert found is not None
    assert {member.user_id: member.read_seq for member in found.members} == {ALICE: 0, BOB: 3}


async def test_sync_gives_what_the_cursors_lack_in_order(store: Store, clock: ManualClock) -> None:
    known, new, current = [await opened(store, clock, ALICE, UserId(f"peer{number}")) for number in range(3)]
    for room, count in ((known, 5), (new, 4), (current, 2)):
        clock.advance(1)
        await fill(store, clock, room, count)
    deltas = await store.sync(ALICE, {known.id: Cursor(2), current.id: Cursor(2)}, None, 3, 100)
    assert [(delta.conversation.id, [m.seq for m in delta.messages], delta.has_more) for delta in deltas] == [
        (known.id, [3, 4, 5], False),
        (new.id, [2, 3, 4], False),
    ]
    short = await store.sync(ALICE, {known.id: Cursor(1), current.id: Cursor(2), new.id: Cursor(4)}, None, 3, 100)
    assert [([m.seq for m in delta.messages], delta.has_more) for delta in short] == [([2, 3, 4], True)]
    assert len(await store.sync(ALICE, {}, None, 3, 2)) == 2
    assert await store.sync(CAROL, {known.id: Cursor(0)}, None, 3, 100) == []


async def test_sync_tells_of_read_cursors_that_moved_since(store: Store, clock: ManualClock) -> None:
    room = await opened(store, clock)
    await fill(store, clock, room, 2)
    clock.advance(10)
    await store.move_read_cursor(room.id, BOB, 2, clock.now())
    since = clock.now() - timedelta(seconds=1)
    deltas = await store.sync(ALICE, {room.id: Cursor(2)}, since, 10, 10)
    assert [delta.messages for delta in deltas] == [()]
    assert max(member.read_seq for member in deltas[0].conversation.members) == 2
    assert await store.sync(ALICE, {room.id: Cursor(2)}, clock.now() + timedelta(seconds=1), 10, 10) == []


async def test_members_and_contacts_are_those_of_shared_conversations(store: Store, clock: ManualClock) -> None:
    room = await opened(store, clock)
    members = await store.recipients_of([room.id, ConversationId(UUID(int=5))])
    assert {key: [person.user_id for person in value] for key, value in members.items()} == {room.id: [ALICE, BOB]}
    assert list(await store.contacts_among(ALICE, [ALICE, BOB, CAROL])) == [BOB]


# Groups, changes of messages, and the sync of both.


def stamp(clock: ManualClock, actor: UserId = ALICE) -> LineStamp:
    return LineStamp(MessageId(new_id(clock.now())), actor, clock.now())


async def founded(store: Store, clock: ManualClock, key: str = "k", *others: UserId) -> Conversation:
    made = groups.create_group(
        ConversationId(new_id(clock.now())), ALICE, others or (BOB,), Settings("Trip"), clock.now()
    )
    return await store.create_group(made, key, stamp(clock))


async def added(store: Store, clock: ManualClock, room: Conversation, *users: UserId) -> Conversation:
    return await store.change_group(
        room.id, lambda group: groups.add_members(group, ALICE, users, clock.now(), 256), stamp(clock)
    )


async def left(store: Store, clock: ManualClock, room: Conversation, user: UserId) -> Conversation:
    return await store.change_group(room.id, lambda group: groups.leave(group, user), stamp(clock, user))


async def reacted(store: Store, clock: ManualClock, room: Conversation, seq: int, user: UserId, emoji: str) -> Message:
    return await store.change_message(
        room.id,
        seq,
        lambda conversation, message: changes.react(
            changes.find_visible(conversation, user, message), user, emoji, ChangePolicy(), present=True
        ),
        clock.now(),
    )


async def test_a_group_is_made_once_for_a_key_and_begins_with_a_line(store: Store, clock: ManualClock) -> None:
    room = await founded(store, clock)
    assert await founded(store, clock) == room
    assert (await founded(store, clock, "other")).id != room.id
    assert [(m.user_id, m.role) for m in room.members] == [(ALICE, Role.OWNER), (BOB, Role.MEMBER)]
    lines = await store.list_messages(room.id, 0, None, 10)
    assert [line.content for line in lines] == [Line(LineKind.CREATED)]
    assert await store.find_conversation(room.id) == room


async def test_a_change_of_a_group_is_there_with_its_line(store: Store, clock: ManualClock) -> None:
    room = await founded(store, clock)
    await fill(store, clock, room, 2)
    grown = await added(store, clock, room, CAROL)
    assert (grown.revision, grown.last_seq) == (1, 4)
    carol = grown.member(CAROL)
    assert carol is not None
    assert carol.visible_after_seq == 3
    renamed = await store.change_group(
        room.id, lambda group: groups.update(group, ALICE, Settings(title="Trips")), stamp(clock)
    )
    shrunk = await left(store, clock, room, BOB)
    assert renamed.title == shrunk.title == "Trips"
    assert [member.user_id for member in shrunk.members] == [ALICE, CAROL]
    assert await store.find_conversation(room.id) == shrunk
    lines = [message.content for message in await store.list_messages(room.id, 3, None, 10)]
    assert lines == [
        Line(LineKind.LEFT),
        Line(LineKind.RENAMED, title="Trips"),
        Line(LineKind.ADDED, (CAROL,)),
    ]


async def test_what_a_decision_refuses_changes_nothing(store: Store, clock: ManualClock) -> None:
    room = await founded(store, clock)
    with pytest.raises(RoleTooLow):
        await store.change_group(room.id, lambda group: groups.update(group, BOB, Settings("x")), stamp(clock, BOB))
    assert await store.find_conversation(room.id) == room
    with pytest.raises(ConversationNotFound):
        await store.change_group(ConversationId(UUID(int=5)), lambda _: None, stamp(clock))


async def test_concurrent_changes_of_a_group_lose_none(store: Store, clock: ManualClock) -> None:
    room = await founded(store, clock)
    people = [UserId(f"person{number}") for number in range(8)]
    await asyncio.gather(*(added(store, clock, room, person) for person in people))
    found = await store.find_conversation(room.id)
    assert found is not None
    assert {member.user_id for member in found.members} == {ALICE, BOB, *people}
    assert (found.revision, found.last_seq) == (8, 9)


async def test_an_edit_keeps_what_was_and_an_unsending_keeps_nothing(store: Store, clock: ManualClock) -> None:
    room = await founded(store, clock)
    rich = Text("hi @bob", (Mention(3, 4, BOB),))
    draft = Draft(MessageId(new_id(clock.now())), room.id, ALICE, "k", clock.now(), rich, reply_to_seq=1)
    sent = (await store.append([draft]))[0]
    assert isinstance(sent, Message)
    assert await store.find_message(room.id, 2) == sent
    clock.advance(5)
    edited = await store.change_message(
        room.id,
        2,
        lambda _, message: changes.edit(message or sent, ALICE, Text("hello"), clock.now(), ChangePolicy()),
        clock.now(),
    )
    assert (edited.revision, edited.edit_count, edited.edited_at) == (1, 1, clock.now())
    assert await store.find_message(room.id, 2) == edited
    assert list(await store.list_edits(room.id, 2)) == [Edit(rich, sent.sent_at)]
    await reacted(store, clock, room, 2, BOB, "👍")
    gone = await store.change_message(
        room.id, 2, lambda _, message: changes.unsend(message or sent, ALICE), clock.now()
    )
    assert (gone.content, gone.revision, gone.reactions) == (Unsent(), 3, ())
    assert await store.find_message(room.id, 2) == gone
    assert list(await store.list_edits(room.id, 2)) == []
    # The key stays: a retry of the sending gets what stands, and nothing new.
    assert (await store.append([draft]))[0] == gone


async def test_reactions_come_with_their_message(store: Store, clock: ManualClock) -> None:
    room = await founded(store, clock, "k", BOB, CAROL)
    await fill(store, clock, room, 1)
    for user, emoji in ((BOB, "👍"), (CAROL, "👍"), (ALICE, "❤"), (BOB, "👍")):
        after = await reacted(store, clock, room, 2, user, emoji)
    assert {r.emoji: r.user_ids for r in after.reactions} == {"👍": (BOB, CAROL), "❤": (ALICE,)}
    assert after.revision == 3
    assert await store.find_message(room.id, 2) == after


async def test_sync_tells_what_changed_in_messages_that_the_device_has(store: Store, clock: ManualClock) -> None:
    room = await founded(store, clock)
    await fill(store, clock, room, 4)
    for seq in (4, 2, 3):
        await reacted(store, clock, room, seq, BOB, "👍")
    delta = (await store.sync(ALICE, {room.id: Cursor(3, 0)}, None, 10, 10))[0]
    assert [message.seq for message in delta.messages] == [4, 5]
    assert [(message.seq, message.revision) for message in delta.changed] == [(2, 2), (3, 3)]
    assert delta.cursor == Cursor(5, 3)
    first = (await store.sync(ALICE, {room.id: Cursor(5, 0)}, None, 2, 10))[0]
    assert ([message.seq for message in first.changed], first.has_more, first.cursor) == ([4, 2], True, Cursor(5, 2))
    rest = (await store.sync(ALICE, {room.id: first.cursor}, None, 2, 10))[0]
    assert ([message.seq for message in rest.changed], rest.has_more, rest.cursor) == ([3], False, Cursor(5, 3))
    assert await store.sync(ALICE, {room.id: rest.cursor}, None, 2, 10) == []


async def test_nobody_syncs_what_was_said_before_the_coming(store: Store, clock: ManualClock) -> None:
    room = await founded(store, clock)
    await fill(store, clock, room, 3)
    await added(store, clock, room, CAROL)
    await reacted(store, clock, room, 2, BOB, "👍")
    for cursors in ({}, {room.id: Cursor(0, 0)}, {room.id: Cursor(4, 0)}):
        delta = (await store.sync(CAROL, cursors, None, 10, 10))[0]
        assert [message.seq for message in delta.messages] == [5]
        assert delta.changed == ()
    listed = await store.list_conversations(CAROL, None, 5)
    assert [row.last_message.seq for row in listed if row.last_message] == [5]


async def test_who_left_is_in_no_sync_and_gets_no_news(store: Store, clock: ManualClock) -> None:
    room = await founded(store, clock)
    await left(store, clock, room, BOB)
    assert await store.sync(BOB, {room.id: Cursor(1, 0)}, None, 10, 10) == []
    assert set(await store.joined_of(BOB, [room.id])) == set()
    assert set(await store.joined_of(ALICE, [room.id])) == {room.id}
    assert [person.user_id for person in (await store.recipients_of([room.id]))[room.id]] == [ALICE]


async def test_a_newer_invite_replaces_the_older_and_each_expires(store: Store, clock: ManualClock) -> None:
    room = await founded(store, clock)
    end = clock.now() + timedelta(days=1)
    await store.put_invite(Invite(b"one", room.id, ALICE, end))
    assert await store.find_invite(b"one", clock.now()) == room.id
    await store.put_invite(Invite(b"two", room.id, ALICE, end))
    assert await store.find_invite(b"one", clock.now()) is None
    assert await store.find_invite(b"two", end) is None
    await store.revoke_invites(room.id)
    assert await store.find_invite(b"two", clock.now()) is None


# How each person keeps a conversation.


async def own(store: Store, user: UserId, room: Conversation) -> OwnState:
    return next(row.own for row in await store.list_conversations(user, None, 10) if row.conversation.id == room.id)


async def test_what_one_sets_stays_and_is_ones_own(store: Store, clock: ManualClock) -> None:
    room = await founded(store, clock)
    week = clock.now() + timedelta(days=7)
    for change in (OwnChange(pinned=True), OwnChange(mute_until=week), OwnChange(marked_unread=True)):
        state = await store.change_own_state(room.id, ALICE, change, clock.now())
    assert state == OwnState(pinned=True, marked_unread=True, muted_until=week)
    assert await own(store, ALICE, room) == state
    assert await own(store, BOB, room) == OwnState()
    assert await store.change_own_state(room.id, CAROL, OwnChange(pinned=True), clock.now()) is None
    unmuted = await store.change_own_state(room.id, ALICE, OwnChange(mute_until=clock.now()), clock.now())
    assert unmuted == OwnState(pinned=True, marked_unread=True)


async def test_unread_counts_what_others_wrote_and_still_stands(store: Store, clock: ManualClock) -> None:
    room = await founded(store, clock)
    sent = await store.append(
        [text(clock, room, str(number), sender) for number, sender in enumerate([BOB, BOB, ALICE, BOB])]
    )
    assert [(await own(store, user, room)).unread for user in (ALICE, BOB)] == [3, 1]
    await store.change_message(room.id, 2, lambda _, message: changes.unsend(message or fail(sent), BOB), clock.now())
    assert (await own(store, ALICE, room)).unread == 2
    await store.move_read_cursor(room.id, ALICE, 3, clock.now())
    assert (await own(store, ALICE, room)).unread == 1
    await added(store, clock, room, CAROL)
    assert (await own(store, CAROL, room)).unread == 0


async def test_reading_takes_the_mark_away_and_sync_tells_it(store: Store, clock: ManualClock) -> None:
    room = await founded(store, clock)
    await fill(store, clock, room, 1)
    await store.change_own_state(room.id, BOB, OwnChange(marked_unread=True), clock.now())
    clock.advance(10)
    current = {room.id: Cursor(2, 0)}
    assert await store.sync(BOB, current, clock.now(), 10, 10) == []
    clock.advance(1)
    await store.move_read_cursor(room.id, BOB, 2, clock.now())
    deltas = await store.sync(BOB, current, clock.now(), 10, 10)
    assert [(delta.messages, delta.own) for delta in deltas] == [((), OwnState())]


# Search.


async def said(store: Store, clock: ManualClock, room: Conversation, *texts: str) -> None:
    """Texts, a second apart, and findable."""
    for number, words in enumerate(texts):
        clock.advance(1)
        draft = Draft(MessageId(new_id(clock.now())), room.id, ALICE, f"s{number}", clock.now(), Text(words))
        (message,) = await store.append([draft])
        assert isinstance(message, Message)
        await store.index_words([(room.id, message.seq)])


async def found(store: Store, user: UserId, query: str, room: Conversation | None = None) -> list[int]:
    within = room.id if room else None
    return [message.seq for message in await store.search(user, query_of(query), within, None, 10)]


@pytest.mark.parametrize(
    ("text_said", "query"),
    [
        ("Das Café schließt", "cafe SCHLIESST"),
        ("السَّلامُ عليكم", "السلام"),
        ("أهلاً وسهلا", "اهلا"),
        ("Ｆｕｌｌ ｗｉｄｔｈ", "full width"),
        ("it's 3pm; DROP TABLE messages; --", "drop table"),
        ("number 42 is up", "42 nu"),
        ("naïve coöperation", "naive coop"),
    ],
)
async def test_a_text_is_found_by_its_words_in_any_form(
    store: Store, clock: ManualClock, text_said: str, query: str
) -> None:
    room = await founded(store, clock)
    await said(store, clock, room, text_said, "something else")
    assert await found(store, BOB, query) == [2]
    assert await found(store, BOB, query + " nowhere") == []


async def test_the_newest_come_first_in_pages(store: Store, clock: ManualClock) -> None:
    room = await founded(store, clock)
    await said(store, clock, room, "one fish", "two fish", "red fish", "blue fish")
    first = await store.search(BOB, query_of("fish"), None, None, 3)
    rest = await store.search(BOB, query_of("fish"), room.id, first[-1].id, 3)
    assert [message.seq for message in (*first, *rest)] == [5, 4, 3, 2]


async def test_nobody_finds_what_one_may_not_see(store: Store, clock: ManualClock) -> None:
    room = await founded(store, clock)
    other = await founded(store, clock, "other")
    await said(store, clock, room, "secret one")
    await added(store, clock, room, CAROL)
    await said(store, clock, room, "secret one", "secret two")
    assert await found(store, CAROL, "secret") == [4]
    assert await found(store, BOB, "secret", other) == []
    await left(store, clock, room, BOB)
    assert await found(store, BOB, "secret") == []


async def test_an_edited_text_is_found_by_its_new_words_and_an_unsent_one_not_at_all(
    store: Store, clock: ManualClock
) -> None:
    room = await founded(store, clock)
    await said(store, clock, room, "meet at noon")
    await store.change_message(
        room.id,
        2,
        lambda _, message: changes.edit(message or fail(2), ALICE, Text("meet at six"), clock.now(), ChangePolicy()),
        clock.now(),
    )
    assert await found(store, BOB, "noon") == []
    await store.index_words([(room.id, 2)])
    assert (await found(store, BOB, "six"), await found(store, BOB, "noon")) == ([2], [])
    await store.change_message(room.id, 2, lambda _, message: changes.unsend(message or fail(2), ALICE), clock.now())
    # A late event of the sending indexes nothing.
    await store.index_words([(room.id, 2)])
    assert await found(store, BOB, "six") == []


def fail(what: object) -> Message:
    raise AssertionError(f"not there: {what}")
