"""What messaging answers push: how people keep their conversations, as they stand in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from parley.messaging.v1 import messages_pb2
from parley.messaging.v1 import notices_pb2 as api

from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.model import UserId
from services.messaging.kernel.own_state import OwnChange
from services.messaging.kernel.request import RequestState
from services.messaging.notices.core import MAX_QUESTIONS, NoticeFacts, NoticeQuestion
from services.messaging.notices.rpc import NoticeFactsServicer
from services.messaging.notices.sql import PostgresFacts
from services.messaging.receipts.sql import PostgresReceipts
from services.messaging.relations.core.reach import Audience, SettingsChange
from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import OutboxRelay
from tests.support.bus import MemoryPublisher
from tests.support.clock import ManualClock
from tests.support.db import connected
from tests.support.messaging_postgres import PostgresRelations, PostgresStore
from tests.support.messaging_store import ALICE, BOB, CAROL, founded, opened, text

FOLLOWED = SettingsChange(messages=Audience.FOLLOWED)


class Town:
    """The stores of one database."""

    def __init__(self, database: Database) -> None:
        relay = OutboxRelay(database, MemoryPublisher())
        self.store = PostgresStore(database, relay, new_id)
        self.relations = PostgresRelations(database, lambda _: None)
        self.receipts = PostgresReceipts(database, relay, new_id)
        self.facts = PostgresFacts(database)

    async def of(self, user: UserId, conversation: UUID, by: str = "", reply_to_seq: int = 0) -> NoticeFacts:
        """The one answer."""
        (found,) = await self.facts.facts([NoticeQuestion(user, conversation, by, reply_to_seq)])
        return found


@pytest.fixture
async def town(migrated_url: str) -> AsyncIterator[Town]:
    async with connected(Database(DatabaseConfig(migrated_url, pool_size=4), MIGRATIONS)) as database:
        yield Town(database)


async def test_an_ordinary_conversation_and_what_was_read_of_it(town: Town, clock: ManualClock) -> None:
    conversation = await opened(town.store, clock)
    await town.store.append([text(clock, conversation, "1"), text(clock, conversation, "2")])
    assert await town.of(BOB, conversation.id, ALICE) == NoticeFacts(is_member=True)
    await town.receipts.move_read_cursor(conversation.id, BOB, 2, clock.now())
    assert (await town.of(BOB, conversation.id, ALICE)).read_seq == 2


async def test_a_conversation_that_waits_or_was_declined(town: Town, clock: ManualClock) -> None:
    await town.relations.change_settings(BOB, FOLLOWED, clock.now())
    conversation = await opened(town.store, clock)
    assert (await town.of(BOB, conversation.id, ALICE)).request is RequestState.PENDING
    assert (await town.of(ALICE, conversation.id, BOB)).request is RequestState.ACCEPTED
    await town.relations.decline(conversation.id, BOB, clock.now())
    assert (await town.of(BOB, conversation.id, ALICE)).request is RequestState.DECLINED


async def test_a_block_of_either_and_a_muting(town: Town, clock: ManualClock) -> None:
    conversation = await opened(town.store, clock)
    until = clock.now() + timedelta(hours=1)
    await town.store.change_own_state(conversation.id, BOB, OwnChange(mute_until=until), clock.now())
    assert (await town.of(BOB, conversation.id, ALICE)).muted_until == until
    assert (await town.of(ALICE, conversation.id, BOB)).muted_until is None
    await town.relations.block(ALICE, BOB, 10, clock.now())
    for user, by in ((ALICE, BOB), (BOB, ALICE), (BOB, "")):
        assert (await town.of(user, conversation.id, by)).is_blocked
    await town.relations.unblock(ALICE, BOB, clock.now())
    assert not (await town.of(BOB, conversation.id, ALICE)).is_blocked


async def test_in_a_group_a_block_is_between_two(town: Town, clock: ManualClock) -> None:
    group = await founded(town.store, clock)
    await town.relations.block(BOB, CAROL, 10, clock.now())
    assert (await town.of(BOB, group.id, CAROL)).is_blocked
    facts = await town.of(BOB, group.id, ALICE)
    assert (facts.is_blocked, facts.is_group, facts.title) == (False, True, group.title)


async def test_whose_message_is_answered(town: Town, clock: ManualClock) -> None:
    conversation = await opened(town.store, clock)
    await town.store.append([text(clock, conversation, "1"), text(clock, conversation, "2", BOB)])
    assert not (await town.of(BOB, conversation.id, ALICE, 1)).is_reply_to_own
    assert (await town.of(BOB, conversation.id, ALICE, 2)).is_reply_to_own
    assert not (await town.of(BOB, conversation.id, ALICE, 99)).is_reply_to_own


async def test_answers_come_in_the_order_of_the_questions_and_strangers_learn_nothing(
    town: Town, clock: ManualClock
) -> None:
    conversation = await opened(town.store, clock)
    questions = [
        NoticeQuestion(CAROL, conversation.id, ALICE),
        NoticeQuestion(BOB, conversation.id, ALICE),
        NoticeQuestion(BOB, uuid4(), ALICE),
        NoticeQuestion(BOB, conversation.id, ALICE),
    ]
    assert [facts.is_member for facts in await town.facts.facts(questions)] == [False, True, False, True]
    assert await town.of(CAROL, conversation.id, ALICE) == NoticeFacts()


async def test_over_the_wire(town: Town, clock: ManualClock) -> None:
    conversation = await opened(town.store, clock)
    until = clock.now() + timedelta(hours=1)
    await town.store.change_own_state(conversation.id, BOB, OwnChange(mute_until=until), clock.now())
    servicer = NoticeFactsServicer(town.facts)
    asked = api.NoticeQuestion(user_id=BOB, conversation_id=str(conversation.id), from_user_id=ALICE)
    answer = await servicer.GetNoticeFacts(api.GetNoticeFactsRequest(questions=[asked]), None)  # type: ignore[arg-type]
    (facts,) = answer.facts
    assert (facts.member, facts.group, facts.request) == (True, False, messages_pb2.REQUEST_STATE_UNSPECIFIED)
    assert facts.mute_end_time.ToDatetime(until.tzinfo) == until
    assert len((await servicer.GetNoticeFacts(api.GetNoticeFactsRequest(), None)).facts) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "asked",
    [
        api.NoticeQuestion(user_id="", conversation_id=str(UUID(int=1))),
        api.NoticeQuestion(user_id="a", conversation_id="no"),
        api.NoticeQuestion(user_id="a", conversation_id=str(UUID(int=1)), from_user_id="two words"),
        api.NoticeQuestion(user_id="a", conversation_id=str(UUID(int=1)), reply_to_seq=-1),
    ],
)
async def test_what_has_no_meaning_is_refused(town: Town, asked: api.NoticeQuestion) -> None:
    servicer = NoticeFactsServicer(town.facts)
    with pytest.raises(InvalidField):
        await servicer.GetNoticeFacts(api.GetNoticeFactsRequest(questions=[asked]), None)  # type: ignore[arg-type]


async def test_too_many_questions_are_refused(town: Town) -> None:
    asked = api.NoticeQuestion(user_id="a", conversation_id=str(UUID(int=1)))
    request = api.GetNoticeFactsRequest(questions=[asked] * (MAX_QUESTIONS + 1))
    with pytest.raises(InvalidField):
        await NoticeFactsServicer(town.facts).GetNoticeFacts(request, None)  # type: ignore[arg-type]
