"""A deletion and an export know every table of every database: a new one fails here until it says its part."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

import asyncpg
import pytest
from parley.accounts.v1 import service_pb2 as data_api

from services.messaging.accounts.core.personal_columns import EXPORTED, PERSONAL_COLUMNS, OnDeletion
from services.messaging.accounts.ports import SourceUnavailable
from services.messaging.kernel.model import UserId
from services.presence.accounts import export as presence_export
from services.presence.accounts.consumer import AccountsConsumer as PresenceConsumer
from services.presence.publisher import KafkaFeed
from services.presence.sql import PostgresStates
from services.push import export as push_export
from services.push.consumer import AccountsConsumer as PushConsumer
from services.push.service import AccountLifecycle as PushLifecycle
from services.runtime.config import DatabaseConfig
from services.runtime.grpc.account_data import AccountDataServicer
from services.runtime.grpc.guard import Context
from services.runtime.kafka.bus import Incoming
from services.runtime.postgres.database import Database
from services.signaling.accounts import export as calls_export
from services.signaling.accounts.consumer import AccountsConsumer
from services.signaling.accounts.core import PERSONAL_COLUMNS as CALL_COLUMNS
from services.signaling.core.model import CallState
from services.signaling.core.model import UserId as CallUser
from services.webhooks.consumer import TOPICS, EventsConsumer
from services.webhooks.core.model import Endpoint, EndpointName
from services.webhooks.service import Intake
from services.webhooks.sql import PostgresDeliveries
from tests.support.account_lives import (
    DEVICE,
    SERVICES,
    WORDS,
    CallTown,
    live_in_messaging,
    live_in_presence,
    live_in_push,
    told,
)
from tests.support.account_town import Town
from tests.support.bus import MemoryPublisher
from tests.support.database_search import columns, where
from tests.support.db import connected
from tests.support.messaging_store import ALICE, BOB
from tests.unit.signaling.fakes import TABLET

DATABASES = sorted(folder.parent.name for folder in SERVICES.glob("*/migrations"))
CANARIES = (ALICE, DEVICE, WORDS)
NO_CONTEXT = cast(Context, None)
TIME = datetime(2026, 1, 1, tzinfo=UTC)

# Tables in which nobody's life leaves anything: no person is in them, by their columns or by what is in these.
NOT_PERSONAL = {
    ("messaging", "sync_epoch"): "one number",
    ("messaging", "pins"): "numbers of messages; who pinned them is in the conversation",
    ("messaging", "doomed_objects"): "names of objects, which are random",
    ("messaging", "export_parts"): "the same; they go with the export",
    ("messaging", "schema_migrations"): "names of files",
    ("signaling", "schema_migrations"): "names of files",
    ("presence", "schema_migrations"): "names of files",
    ("webhooks", "schema_migrations"): "names of files",
    ("push", "schema_migrations"): "names of files",
    ("messaging", "admin_audit"): "what people who run Parley did, kept against them: rows are never taken away",
    ("signaling", "admin_audit"): "the same",
    ("presence", "admin_audit"): "the same",
    ("webhooks", "admin_audit"): "the same",
    ("push", "admin_audit"): "the same",
    ("webhooks", "endpoints"): "names of the operators' endpoints",
    ("messaging", "outbox"): "goes with the broker's acknowledgement",
    ("signaling", "outbox"): "goes with the broker's acknowledgement",
    ("signaling", "erasures"): "only while somebody is being erased",
}
# What holds the person's id after a deletion, beside the columns that messaging's PERSONAL_COLUMNS keep, and why.
KEPT = {
    ("messaging", "members", "user_id"): "in a pair the other keeps the conversation, and whose it was with",
    ("messaging", "members", "added_by"): "only of those who were brought into conversations that are gone",
    ("messaging", "messages", "sender_id"): "the place stays, blank",
    ("messaging", "messages", "line"): "a group's own history: who came and went",
    ("messaging", "messages", "entities"): "another's words that name the person",
    ("messaging", "conversations", "pair_key"): "so that the two have one conversation, which is closed",
    ("messaging", "report_messages", "body"): "evidence for the moderators",
    ("messaging", "reports", "comment"): "evidence for the moderators",
    # Copies of public events, as the network's servers have them. Nobody's words.
    **{
        ("webhooks", table, column): "ids, for PARLEY_WEBHOOKS_KEEP_DAYS"
        for table, column in (
            *(("deliveries", column) for column in ("order_key", "body", "author_id", "reactor_ids")),
            ("deliveries", "body_with_contents"),
            ("queues", "order_key"),
        )
    },
}
KEPT |= {
    ("messaging", one.table, one.column): one.why for one in PERSONAL_COLUMNS if one.on_deletion is OnDeletion.KEPT
}

# The lines of an export in which a table's rows are told, or why they are not.
EXPORT_LINES = {
    **{("messaging", one.table): one.table for one in EXPORTED},
    ("messaging", "conversations"): "conversation",
    ("messaging", "members"): "conversation",
    ("messaging", "former_members"): "conversation",
    ("messaging", "messages"): "message",
    ("messaging", "message_edits"): "message",
    ("messaging", "reactions"): "message",
    ("messaging", "poll_votes"): "message",
    ("messaging", "openings"): "message",
    ("signaling", "calls"): "call",
    ("signaling", "participants"): "call",
    ("signaling", "media_quality"): "call",
    ("signaling", "join_links"): "join_link",
    ("signaling", "scheduled_calls"): "scheduled_call",
    ("signaling", "scheduled_answers"): "scheduled_answer",
    ("signaling", "scheduled_waiting"): "scheduled_waiting",
    ("signaling", "call_keys"): "call_key",
    ("signaling", "account_keys"): "account_keys",
    ("signaling", "device_keys"): "device_keys",
    ("signaling", "call_settings"): "call_settings",
    ("presence", "user_states"): "presence",
    ("push", "people"): "notification_settings",
    ("push", "conversation_levels"): "notification_level",
    ("push", "tokens"): "notification_device",
}
NOT_EXPORTED = {
    ("messaging", "invites"): "hashes of tokens, and who made them",
    ("messaging", "message_words"): "made from messages, for the search",
    ("messaging", "inboxes"): "made from members, for Sync",
    ("messaging", "inbox_moves"): "made from cursors and own states, for Sync",
    ("messaging", "report_messages"): "what others reported: theirs, and the moderators'",
    ("messaging", "account_jobs"): "the export itself",
    ("signaling", "active_legs"): "made from participants",
    ("signaling", "sealed_call_keys"): "sealed to devices, while a call runs",
    ("webhooks", "deliveries"): "copies of what the others tell themselves, for some days",
    ("webhooks", "queues"): "the same",
    ("push", "threads"): "made from messages, until they are read",
    ("push", "deliveries"): "made from threads",
    ("push", "reactors"): "made from reactions",
    ("push", "attended"): "made from presence; in notification_settings",
}


class Source:
    """See accounts.ports.AccountSource: another service, asked without the network."""

    def __init__(self, name: str, servicer: Any) -> None:
        self.name = name
        self.is_away = False
        self._servicer = servicer

    async def read(self, user_id: UserId, page: str) -> tuple[Sequence[str], str]:
        if self.is_away:
            raise SourceUnavailable(f"{self.name} is away")
        request = data_api.ReadAccountRequest(user_id=user_id, page_token=page)
        response = await self._servicer.ReadAccount(request, NO_CONTEXT)
        return list(response.lines), response.next_page_token


@dataclass
class Everywhere:
    """All databases, the person's life in them, and what listens to accounts.events.v1."""

    databases: dict[str, Database]
    town: Town
    calls: CallTown
    states: PostgresStates
    publisher: MemoryPublisher
    sources: list[Source]
    hooks: EventsConsumer
    heard: list[Incoming]
    lifecycle: PushLifecycle

    async def hear(self, records: Sequence[Incoming] | None = None) -> None:
        """The other services hear what messaging has told, or these records."""
        await self.carry()
        told_now = await told(self.databases["messaging"]) if records is None else records
        self.heard += told_now
        await AccountsConsumer(self.calls.lifecycle).handle(told_now)
        await PushConsumer(self.lifecycle).handle(told_now)
        await PresenceConsumer(self.states, KafkaFeed(self.publisher), self.town.clock).handle(told_now)

    async def carry(self) -> None:
        """Webhooks hear what waits to be published, and send nothing; of what they wrote down, some was given up and
        some delivered."""
        for service in ("messaging", "signaling"):
            async with self.databases[service].connection() as connection:
                rows = await connection.fetch("SELECT id, topic, key, value FROM outbox ORDER BY id")
            await self.hooks.handle(
                [
                    Incoming(row["topic"], 0, row["id"], row["key"].encode(), row["value"], TIME, None)
                    for row in rows
                    if row["topic"] in TOPICS
                ]
            )
        async with self.databases["webhooks"].connection() as connection:
            await connection.execute("UPDATE deliveries SET state = id % 3")

    async def delete(self) -> None:
        """The account's deletion, from the wish to the end."""
        await self.town.accounts.delete(ALICE, ALICE)
        await self.hear()
        self.town.clock.advance(16)
        await self.town.run_killed(1_000_000)
        await self.hear()

    async def found(self, word: str) -> set[tuple[str, str, str]]:
        """Service, table and column of each place where the word is; outboxes are emptied, as by the relay."""
        for service in ("messaging", "signaling"):
            async with self.databases[service].connection() as connection:
                await connection.execute("DELETE FROM outbox")
        return {
            (service, table, column)
            for service, database in self.databases.items()
            for table, column in await where(database, word)
        }

    async def export(self) -> list[dict[str, Any]]:
        """The lines of a new export."""
        job = await self.town.accounts.start_export(ALICE)
        await self.town.run_killed(1_000_000)
        found = await self.town.accounts.get_job(str(job.id), ALICE)
        assert found.finished_at
        data = b"".join(self.town.objects.held[key] for key in found.parts)
        return [json.loads(line) for line in data.decode().splitlines()]


