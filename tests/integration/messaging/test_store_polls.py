"""The contract of polls and their votes, held by the fake and PostgreSQL."""

import asyncio
from datetime import timedelta

import pytest

from services.messaging.kernel.access import find_visible
from services.messaging.kernel.content import Expired, Poll, Unsent
from services.messaging.kernel.model import Conversation, Cursor, Draft, Message, MessageId, UserId, Votes
from services.messaging.messages.core import changes
from services.messaging.search.core import query_of
from services.messaging.vanishing.core import set_vanishing
from services.messaging.vanishing.ports import SweepStore
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database
from tests.support.clock import ManualClock
from tests.support.messaging_cases import Store
from tests.support.messaging_news import News
from tests.support.messaging_store import ALICE, BOB, CAROL, fail, founded, left, opened, stamp

LUNCH = Poll("Where do we eat?", ("Tapas", "Ramen", "At home"), multiple=True)


async def asked(store: Store, clock: ManualClock, conversation: Conversation, key: str = "poll") -> Message:
    draft = Draft(MessageId(new_id(clock.now())), conversation.id, ALICE, key, clock.now(), LUNCH)
    (sent,) = await store.append([draft])
    assert isinstance(sent, Message)
    return sent


async def voted(
    store: Store, clock: ManualClock, conversation: Conversation, seq: int, user: UserId, *options: int
) -> Message:
    return await store.change_message(
        conversation.id,
        seq,
        lambda conversation, message: changes.vote(find_visible(conversation, user, message), user, frozenset(options)),
        clock.now(),
    )


async def test_votes_come_with_their_poll_by_option_and_in_their_order(
    store: Store, news: News, clock: ManualClock
) -> None:
    conversation = await founded(store, clock, "k", BOB, CAROL)
    sent = await asked(store, clock, conversation)
    other = await asked(store, clock, conversation, "other")
    assert await store.find_message(conversation.id, sent.seq) == sent
    await voted(store, clock, conversation, other.seq, BOB, 1)
    for user, options in ((BOB, [2]), (CAROL, [0, 2]), (BOB, [2, 1]), (ALICE, [0]), (CAROL, [2])):
        after = await voted(store, clock, conversation, sent.seq, user, *options)
        assert await store.find_message(conversation.id, sent.seq) == after
    assert after.votes == (Votes(0, (ALICE,)), Votes(1, (BOB,)), Votes(2, (BOB, CAROL)))
    assert (after.content, after.revision) == (LUNCH, 6)
    told = (await news.events())[-1].message_changed.message
    assert [(each.option_index, list(each.user_ids)) for each in told.poll_votes] == [
        (0, [ALICE]),
        (1, [BOB]),
        (2, [BOB, CAROL]),
    ]
    assert told.poll.question == LUNCH.question
    gone = await voted(store, clock, conversation, sent.seq, BOB)
    assert gone.votes == (Votes(0, (ALICE,)), Votes(2, (CAROL,)))
    listed = await store.list_messages(conversation.id, 0, None, 2)
    assert [message.votes for message in listed] == [(Votes(1, (BOB,)),), gone.votes]


async def test_a_vote_that_stands_changes_and_tells_nothing(store: Store, news: News, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    sent = await asked(store, clock, conversation)
    first = await voted(store, clock, conversation, sent.seq, BOB, 0, 1)
    told = len(await news.events())
    assert await voted(store, clock, conversation, sent.seq, BOB, 1, 0) == first
    assert len(await news.events()) == told


async def test_votes_that_come_at_once_all_count(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock, "k", BOB, CAROL)
    sent = await asked(store, clock, conversation)
    await asyncio.gather(*(voted(store, clock, conversation, sent.seq, user, 1) for user in (ALICE, BOB, CAROL)))
    found = await store.find_message(conversation.id, sent.seq)
    assert found is not None
    assert [(votes.option_index, set(votes.user_ids)) for votes in found.votes] == [(1, {ALICE, BOB, CAROL})]


async def test_a_device_that_was_away_learns_by_sync_who_voted(store: Store, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    sent = await asked(store, clock, conversation)
    after = await voted(store, clock, conversation, sent.seq, BOB, 1)
    (delta,) = await store.sync(ALICE, {conversation.id: Cursor(1, 0)}, None, 10, 10, clock.now())
    assert (delta.messages, delta.changed, delta.cursor) == ((), (after,), Cursor(1, 1))


async def test_who_left_gets_ones_own_poll_without_the_votes(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock, "k", BOB)
    draft = Draft(MessageId(new_id(clock.now())), conversation.id, BOB, "b", clock.now(), LUNCH)
    (sent,) = await store.append([draft])
    assert isinstance(sent, Message)
    await voted(store, clock, conversation, sent.seq, ALICE, 1)
    await left(store, clock, conversation, BOB)
    found = await store.find_sent(draft.key)
    assert found is not None
    assert (found.content, found.votes) == (LUNCH, ())


async def test_it_is_found_by_its_question_and_its_options_also_after_a_vote(store: Store, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    sent = await asked(store, clock, conversation)
    await store.index_words([(conversation.id, sent.seq)])
    await voted(store, clock, conversation, sent.seq, BOB, 1)
    for words in ("where", "ramen"):
        found = await store.search(BOB, query_of(words), None, None, 9)
        assert [message.seq for message in found] == [sent.seq]
    await store.change_message(
        conversation.id, sent.seq, lambda _, found: changes.unsend(found or fail(1), ALICE), clock.now()
    )
    assert await store.search(BOB, query_of("ramen"), None, None, 9) == []


async def test_votes_go_with_their_poll_however_it_goes(
    store: Store, sweeps: SweepStore, clock: ManualClock, truth: object
) -> None:
    conversation = await opened(store, clock)
    cutoff = clock.now() + timedelta(seconds=0.5)
    kept = await asked(store, clock, conversation, "old")
    clock.advance(1)
    taken_back = await asked(store, clock, conversation, "taken back")
    await store.change_group(
        conversation.id, lambda found: set_vanishing(found, ALICE, timedelta(minutes=5)), stamp(clock)
    )
    short = await asked(store, clock, conversation, "short")
    for poll in (kept, taken_back, short):
        await voted(store, clock, conversation, poll.seq, BOB, 0, 2)
    gone = await store.change_message(
        conversation.id, taken_back.seq, lambda _, found: changes.unsend(found or fail(2), ALICE), clock.now()
    )
    assert (gone.content, gone.votes) == (Unsent(), ())
    clock.advance(400)
    assert await sweeps.expire_due(clock.now(), 10) == 1
    for seq, content in ((taken_back.seq, Unsent()), (short.seq, Expired())):
        found = await store.find_message(conversation.id, seq)
        assert found is not None
        assert (found.content, found.votes) == (content, ())
    assert await sweeps.delete_old(conversation.id, cutoff, clock.now(), 10) == 1
    if isinstance(truth, Database):
        async with truth.connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM poll_votes") == 0


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
async def test_votes_that_an_older_replica_left_of_what_is_gone_are_shown_to_nobody(
    truth: Database, store: Store, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    sent = await asked(store, clock, conversation)
    await voted(store, clock, conversation, sent.seq, BOB, 0)
    async with truth.connection() as connection:
        await connection.execute("UPDATE messages SET kind = 'expired', body = '', content = NULL")
    found = await store.find_message(conversation.id, sent.seq)
    assert found is not None
    assert (found.content, found.votes) == (Expired(), ())
