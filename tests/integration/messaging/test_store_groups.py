"""The contract of messaging's store, held by the fake and PostgreSQL: groups, changes of messages, and their sync."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from services.messaging.groups.core import changes as groups
from services.messaging.groups.core.changes import Settings
from services.messaging.groups.ports import Invite, InviteStore
from services.messaging.kernel.content import (
    CallOutcome,
    CallRecord,
    Mention,
    SystemContent,
    SystemKind,
    Text,
    Unsent,
)
from services.messaging.kernel.errors import ConversationNotFound, RoleTooLow
from services.messaging.kernel.model import (
    ConversationId,
    Cursor,
    Draft,
    Edit,
    Message,
    MessageId,
    Role,
    UserId,
)
from services.messaging.messages.core import changes
from services.messaging.messages.core.changes import ChangePolicy
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database
from tests.support.clock import ManualClock
from tests.support.messaging_cases import RelationStore, Store
from tests.support.messaging_memory import MemoryStore
from tests.support.messaging_store import (
    ALICE,
    BOB,
    CAROL,
    added,
    fill,
    founded,
    left,
    opened,
    reacted,
    stamp,
    text,
)


async def test_a_group_is_made_once_for_a_key_and_begins_with_a_line(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    assert await founded(store, clock) == conversation
    assert (await founded(store, clock, "other")).id != conversation.id
    assert [(m.user_id, m.role) for m in conversation.members] == [(ALICE, Role.OWNER), (BOB, Role.MEMBER)]
    lines = await store.list_messages(conversation.id, 0, None, 10)
    assert [line.content for line in lines] == [SystemContent(SystemKind.CREATED)]
    assert await store.find_conversation(conversation.id) == conversation


async def test_a_change_of_a_group_is_there_with_its_line(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    await fill(store, clock, conversation, 2)
    grown = await added(store, clock, conversation, CAROL)
    assert (grown.revision, grown.last_seq) == (1, 4)
    carol = grown.member(CAROL)
    assert carol is not None
    assert carol.visible_after_seq == 3
    renamed = await store.change_group(
        conversation.id, lambda group: groups.update(group, ALICE, Settings(title="Trips")), stamp(clock)
    )
    shrunk = await left(store, clock, conversation, BOB)
    assert renamed.title == shrunk.title == "Trips"
    assert [member.user_id for member in shrunk.members] == [ALICE, CAROL]
    assert await store.find_conversation(conversation.id) == shrunk
    lines = [message.content for message in await store.list_messages(conversation.id, 3, None, 10)]
    assert lines == [
        SystemContent(SystemKind.LEFT),
        SystemContent(SystemKind.RENAMED, title="Trips"),
        SystemContent(SystemKind.ADDED, (CAROL,)),
    ]


async def test_what_a_decision_refuses_changes_nothing(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    with pytest.raises(RoleTooLow):
        await store.change_group(
            conversation.id, lambda group: groups.update(group, BOB, Settings("x")), stamp(clock, BOB)
        )
    assert await store.find_conversation(conversation.id) == conversation
    with pytest.raises(ConversationNotFound):
        await store.change_group(ConversationId(UUID(int=5)), lambda _: None, stamp(clock))


async def test_concurrent_changes_of_a_group_lose_none(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    people = [UserId(f"person{number}") for number in range(8)]
    await asyncio.gather(*(added(store, clock, conversation, person) for person in people))
    found = await store.find_conversation(conversation.id)
    assert found is not None
    assert {member.user_id for member in found.members} == {ALICE, BOB, *people}
    assert (found.revision, found.last_seq) == (8, 9)


async def test_an_edit_keeps_what_was_and_an_unsending_keeps_nothing(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    rich = Text("hi @bob", (Mention(3, 4, BOB),))
    draft = Draft(MessageId(new_id(clock.now())), conversation.id, ALICE, "k", clock.now(), rich, reply_to_seq=1)
    sent = (await store.append([draft]))[0]
    assert isinstance(sent, Message)
    assert await store.find_message(conversation.id, 2) == sent
    clock.advance(5)
    edited = await store.change_message(
        conversation.id,
        2,
        lambda _, message: changes.edit(message or sent, ALICE, Text("hello"), clock.now(), ChangePolicy()),
        clock.now(),
    )
    assert (edited.revision, edited.edit_count, edited.edited_at) == (1, 1, clock.now())
    assert await store.find_message(conversation.id, 2) == edited
    assert list(await store.list_edits(conversation.id, 2)) == [Edit(rich, sent.sent_at)]
    await reacted(store, clock, conversation, 2, BOB, "👍")
    gone = await store.change_message(
        conversation.id, 2, lambda _, message: changes.unsend(message or sent, ALICE), clock.now()
    )
    assert (gone.content, gone.revision, gone.reactions) == (Unsent(), 3, ())
    assert await store.find_message(conversation.id, 2) == gone
    assert list(await store.list_edits(conversation.id, 2)) == []
    # The key stays: a retry of the sending gets what stands, and nothing new.
    assert (await store.append([draft]))[0] == gone


async def test_reactions_come_with_their_message(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock, "k", BOB, CAROL)
    await fill(store, clock, conversation, 1)
    for user, emoji in ((BOB, "👍"), (CAROL, "👍"), (ALICE, "❤️"), (BOB, "👍")):
        after = await reacted(store, clock, conversation, 2, user, emoji)
    assert {r.emoji: r.user_ids for r in after.reactions} == {"👍": (BOB, CAROL), "❤️": (ALICE,)}
    assert after.revision == 3
    assert await store.find_message(conversation.id, 2) == after


async def test_spellings_of_before_are_one_reaction_which_can_be_taken_away(
    truth: MemoryStore | Database, store: Store, clock: ManualClock
) -> None:
    if isinstance(truth, MemoryStore):
        # It never held others.
        return
    conversation = await founded(store, clock, "k", BOB, CAROL)
    await fill(store, clock, conversation, 1)
    await reacted(store, clock, conversation, 2, CAROL, "👍")
    async with truth.connection() as connection:
        # As the release before wrote them.
        for user, emoji in ((BOB, "❤"), (ALICE, "❤️"), (BOB, "❤️"), (BOB, "!!"), (CAROL, "❤︎")):
            await connection.execute(
                "INSERT INTO reactions (conversation_id, seq, emoji, user_id) VALUES ($1, 2, $2, $3)",
                *(conversation.id, emoji, user),
            )
    told = await store.find_message(conversation.id, 2)
    assert told
    assert {r.emoji: r.user_ids for r in told.reactions} == {
        "❤️": (BOB, ALICE, CAROL),
        "!!": (BOB,),
        "👍": (CAROL,),
    }
    for user, emoji in ((BOB, "❤️"), (CAROL, "❤️"), (BOB, "!!")):
        await reacted(store, clock, conversation, 2, user, emoji, present=False)
    told = await store.find_message(conversation.id, 2)
    assert told
    assert {r.emoji: r.user_ids for r in told.reactions} == {"❤️": (ALICE,), "👍": (CAROL,)}


async def test_sync_tells_what_changed_in_messages_that_the_device_has(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    await fill(store, clock, conversation, 4)
    for seq in (4, 2, 3):
        await reacted(store, clock, conversation, seq, BOB, "👍")
    delta = (await store.sync(ALICE, {conversation.id: Cursor(3, 0)}, None, 10, 10, clock.now()))[0]
    assert [message.seq for message in delta.messages] == [4, 5]
    assert [(message.seq, message.revision) for message in delta.changed] == [(2, 2), (3, 3)]
    assert delta.cursor == Cursor(5, 3)
    first = (await store.sync(ALICE, {conversation.id: Cursor(5, 0)}, None, 2, 10, clock.now()))[0]
    assert ([message.seq for message in first.changed], first.has_more, first.cursor) == ([4, 2], True, Cursor(5, 2))
    rest = (await store.sync(ALICE, {conversation.id: first.cursor}, None, 2, 10, clock.now()))[0]
    assert ([message.seq for message in rest.changed], rest.has_more, rest.cursor) == ([3], False, Cursor(5, 3))
    assert await store.sync(ALICE, {conversation.id: rest.cursor}, None, 2, 10, clock.now()) == []


async def test_nobody_syncs_what_was_said_before_the_coming(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    await fill(store, clock, conversation, 3)
    await added(store, clock, conversation, CAROL)
    await reacted(store, clock, conversation, 2, BOB, "👍")
    for cursors in ({}, {conversation.id: Cursor(0, 0)}, {conversation.id: Cursor(4, 0)}):
        delta = (await store.sync(CAROL, cursors, None, 10, 10, clock.now()))[0]
        assert [message.seq for message in delta.messages] == [5]
        assert delta.changed == ()
    listed = await store.list_conversations(CAROL, None, 5, clock.now())
    assert [row.last_message.seq for row in listed if row.last_message] == [5]


async def test_who_left_is_in_no_sync_and_gets_no_news(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    await left(store, clock, conversation, BOB)
    assert await store.sync(BOB, {conversation.id: Cursor(1, 0)}, None, 10, 10, clock.now()) == []
    assert set(await store.joined_of(BOB, [conversation.id])) == set()
    assert set(await store.joined_of(ALICE, [conversation.id])) == {conversation.id}
    assert [person.user_id for person in (await store.recipients_of([conversation.id]))[conversation.id]] == [ALICE]


async def test_a_newer_invite_replaces_the_older_and_each_expires(
    store: Store, invites: InviteStore, clock: ManualClock
) -> None:
    conversation = await founded(store, clock)
    end = clock.now() + timedelta(days=1)
    await invites.put_invite(Invite(b"one", conversation.id, ALICE, end))
    found = await invites.find_invite(b"one", clock.now())
    assert found is not None
    assert (found.conversation_id, found.created_by) == (conversation.id, ALICE)
    await invites.put_invite(Invite(b"two", conversation.id, ALICE, end))
    assert await invites.find_invite(b"one", clock.now()) is None
    assert await invites.find_invite(b"two", end) is None
    await invites.revoke_invites(conversation.id)
    assert await invites.find_invite(b"two", clock.now()) is None
    # Who came in by one may ask again, for a while.
    await invites.revoke_invites(conversation.id)
    for token in (b"one", b"two"):
        used = await invites.find_used_invite(token)
        assert used is not None
        assert (used.conversation_id, used.created_by) == (conversation.id, ALICE)
    await invites.put_invite(Invite(b"three", conversation.id, ALICE, end + timedelta(days=30)))
    assert await invites.find_used_invite(b"one") is not None


async def test_the_key_comes_before_every_check(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock, "k", BOB, CAROL)
    draft = text(clock, conversation, "b", BOB)
    (first,) = await store.append([draft])
    assert isinstance(first, Message)
    await reacted(store, clock, conversation, first.seq, CAROL, "👍")
    (again,) = await store.append([replace(draft, message_id=MessageId(new_id(clock.now())))])
    assert again == await store.find_sent(draft.key) == await store.find_message(conversation.id, first.seq)
    await left(store, clock, conversation, BOB)
    # Who is out learns what became of the own message, and nothing that others did with it.
    (out,) = await store.append([replace(draft, message_id=MessageId(new_id(clock.now())))])
    assert isinstance(out, Message)
    assert out == await store.find_sent(draft.key)
    assert (out.id, out.seq, out.reactions) == (first.id, first.seq, ())
    (refused,) = await store.append([text(clock, conversation, "c", BOB)])
    assert isinstance(refused, ConversationNotFound)
    assert await store.find_sent(text(clock, conversation, "c", BOB).key) is None
    assert [found and found.id for found in (await store.find_group("k"), await store.find_group("l"))] == [
        conversation.id,
        None,
    ]


async def test_the_record_of_a_call_is_written_whoever_left(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    await left(store, clock, conversation, BOB)
    call = CallRecord(UUID(int=5), False, CallOutcome.COMPLETED, timedelta(seconds=9), (BOB, ALICE))
    (told,) = await store.append([replace(text(clock, conversation, "\x1fcall/5", BOB), content=call)])
    assert isinstance(told, Message)
    assert told.content == call


async def test_nobody_shares_a_closed_conversation(store: Store, relations: RelationStore, clock: ManualClock) -> None:
    await opened(store, clock, ALICE, BOB)
    assert list(await store.contacts_among(ALICE, [BOB])) == [BOB]
    await relations.block(BOB, ALICE, 10, clock.now())
    assert list(await store.contacts_among(ALICE, [BOB])) == []