@pytest.fixture
async def everywhere(postgres: str) -> AsyncIterator[Everywhere]:
    """A database for each service that has migrations."""
    async with AsyncExitStack() as stack:
        databases = {service: await _made(stack, postgres, service) for service in DATABASES}
        town, calls = Town(databases["messaging"]), CallTown(databases["signaling"])
        states, publisher = await live_in_presence(databases["presence"]), MemoryPublisher()
        await live_in_messaging(town)
        await calls.live()
        push = await live_in_push(databases["push"])
        sources = [
            Source("signaling", AccountDataServicer(calls_export.pages(calls.accounts))),
            Source("presence", AccountDataServicer(presence_export.pages(states))),
            Source("push", AccountDataServicer(push_export.pages(push))),
        ]
        town.sources += sources
        endpoint = Endpoint(EndpointName("all"), "http://x/", ("whsec_",), ("*",), contents=True)
        intake = Intake(PostgresDeliveries(databases["webhooks"]), lambda: [endpoint], lambda: None)
        hooks = EventsConsumer(intake, lambda: [endpoint])
        made = Everywhere(databases, town, calls, states, publisher, sources, hooks, [], PushLifecycle(push, push))
        await made.carry()
        yield made


async def _made(stack: AsyncExitStack, postgres: str, service: str) -> Database:
    name = f"test_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(postgres)
    stack.push_async_callback(admin.close)
    await admin.execute(f'CREATE DATABASE "{name}"')
    stack.push_async_callback(admin.execute, f'DROP DATABASE "{name}" WITH (FORCE)')
    url = postgres.replace("/parley_messaging?", f"/{name}?")
    made = Database(DatabaseConfig(url, pool_size=4), SERVICES / service / "migrations")
    return await stack.enter_async_context(connected(made))


