"""The contract of the stores, held by the fakes and PostgreSQL's: settings, blocks, requests, quotas."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.messaging.groups.core import changes as groups
from services.messaging.groups.core.changes import Settings as GroupSettings
from services.messaging.kernel.content import CallOutcome, CallRecord
from services.messaging.kernel.errors import NotAllowed
from services.messaging.kernel.model import (
    CALL_KEY_PREFIX,
    Conversation,
    ConversationId,
    Cursor,
    Draft,
    Message,
    MessageId,
    UserId,
    open_direct,
)
from services.messaging.kernel.request import RequestState
from services.messaging.messages.core import changes
from services.messaging.receipts.ports import ReceiptStore
from services.messaging.relations.core.errors import ConversationQuota, TooManyBlocks
from services.messaging.relations.core.graph import Block, GraphEvent, GraphEventKind
from services.messaging.relations.core.reach import Audience, Relationship, Settings, SettingsChange
from services.messaging.search.core import query_of
from services.runtime.ids import new_id
from tests.support.clock import ManualClock
from tests.support.messaging_cases import RelationStore, Store
from tests.support.messaging_store import ALICE, BOB, CAROL, added, fail, founded, opened, quota, stamp, text

LIMIT = 100
FOLLOWED = SettingsChange(messages=Audience.FOLLOWED)


async def waiting(store: Store, relations: RelationStore, clock: ManualClock) -> Conversation:
    """Alice's conversation with Bob, in Bob's Requests, with one message of hers."""
    await relations.change_settings(BOB, FOLLOWED, clock.now())
    conversation = await opened(store, clock)
    await store.append([text(clock, conversation, "1")])
    return conversation


async def request_of(store: Store, conversation: Conversation, user: UserId) -> RequestState | None:
    found = await store.find_conversation(conversation.id)
    member = found.member(user) if found else None
    return member.request if member else None


async def listed(store: Store, user: UserId, request: RequestState = RequestState.ACCEPTED) -> list[ConversationId]:
    return [row.conversation.id for row in await store.list_conversations(user, None, 10, datetime.now(UTC), request)]


def graph_event(
    kind: GraphEventKind, clock: ManualClock, stands: bool, user: UserId = BOB, other: UserId = ALICE
) -> GraphEvent:
    return GraphEvent(kind, user, other, stands, clock.now())


# Settings.


async def test_settings_stay_as_they_were_set_and_are_ones_own(relations: RelationStore, clock: ManualClock) -> None:
    assert await relations.settings_of(ALICE) == Settings()
    change = SettingsChange(presence=Audience.NOBODY, send_receipts=False)
    expected = Settings(presence=Audience.NOBODY, send_receipts=False)
    assert await relations.change_settings(ALICE, change, clock.now()) == expected
    assert await relations.change_settings(ALICE, change, clock.now()) == expected
    assert await relations.settings_of(ALICE) == expected
    assert await relations.settings_of(BOB) == Settings()


async def test_changes_from_two_devices_at_once_both_hold(relations: RelationStore, clock: ManualClock) -> None:
    changes = [SettingsChange(calls=Audience.CONTACTED), FOLLOWED, SettingsChange(send_receipts=False)]
    await asyncio.gather(*(relations.change_settings(ALICE, change, clock.now()) for change in changes))
    expected = Settings(Audience.FOLLOWED, Audience.EVERYONE, Audience.CONTACTED, send_receipts=False)
    assert await relations.settings_of(ALICE) == expected


# Blocks.


async def test_a_block_stops_both_at_once_and_its_end_lets_both_write_again(
    store: Store, relations: RelationStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    for number in range(3):
        # A conversation in full swing, of which the store may remember that both may write.
        await store.append([text(clock, conversation, f"{number}", sender) for sender in (ALICE, BOB)])
    await relations.block(BOB, ALICE, LIMIT, clock.now())
    for sender in (ALICE, BOB):
        (outcome,) = await store.append([text(clock, conversation, "blocked", sender)])
        assert isinstance(outcome, NotAllowed)
    with pytest.raises(NotAllowed):
        await opened(store, clock)
    await relations.unblock(BOB, ALICE, clock.now())
    outcomes = await store.append([text(clock, conversation, "again", sender) for sender in (ALICE, BOB)])
    assert [outcome.seq for outcome in outcomes if isinstance(outcome, Message)] == [7, 8]


async def test_what_was_acknowledged_before_a_block_is_still_acknowledged_to_a_retry(
    store: Store, relations: RelationStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    first = await store.append([text(clock, conversation, "k")])
    await relations.block(BOB, ALICE, LIMIT, clock.now())
    assert await store.append([text(clock, conversation, "k")]) == first


async def test_a_block_before_the_first_word_keeps_the_conversation_from_being_opened(
    store: Store, relations: RelationStore, clock: ManualClock
) -> None:
    await relations.block(BOB, ALICE, LIMIT, clock.now())
    for one, other in ((ALICE, BOB), (BOB, ALICE)):
        with pytest.raises(NotAllowed):
            await opened(store, clock, one, other)


async def test_a_block_and_an_opening_at_once_never_leave_a_conversation_in_which_one_can_write(
    store: Store, relations: RelationStore, clock: ManualClock
) -> None:
    people = [(UserId(f"one{number}"), UserId(f"other{number}")) for number in range(12)]

    async def open_one(one: UserId, other: UserId) -> None:
        try:
            conversation = await opened(store, clock, one, other)
        except NotAllowed:
            return
        await store.append([text(clock, conversation, "after", one)])
        conversations[one] = conversation

    conversations: dict[UserId, Conversation] = {}
    blocks = [relations.block(other, one, LIMIT, clock.now()) for one, other in people]
    await asyncio.gather(*(open_one(*pair) for pair in people), *blocks)
    for one, conversation in conversations.items():
        (outcome,) = await store.append([text(clock, conversation, "late", one)])
        assert isinstance(outcome, NotAllowed)


async def test_a_block_stops_no_group(store: Store, relations: RelationStore, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    await relations.block(BOB, ALICE, LIMIT, clock.now())
    (outcome,) = await store.append([text(clock, conversation, "goes on")])
    assert isinstance(outcome, Message)


async def test_a_block_of_the_network_stands_beside_one_of_parley_and_each_is_taken_back_where_it_was_made(
    store: Store, relations: RelationStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)

    async def can_write(key: str) -> bool:
        (outcome,) = await store.append([text(clock, conversation, key)])
        return isinstance(outcome, Message)

    await relations.apply_graph_events([graph_event(GraphEventKind.BLOCKS, clock, True)])
    await relations.block(BOB, ALICE, LIMIT, clock.now())
    clock.advance(1)
    await relations.unblock(BOB, ALICE, clock.now())
    assert not await can_write("network's")
    assert [block.user_id for block in await relations.list_blocks(BOB, None, 10)] == [ALICE]
    await relations.block(BOB, ALICE, LIMIT, clock.now())
    await relations.apply_graph_events([graph_event(GraphEventKind.BLOCKS, clock, False)])
    assert not await can_write("Parley's")
    await relations.unblock(BOB, ALICE, clock.now())
    assert await can_write("none")
    assert await relations.list_blocks(BOB, None, 10) == []


async def test_a_late_event_of_the_network_does_not_undo_a_newer_one(
    relations: RelationStore, clock: ManualClock
) -> None:
    early = [graph_event(kind, clock, True) for kind in (GraphEventKind.FOLLOWS, GraphEventKind.BLOCKS)]
    early.append(graph_event(GraphEventKind.VERIFIED, clock, True, ALICE, UserId("")))
    clock.advance(1)
    late = [graph_event(kind, clock, False) for kind in (GraphEventKind.FOLLOWS, GraphEventKind.BLOCKS)]
    late.append(graph_event(GraphEventKind.VERIFIED, clock, False, ALICE, UserId("")))
    await relations.apply_graph_events(early)
    assert (await relations.relationships([(BOB, ALICE)]))[BOB, ALICE] == Relationship(
        blocked=True, follows=True, verified=True
    )
    await relations.apply_graph_events(late)
    await relations.apply_graph_events(early)
    assert (await relations.relationships([(BOB, ALICE)]))[BOB, ALICE] == Relationship()


async def test_blocks_are_listed_the_newest_first_in_pages_and_counted(
    relations: RelationStore, clock: ManualClock
) -> None:
    people = [UserId(f"p{number}") for number in range(5)]
    for person in people[:3]:
        clock.advance(1)
        await relations.block(ALICE, person, 3, clock.now())
    await relations.block(ALICE, people[0], 3, clock.now())
    with pytest.raises(TooManyBlocks):
        await relations.block(ALICE, people[3], 3, clock.now())
    first = await relations.list_blocks(ALICE, None, 2)
    rest = await relations.list_blocks(ALICE, first[-1], 2)
    assert [block.user_id for block in (*first, *rest)] == [people[2], people[1], people[0]]
    assert first[0] == Block(people[2], clock.now())
    assert set(await relations.blocked_among(people[1], [ALICE, people[0]])) == {ALICE}


# Requests.


async def test_a_conversation_of_who_may_not_write_waits_and_is_read_and_found_only_there(
    store: Store, relations: RelationStore, clock: ManualClock
) -> None:
    conversation = await waiting(store, relations, clock)
    await store.index_words([(conversation.id, 1)])
    assert await request_of(store, conversation, BOB) is RequestState.PENDING
    assert (await listed(store, BOB), await listed(store, BOB, RequestState.PENDING)) == ([], [conversation.id])
    assert (await listed(store, ALICE), await listed(store, ALICE, RequestState.PENDING)) == ([conversation.id], [])
    (delta,) = await store.sync(BOB, {}, None, 10, 10, clock.now())
    assert (delta.own.request, delta.own.unread) == (RequestState.PENDING, 1)
    assert await store.contacts_among(ALICE, [BOB]) == await store.contacts_among(BOB, [ALICE]) == []
    query = query_of("text")
    assert await store.search(BOB, query, None, None, 10) == []
    assert [message.seq for message in await store.search(BOB, query, conversation.id, None, 10)] == [1]


async def let_in_by_accepting(
    store: Store, relations: RelationStore, clock: ManualClock, conversation: Conversation
) -> None:
    await relations.accept(conversation.id, BOB, clock.now())


async def let_in_by_writing(
    store: Store, relations: RelationStore, clock: ManualClock, conversation: Conversation
) -> None:
    await store.append([text(clock, conversation, "hello", BOB)])


@pytest.mark.parametrize("is_declined", [False, True], ids=["pending", "declined"])
@pytest.mark.parametrize("let_in", [let_in_by_accepting, let_in_by_writing])
async def test_accepting_and_writing_let_a_conversation_in(
    store: Store, relations: RelationStore, clock: ManualClock, let_in: Callable[..., object], is_declined: bool
) -> None:
    conversation = await waiting(store, relations, clock)
    if is_declined:
        await relations.decline(conversation.id, BOB, clock.now())
    clock.advance(1)
    since = clock.now()
    await let_in(store, relations, clock, conversation)  # type: ignore[misc]
    assert await request_of(store, conversation, BOB) is RequestState.ACCEPTED
    assert await listed(store, BOB) == [conversation.id]
    assert await store.contacts_among(ALICE, [BOB]) == [BOB]
    # The other devices of Bob's learn of it, though they have all messages.
    (delta,) = await store.sync(BOB, {conversation.id: Cursor(10, 10)}, since, 10, 10, clock.now())
    assert delta.own.request is RequestState.ACCEPTED


async def test_accepting_on_one_device_and_writing_on_another_at_once_do_not_get_in_each_others_way(
    store: Store, relations: RelationStore, clock: ManualClock
) -> None:
    await relations.change_settings(BOB, FOLLOWED, clock.now())
    conversations = [await opened(store, clock, UserId(f"one{number}"), BOB) for number in range(10)]
    accepting = [relations.accept(conversation.id, BOB, clock.now()) for conversation in conversations]
    writing = [store.append([text(clock, conversation, "hello", BOB)]) for conversation in conversations]
    await asyncio.gather(*accepting, *writing)
    assert [await request_of(store, conversation, BOB) for conversation in conversations] == [
        RequestState.ACCEPTED
    ] * 10


async def test_a_declined_conversation_is_in_no_list_and_devices_forget_it(
    store: Store, relations: RelationStore, clock: ManualClock
) -> None:
    conversation = await waiting(store, relations, clock)
    await relations.decline(conversation.id, BOB, clock.now())
    await relations.decline(conversation.id, BOB, clock.now())
    await store.append([text(clock, conversation, "2")])
    assert await listed(store, BOB) == await listed(store, BOB, RequestState.PENDING) == []
    assert await store.sync(BOB, {}, None, 10, 10, clock.now()) == []
    assert set(await store.joined_of(BOB, [conversation.id])) == set()
    requests = {
        recipient.user_id: recipient.request
        for recipient in (await store.recipients_of([conversation.id]))[conversation.id]
    }
    assert requests == {ALICE: RequestState.ACCEPTED, BOB: RequestState.DECLINED}


async def test_what_was_let_in_cannot_be_declined(store: Store, relations: RelationStore, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    await relations.decline(conversation.id, BOB, clock.now())
    assert await request_of(store, conversation, BOB) is RequestState.ACCEPTED


async def test_a_stranger_can_let_nothing_in(store: Store, relations: RelationStore, clock: ManualClock) -> None:
    conversation = await waiting(store, relations, clock)
    await relations.accept(conversation.id, CAROL, clock.now())
    await relations.decline(conversation.id, CAROL, clock.now())
    assert await request_of(store, conversation, BOB) is RequestState.PENDING
    assert await request_of(store, conversation, CAROL) is None


async def test_reading_a_request_is_told_to_nobody_else(
    store: Store, receipts: ReceiptStore, relations: RelationStore, clock: ManualClock
) -> None:
    conversation = await waiting(store, relations, clock)
    clock.advance(100)
    since = clock.now()
    current = {conversation.id: Cursor(1, 0)}
    assert await receipts.move_read_cursor(conversation.id, BOB, 1, clock.now()) == 1
    assert await store.sync(ALICE, current, since, 10, 10, clock.now()) == []
    (delta,) = await store.sync(BOB, current, since, 10, 10, clock.now())
    assert delta.own.unread == 0


async def test_a_group_waits_with_those_who_do_not_let_it_in(store: Store, clock: ManualClock) -> None:
    made = groups.create_group(
        ConversationId(new_id(clock.now())),
        ALICE,
        [BOB, CAROL],
        GroupSettings("Trip"),
        clock.now(),
        {BOB: RequestState.PENDING},
    )
    conversation = await store.create_group(made, "k", stamp(clock), quota(clock))
    assert [await request_of(store, conversation, user) for user in (ALICE, BOB, CAROL)] == [
        RequestState.ACCEPTED,
        RequestState.PENDING,
        RequestState.ACCEPTED,
    ]
    bob = conversation.member(BOB)
    assert bob is not None
    assert bob.added_by == ALICE


async def test_what_a_persons_word_depends_on(store: Store, relations: RelationStore, clock: ManualClock) -> None:
    conversation = await waiting(store, relations, clock)
    pairs = [(ALICE, BOB), (BOB, ALICE), (BOB, CAROL)]
    word = await relations.relationships(pairs)
    assert word[ALICE, BOB] == Relationship(let_in=True, contacted=True)
    assert word[BOB, ALICE] == Relationship(Settings(messages=Audience.FOLLOWED), unanswered=1)
    assert word[BOB, CAROL] == Relationship(Settings(messages=Audience.FOLLOWED))
    await store.append([text(clock, conversation, "reply", BOB)])
    assert (await relations.relationships(pairs))[BOB, ALICE] == Relationship(
        Settings(messages=Audience.FOLLOWED), let_in=True, contacted=True
    )


async def test_who_only_called_has_not_written(store: Store, relations: RelationStore, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    record = CallRecord(UUID(int=7), False, CallOutcome.COMPLETED, timedelta(seconds=3))
    key = CALL_KEY_PREFIX + str(record.call_id)
    await store.append([Draft(MessageId(new_id(clock.now())), conversation.id, ALICE, key, clock.now(), record)])
    assert not (await relations.relationships([(ALICE, BOB)]))[ALICE, BOB].contacted
    await store.append([text(clock, conversation, "1")])
    await store.change_message(
        conversation.id, 2, lambda _, message: changes.unsend(message or fail(2), ALICE), clock.now()
    )
    assert (await relations.relationships([(ALICE, BOB)]))[ALICE, BOB].contacted


# Quotas.


async def test_new_conversations_count_and_retries_and_known_ones_do_not(store: Store, clock: ManualClock) -> None:
    people = [UserId(f"p{number}") for number in range(4)]

    async def open_one(other: UserId) -> Conversation:
        fresh = open_direct(ConversationId(new_id(clock.now())), ALICE, other, clock.now())
        return await store.open_direct(fresh, ALICE, quota(clock, limit=3))

    async def found_one(key: str) -> Conversation:
        made = groups.create_group(ConversationId(new_id(clock.now())), ALICE, [], GroupSettings("x"), clock.now())
        return await store.create_group(made, key, stamp(clock), quota(clock, limit=3))

    for person in (*people[:2], *people[:2]):
        await open_one(person)
    conversation = await found_one("k")
    assert await found_one("k") == conversation
    for refused in (open_one(people[2]), found_one("k2")):
        with pytest.raises(ConversationQuota) as raised:
            await refused
        assert raised.value.retry_delay_s == quota(clock).retry_delay_s
    assert len(await listed(store, ALICE)) == 3
    assert await open_one(people[0])
    clock.advance(timedelta(days=1).total_seconds())
    assert await open_one(people[2])


async def test_of_openings_at_once_no_more_than_the_quota_succeed(store: Store, clock: ManualClock) -> None:
    async def open_one(number: int) -> bool:
        fresh = open_direct(ConversationId(new_id(clock.now())), ALICE, UserId(f"p{number}"), clock.now())
        try:
            await store.open_direct(fresh, ALICE, quota(clock, limit=3))
        except ConversationQuota:
            return False
        return True

    assert sum(await asyncio.gather(*(open_one(number) for number in range(8)))) == 3


async def test_who_was_added_again_is_asked_again(store: Store, relations: RelationStore, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    await added(store, clock, conversation, CAROL)
    await store.change_group(conversation.id, lambda group: groups.remove_member(group, ALICE, CAROL), stamp(clock))
    await store.change_group(
        conversation.id,
        lambda group: groups.add_members(group, ALICE, [CAROL], clock.now(), 9, {CAROL: RequestState.PENDING}),
        stamp(clock),
    )
    assert await request_of(store, conversation, CAROL) is RequestState.PENDING
