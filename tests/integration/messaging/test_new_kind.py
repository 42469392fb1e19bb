"""A kind of content that is three rows of three tables, and nothing else, does all that content does: on PostgreSQL."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from parley.messaging.v1 import events_pb2
from parley.presence.v1 import events_pb2 as presence
from prometheus_client import REGISTRY

from services.messaging.conversations.consumer import FanOut
from services.messaging.kernel.content import Expired, Text, Unsent
from services.messaging.kernel.errors import InvalidField, NotEditable
from services.messaging.kernel.model import (
    Conversation,
    ConversationId,
    Message,
    Summary,
    UserId,
)
from services.messaging.messages.service.group_commit import GroupCommit
from services.messaging.messages.service.rates import SendRates
from services.messaging.messages.service.requests import SendRequest
from services.messaging.messages.sql.reading import load_message
from services.messaging.relations.core.reports import Reason, ReportRequest
from services.messaging.relations.service import RelationLimits, Reports
from services.messaging.relations.sql.store import PostgresReports
from services.messaging.search.consumer import SearchIndex
from services.messaging.sync.service import AccountSyncRequest
from services.messaging.vanishing.service import Vanishing
from services.messaging.vanishing.sql import PostgresSweepStore
from services.messaging.wire.storage import is_said
from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.ids import new_id
from services.runtime.kafka.bus import Incoming
from services.runtime.postgres.database import Database
from services.runtime.postgres.migrations import migrate
from tests.support.account_town import Town
from tests.support.bus import MemoryPublisher
from tests.support.database_search import where
from tests.support.db import connected
from tests.support.messaging_cases import Cases
from tests.support.messaging_store import ALICE, BOB, CAROL, founded
from tests.support.riddle import Riddle, know_riddles

QUESTION = "canaryquestion tonight"
RIDDLE = Riddle(QUESTION, (CAROL, UserId("carola")))


class Lives:
    """Messaging's use-cases over a real database, and somebody's conversations."""

    def __init__(self, town: Town) -> None:
        self.town, self.database, self.clock = town, town.database, town.clock
        self.sends = GroupCommit(town.store, 100)
        cases = Cases(town.store, self.sends, SendRates(), town.clock, new_id)
        self.sending, self.changing, self.history = cases.sending, cases.changing, cases.history
        self.sync, self.search = cases.sync, cases.search
        self.conversations = cases.conversations
        self.vanishing = Vanishing(town.store, town.clock, new_id)
        self.sweeps = PostgresSweepStore(town.database, town.relay, new_id)
        self.reports = Reports(
            town.store,
            town.store,
            PostgresReports(town.database),
            town.clock,
            new_id,
            RelationLimits(reports_per_day=9),
        )

    async def ask(self, conversation: Conversation, sender: UserId = ALICE, key: str = "riddle") -> Message:
        """A riddle is sent, and everything of it is indexed."""
        message = await self.sending.send(sender, str(conversation.id), SendRequest(key, RIDDLE))
        await self.hear()
        return message

    async def hear(self) -> list[events_pb2.ConversationEvent]:
        """The search takes what was told since the last time."""
        events = await self.town.database_events()
        await SearchIndex(self.town.store).handle(records(events))
        return events

    async def found(self, user: UserId = BOB) -> list[object]:
        messages, _ = await self.search.search(user, "canaryquestion", "", 0, "")
        return [message.content for message in messages]

    async def summary(self, user: UserId, conversation: Conversation) -> Summary:
        listed = await self.sync.list_conversations(user, 0, "")
        return next(item for item in listed.items if item.conversation.id == conversation.id)

    async def places(self, word: str = "canaryquestion") -> set[tuple[str, str]]:
        await self.town.database_events()
        return set(await where(self.database, word))


def stored() -> float:
    return REGISTRY.get_sample_value("messaging_messages_stored_total", {"kind": "riddle"}) or 0.0


def records(events: Iterable[events_pb2.ConversationEvent]) -> list[Incoming]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        Incoming("messaging.events.v1", 0, offset, event.conversation_id.encode(), event.SerializeToString(), at, None)
        for offset, event in enumerate(events)
    ]


@pytest.fixture
async def lives(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lives]:
    know_riddles(monkeypatch)
    async with connected(Database(DatabaseConfig(migrated_url, pool_size=4), MIGRATIONS)) as database:
        town = Town(database)
        await town.settle()
        lives = Lives(town)
        committer = asyncio.create_task(lives.sends.run())
        yield lives
        committer.cancel()
        await asyncio.gather(committer, return_exceptions=True)


async def test_it_is_sent_once_counted_told_listed_and_synced(lives: Lives) -> None:
    conversation = lives.town.pair
    token = (await lives.sync.list_conversations(BOB, 0, "")).sync_token
    before = stored()
    sent = await lives.sending.send(ALICE, str(conversation.id), SendRequest("riddle", RIDDLE))
    again = await lives.sending.send(ALICE, str(conversation.id), SendRequest("riddle", RIDDLE))
    assert again.id == sent.id
    assert stored() == before + 1
    (event,) = await lives.hear()
    assert event.message_sent.message.call.call_id == QUESTION
    (listed, *_), _ = await lives.history.list_messages(BOB, str(conversation.id), 0, 1)
    assert (listed.content, listed.seq) == (RIDDLE, sent.seq)
    catchup, _ = await lives.sync.sync_account(BOB, AccountSyncRequest(token))
    assert [message.content for delta in catchup.deltas for message in delta.messages][-1] == RIDDLE
    assert (await lives.summary(BOB, conversation)).last_message == listed


async def test_it_counts_as_unread_can_be_reacted_to_and_not_be_edited(lives: Lives) -> None:
    conversation = lives.town.pair
    before = (await lives.summary(BOB, conversation)).own.unread
    sent = await lives.ask(conversation)
    assert (await lives.summary(BOB, conversation)).own.unread == before + 1
    reacted = await lives.changing.set_reaction(BOB, str(conversation.id), sent.seq, "👍", present=True)
    assert [reaction.emoji for reaction in reacted.reactions] == ["👍"]
    with pytest.raises(NotEditable):
        await lives.changing.edit_message(ALICE, str(conversation.id), sent.seq, Text("no"))


async def test_its_files_are_those_that_it_names_which_are_none(lives: Lives) -> None:
    request = SendRequest("riddle", RIDDLE, attachment_ids=[str(new_id(lives.clock.now()))])
    with pytest.raises(InvalidField, match="files that the content names"):
        await lives.sending.send(ALICE, str(lives.town.pair.id), request)
    with pytest.raises(InvalidField, match="not sent so"):
        await lives.sending.send(ALICE, str(lives.town.pair.id), SendRequest("gone", Unsent()))


async def test_it_is_found_until_it_is_unsent_and_then_nothing_of_it_is_kept(lives: Lives) -> None:
    sent = await lives.ask(lives.town.pair)
    assert await lives.found() == [RIDDLE]
    assert await lives.places() == {("messages", "body"), ("messages", "content"), ("message_words", "words")}
    unsent = await lives.changing.unsend_message(ALICE, str(lives.town.pair.id), sent.seq)
    assert unsent.content == Unsent()
    await lives.hear()
    assert await lives.found() == []
    assert await lives.places() == set()


async def test_it_vanishes(lives: Lives) -> None:
    conversation = lives.town.pair
    await lives.vanishing.set_vanishing(ALICE, str(conversation.id), timedelta(minutes=5))
    sent = await lives.ask(conversation)
    lives.clock.advance(300)
    (shown, *_), _ = await lives.history.list_messages(BOB, str(conversation.id), 0, 1)
    assert (shown.seq, shown.content) == (sent.seq, Expired())
    assert await lives.places() != set()
    assert await lives.sweeps.expire_due(lives.clock.now(), 10) == 1
    assert await lives.places() == set()


async def test_a_report_copies_what_it_says(lives: Lives) -> None:
    sent = await lives.ask(lives.town.pair)
    request = ReportRequest("k", str(lives.town.pair.id), [sent.seq], Reason.SPAM, "")
    filed = await lives.reports.report(BOB, request)
    assert [copy.text for copy in (await lives.reports.get_report(str(filed.id))).messages] == [QUESTION]


async def test_an_export_has_it(lives: Lives) -> None:
    await lives.ask(lives.town.pair)
    job = await lives.town.accounts.start_export(ALICE)
    await lives.town.run_killed(1_000_000)
    done = await lives.town.accounts.get_job(str(job.id), ALICE)
    lines = b"".join(lives.town.objects.held[key] for key in done.parts).decode().splitlines()
    told: list[Any] = [json.loads(line) for line in lines]
    asked = [line["message"]["call"] for line in told if "call" in line.get("message", {})]
    assert [(call["call_id"], call["participant_user_ids"]) for call in asked] == [(QUESTION, ["carol", "carola"])]


async def test_it_goes_with_its_senders_account(lives: Lives) -> None:
    await lives.ask(lives.town.pair)
    await delete(lives, ALICE)
    assert await lives.places() == set()


async def test_a_deleted_account_goes_out_of_what_others_said_and_who_is_called_alike_stays(lives: Lives) -> None:
    sent = await lives.ask(lives.town.group, BOB)
    await delete(lives, CAROL)
    left = await lives.town.store.find_message(lives.town.group.id, sent.seq)
    assert left is not None
    assert left.content == Riddle(QUESTION, (UserId("carola"),))
    assert left.revision > 0


async def delete(lives: Lives, user: UserId) -> None:
    await lives.town.accounts.delete(user, user)
    lives.clock.advance(16)
    await lives.town.run_killed(1_000_000)


async def test_in_requests_it_is_shown_withheld_live_and_when_one_looks(lives: Lives) -> None:
    conversation = await founded(lives.town.store, lives.clock, "asked", BOB, CAROL)
    await lives.town.database_events()
    async with lives.database.connection() as connection:
        await connection.execute(
            "UPDATE members SET request = 'pending' WHERE conversation_id = $1 AND user_id = $2", conversation.id, CAROL
        )
    await lives.sending.send(ALICE, str(conversation.id), SendRequest("riddle", RIDDLE))
    publisher = MemoryPublisher()
    await FanOut(lives.town.store, publisher).handle(records(await lives.town.database_events()))
    told = [presence.Delivery.FromString(record.value or b"") for record in publisher.records]
    assert {one.user_id: b"carola" in one.frame for one in told} == {ALICE: True, BOB: True, CAROL: False}
    assert all(QUESTION.encode() in one.frame for one in told)
    (shown, *_), _ = await lives.history.list_messages(CAROL, str(conversation.id), 0, 1)
    assert shown.content == Riddle(QUESTION)


async def test_the_sweeper_finds_what_is_due_by_its_index_in_this_release_and_the_one_before(lives: Lives) -> None:
    for condition in (is_said("m"), "m.kind IN ('text', 'call')"):
        query = f"SELECT m.seq FROM messages m WHERE m.expires_at <= now() AND {condition} ORDER BY m.expires_at"
        async with lives.database.transaction() as connection:
            # A table of a few rows is read as a whole otherwise.
            await connection.execute("SET LOCAL enable_seqscan = off")
            plan = "\n".join(row[0] for row in await connection.fetch("EXPLAIN " + query))
        assert "expires_at_idx" in plan, plan
        assert "Seq Scan" not in plan, plan


async def test_what_was_there_before_is_read_as_it_was(database_url: str, tmp_path: Path) -> None:
    """Every old kind, written before the column was there."""
    for path in sorted(MIGRATIONS.glob("*.sql")):
        if path.name < "0023":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    conversation = new_id(datetime.now(UTC))
    async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as pool:
        await migrate(pool, tmp_path)
        await pool.execute(
            "INSERT INTO conversations (id, kind, pair_key, active_at, created_at)"
            " VALUES ($1, 'direct', 'a b', now(), now())",
            conversation,
        )
        for seq, kind in enumerate(("text", "unsent", "expired"), start=1):
            await pool.execute(
                "INSERT INTO messages (conversation_id, seq, id, sender_id, client_message_id, sent_at, kind, body)"
                " VALUES ($1, $2, $3, 'a', $4, now(), $5, '')",
                *(conversation, seq, new_id(datetime.now(UTC)), str(seq), kind),
            )
        await migrate(pool, MIGRATIONS)
        async with pool.acquire() as connection:
            found = [await load_message(connection, ConversationId(conversation), seq) for seq in (1, 2, 3)]
    assert [message and message.content for message in found] == [Text(""), Unsent(), Expired()]