async def test_the_life_reaches_every_table_or_the_table_is_nobodys(everywhere: Everywhere) -> None:
    """So that what follows is said of all tables, also of those that come later."""
    reached = {(service, table) for word in CANARIES for service, table, _ in await everywhere.found(word)}
    every = {
        (service, column.table)
        for service, database in everywhere.databases.items()
        for column in await columns(database)
    }
    assert every - reached == set(NOT_PERSONAL)


async def test_a_deletion_leaves_nothing_in_any_column_but_what_is_named(everywhere: Everywhere) -> None:
    before = await everywhere.found(ALICE) | await everywhere.found(DEVICE)
    assert await everywhere.found(WORDS) >= {
        ("messaging", "messages", "content"),
        ("webhooks", "deliveries", "body_with_contents"),
        ("push", "threads", "body"),
    }
    assert before >= {("signaling", one.table, one.column) for one in CALL_COLUMNS if one.exported}
    await everywhere.delete()
    left = {place for place in await everywhere.found(ALICE) if place[0] != "signaling"}
    left |= await everywhere.found(WORDS)
    assert left <= set(KEPT), sorted(left - set(KEPT))
    assert not [place for place in await everywhere.found(WORDS) if place[0] == "webhooks"]
    # Which of them were signed out is a public event.
    devices = {place for place in await everywhere.found(DEVICE) if place[0] != "signaling"}
    assert devices <= {("webhooks", "deliveries", "body")}


async def test_a_call_that_goes_on_without_the_person_forgets_them_when_it_ends(everywhere: Everywhere) -> None:
    calls = everywhere.calls
    await everywhere.delete()
    running = await calls.store.find(calls.group_call.call_id)
    assert running is not None
    assert running.state is CallState.ACTIVE
    assert [leg.user_id for leg in running.joined] == ["bob", "carol"]
    assert everywhere.calls.closer.removed[-1][1:] == (ALICE, DEVICE)
    for user in ("bob", "carol"):
        await calls.service.leave_call(running.call_id, CallUser(user), TABLET)
    # A worker's last report, late.
    await calls.lifecycle.sweep()
    await calls.measure(running.call_id, {"alice": DEVICE})
    left = await everywhere.found(ALICE) | await everywhere.found(DEVICE)
    assert not [place for place in left if place[0] == "signaling"]
    # The others' history keeps the lines.
    page = await calls.service.list_ended_calls(CallUser("bob"), None, 10)
    assert len(page.calls) == 3
    assert {call.caller_id for call in page.calls} == {"", "bob"}
    assert all("alice" not in call.user_ids for call in page.calls)
    assert await calls.accounts.list_deletions(10) == []


async def test_the_feed_of_presence_gets_a_tombstone(everywhere: Everywhere) -> None:
    await everywhere.delete()
    told_of = [(record.key, record.value) for record in everywhere.publisher.records]
    assert (ALICE.encode(), None) in told_of
    assert (BOB.encode(), None) not in told_of


async def test_every_table_is_in_the_export_or_says_why_not(everywhere: Everywhere) -> None:
    reached = {(service, table) for word in CANARIES for service, table, _ in await everywhere.found(word)}
    assert reached == EXPORT_LINES.keys() | NOT_EXPORTED.keys()
    everywhere.town.clock.advance(90_000)
    lines = await everywhere.export()
    own = {line["type"] for line in lines if ALICE in json.dumps(line) or DEVICE in json.dumps(line)}
    assert set(EXPORT_LINES.values()) <= own
    assert {line["source"] for line in lines if line["type"] == "source"} == {"signaling", "presence", "push"}
    told_calls = [line["call"] for line in lines if line["type"] == "call"]
    assert len(told_calls) == 3
    assert all({row["device_id"] for row in call["media"]} == {DEVICE} for call in told_calls)
    (settings,) = [line["call_settings"] for line in lines if line["type"] == "call_settings"]
    assert (settings["quiet_time_zone"], settings["quiet_start_minute"]) == ("Europe/Paris", 60)
    assert WORDS in json.dumps([line for line in lines if line["type"] == "call_key"])
    (link,) = [line["join_link"] for line in lines if line["type"] == "join_link"]
    assert (link["maker_id"], {"secret_hash", "salt", "request_hash"} & set(link)) == (ALICE, set())
    # Of a call that she was not let into, nobody else is named.
    (place,) = [line["lobby_place"] for line in lines if line["type"] == "lobby_place"]
    assert set(place) == {"call_id", "state", "version", "link_id"}


async def test_an_export_of_many_calls_comes_in_pages_and_has_each_once(everywhere: Everywhere) -> None:
    calls, ids = everywhere.calls, set()
    await calls.service.leave_call(calls.group_call.call_id, CallUser(ALICE), DEVICE)
    for _ in range(45):
        call = await calls.start("alice", DEVICE)
        await calls.service.cancel_call(call.call_id, CallUser(ALICE))
        calls.wait(61)
        ids.add(call.call_id)
    everywhere.town.clock.advance(90_000)
    told_ids = [line["call"]["call"]["call_id"] for line in await everywhere.export() if line["type"] == "call"]
    assert len(told_ids) == len(set(told_ids)) == 48
    assert ids <= set(told_ids)


@pytest.mark.parametrize("name", ["signaling", "presence", "push"])
async def test_an_export_waits_for_a_service_that_is_away_and_is_never_finished_without_it(
    everywhere: Everywhere, name: str
) -> None:
    everywhere.town.clock.advance(90_000)
    (source,) = [one for one in everywhere.sources if one.name == name]
    source.is_away = True
    job = await everywhere.town.accounts.start_export(ALICE)
    await everywhere.town.run_killed(1_000_000)
    assert (await everywhere.town.accounts.get_job(str(job.id), ALICE)).finished_at is None
    source.is_away = False
    everywhere.town.clock.advance(31)
    assert await everywhere.export()


@pytest.mark.parametrize("restored", ["signaling", "presence"])
async def test_a_restored_database_deletes_again_who_was_deleted_since(everywhere: Everywhere, restored: str) -> None:
    await everywhere.delete()
    # Its old rows are back.
    if restored == "signaling":
        for user in ("bob", "carol"):
            await everywhere.calls.service.leave_call(everywhere.calls.group_call.call_id, CallUser(user), TABLET)
        await everywhere.calls.start("alice", DEVICE)
    else:
        await live_in_presence(everywhere.databases["presence"])
    assert [place for place in await everywhere.found(ALICE) if place[0] == restored]
    # What `python -m services.ops delete-again` asks of messaging for each.
    assert await everywhere.town.accounts.list_deleted("") == [ALICE]
    await everywhere.town.accounts.delete(ALICE, ALICE, tell_again=True)
    await everywhere.hear()
    left = await everywhere.found(ALICE) | await everywhere.found(DEVICE)
    assert not [place for place in left if place[0] == restored]
