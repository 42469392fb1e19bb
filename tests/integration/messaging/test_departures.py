"""What depends on somebody who has left, on PostgreSQL: the table of messaging_departure_rules.py, and jobs.

All actions that meet an event begin where that event left off, and are taken back.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import product
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from services.messaging.accounts.core.jobs import AccountPolicy, Job
from services.messaging.accounts.service.accounts import AccountAdmission, Accounts
from services.messaging.accounts.service.runner import JobRunner
from services.messaging.accounts.sql.store import PostgresAccounts, PostgresJobs
from services.messaging.attachments.core.uploads import UploadPolicy
from services.messaging.attachments.service.attachments import Attachments
from services.messaging.attachments.service.collecting import Collector
from services.messaging.attachments.sql.store import PostgresAttachments
from services.messaging.forwarding.service import Forwarding
from services.messaging.groups.service import GroupLimits, Groups
from services.messaging.groups.sql.invites import PostgresInvites
from services.messaging.kernel.content import Expired, Text
from services.messaging.kernel.errors import AccountDeleted
from services.messaging.kernel.model import ConversationId, UserId
from services.messaging.messages.service.group_commit import GroupCommit
from services.messaging.messages.service.rates import SendRates
from services.messaging.messages.service.requests import MessageLimits, TextRequest
from services.messaging.pins.service import Pins
from services.messaging.pins.sql import PostgresPins
from services.messaging.receipts.service import Receipts
from services.messaging.receipts.sql import PostgresReceipts
from services.messaging.relations.service import RelationLimits, Relations, Reports
from services.messaging.relations.sql.store import PostgresReports
from services.messaging.vanishing.service import Sweeper, SweepPolicy, Vanishing
from services.messaging.vanishing.sql import PostgresSweepStore
from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.ids import new_id, new_secret
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import OutboxRelay
from tests.support.accounts import Budget, Mortal
from tests.support.attachments import MemoryObjects
from tests.support.bus import MemoryPublisher
from tests.support.clock import ManualClock
from tests.support.db import connected
from tests.support.messaging_cases import Cases
from tests.support.messaging_departure_rules import CELLS, RULES
from tests.support.messaging_departures import ACTIONS, CAROL, EVENTS, HOUR, MINE, Town, outcome, settle
from tests.support.messaging_postgres import PostgresRelations, PostgresStore
from tests.support.messaging_world import ALICE, BOB
from tests.support.one_transaction import OneTransaction


class Replica:
    """Messaging's use-cases over PostgreSQL, as one replica has them; see messaging_world.People."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        self.clock = clock
        relay = OutboxRelay(database, MemoryPublisher())
        self.store = PostgresStore(database, relay, new_id)
        self.sends = GroupCommit(self.store, 100)
        rates = SendRates()
        self.objects = MemoryObjects()
        self.uploads = PostgresAttachments(database)
        policy = UploadPolicy(waiting=3, per_message=2)
        self.attachments = Attachments(self.uploads, self.store, self.store, self.objects, clock, new_id, policy)
        self.collector = Collector(self.uploads, self.objects, clock)
        limits = MessageLimits(text_chars=20)
        cases = Cases(self.store, self.sends, rates, clock, new_id, limits, self.attachments)
        self.conversations, self.history = cases.conversations, cases.history
        self.sending, self.changing = cases.sending, cases.changing
        self.sync, self.search = cases.sync, cases.search
        self.forwarding = Forwarding(self.sending, self.store, self.store, self.attachments, clock)
        relations = PostgresRelations(database, relay.wake)
        self.groups = Groups(
            *(self.store, self.store, PostgresInvites(database), relations, relations),
            *(rates, clock, new_id, new_secret, GroupLimits()),
        )
        self.receipts = Receipts(PostgresReceipts(database, relay, new_id), clock)
        self.vanishing = Vanishing(self.store, clock, new_id)
        self.pins = Pins(PostgresPins(database, relay, new_id), rates, clock, new_id)
        self.sweeps = PostgresSweepStore(database, relay, new_id)
        self.sweeper = Sweeper(self.sweeps, clock, SweepPolicy())
        self.relations = Relations(self.store, relations, relations, clock, RelationLimits())
        self.reports = Reports(*(self.store, self.store, PostgresReports(database), clock, new_id, RelationLimits()))
        self.jobs = PostgresJobs(database)
        self.data = PostgresAccounts(database, relay, new_id)
        self.policy = AccountPolicy()
        self.accounts = Accounts(
            self.jobs, AccountAdmission(self.jobs, clock, 5), self.objects, clock, new_id, self.policy
        )

    async def delete_account(self, user_id: UserId) -> None:
        """Ask for it, and have it done."""
        await self.accounts.delete(user_id, user_id)
        self.clock.advance(self.policy.start_delay.total_seconds() + 1)
        await self.work()

    async def work(self, calls: int = 1_000_000) -> None:
        """A runner works on what is due, until nothing is, or is killed after some calls."""
        budget = Budget(calls)
        runner = JobRunner(
            *(Mortal(self.jobs, budget), Mortal(self.data, budget), Mortal(self.store, budget)),
            *(self.objects, self.clock, new_id, self.policy),
            part_chars=1,
            step_rows=2,
        )
        try:
            while await runner.run_next():
                continue
        except asyncio.CancelledError:
            # Its lease must run out first.
            self.clock.advance(61)


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[OneTransaction]:
    async with connected(Database(DatabaseConfig(migrated_url, pool_size=1), MIGRATIONS)):
        pass
    connection = await asyncpg.connect(migrated_url)
    try:
        async with connection.transaction():
            yield OneTransaction(connection)
    finally:
        await connection.close()


@asynccontextmanager
async def replica_on(database: OneTransaction, clock: ManualClock) -> AsyncIterator[Replica]:
    replica = Replica(database, clock)
    committer = asyncio.create_task(replica.sends.run())
    try:
        yield replica
    finally:
        committer.cancel()
        await asyncio.gather(committer, return_exceptions=True)


@pytest.mark.parametrize("event", EVENTS)
async def test_what_is_pending_meets_who_has_left(database: OneTransaction, event: str) -> None:
    clock = ManualClock()
    async with replica_on(database, clock) as first:
        town = await settle(first)
        await EVENTS[event](town)
    said = {}
    for action in ACTIONS:
        # Another replica each time: this one remembers nothing of what was taken back.
        async with database.taken_back(), replica_on(database, clock) as replica:
            said[action] = await outcome(replace(town, world=replica), action)
    column = list(EVENTS).index(event)
    assert said == {action: RULES[row[column]][0] for action, row in CELLS.items()}


# Jobs on Bob's account. Each was begun before the event, and goes on, or is asked for again, after it.
async def begin_export(replica: Replica) -> Job:
    job = await replica.accounts.start_export(BOB)
    await replica.work(calls=12)
    assert (await replica.accounts.get_job(str(job.id), BOB)).finished_at is None
    return job


async def begin_deletion(replica: Replica) -> Job:
    """Asked for, and broken off in the middle."""
    job = await replica.accounts.delete(BOB, BOB)
    replica.clock.advance(replica.policy.start_delay.total_seconds() + 1)
    await replica.work(calls=5)
    assert (await replica.accounts.get_job(str(job.id), None)).finished_at is None
    return job


async def export_again(replica: Replica) -> Job:
    return await replica.accounts.start_export(BOB)


async def delete_again(replica: Replica) -> Job:
    return await replica.accounts.delete(BOB, BOB)


Ask = Callable[[Replica], Awaitable[Job]]
JOBS: dict[str, tuple[Ask, Ask]] = {
    "an export": (begin_export, export_again),
    "a deletion": (begin_deletion, delete_again),
    "a deletion while an export runs": (begin_export, delete_again),
}
# His own part in these is his account's doing once its deletion runs.
BY_HIM = ("she is removed", "he leaves", "he is removed", "he loses his role")


@pytest.mark.parametrize("name", JOBS)
async def test_a_job_that_runs_meets_who_has_left(database: OneTransaction, name: str) -> None:
    begin, ask_again = JOBS[name]
    clock = ManualClock()
    async with replica_on(database, clock) as first:
        town = await settle(first)
    for event in EVENTS:
        if begin is begin_deletion and event in BY_HIM:
            continue
        async with database.taken_back(), replica_on(database, clock) as replica:
            before = await begin(replica)
            await EVENTS[event](replace(town, world=replica))
            again = await ask_again(replica)
            clock.advance(replica.policy.start_delay.total_seconds() + 61)
            await replica.work()
            if name == "an export":
                assert again.id == before.id, event
                await assert_exported(replica, town, before)
            else:
                assert (again.id == before.id) == (name == "a deletion"), event
                await assert_deleted(replica, town, again)


@pytest.mark.parametrize("event", ["he leaves", "he is removed"])
async def test_an_export_that_runs_shows_nothing_of_what_comes_after_one_has_left(
    database: OneTransaction, event: str
) -> None:
    async with replica_on(database, ManualClock()) as replica:
        town = await settle(replica)
        job = await begin_export(replica)
        await EVENTS[event](town)
        await replica.sending.send(ALICE, town.group, TextRequest("after", Text("behind his back")))
        await replica.changing.set_reaction(ALICE, town.group, MINE["group"], "🙈", present=True)
        again = await replica.accounts.start_export(BOB)
        await replica.work()
        assert again.id == job.id
        said = json.dumps(await exported(replica, job), ensure_ascii=False)
        assert "behind his back" not in said
        assert "🙈" not in said
        # What he wrote himself is his.
        assert town.group in said


async def test_two_deletions_that_take_turns_leave_nobody_behind(database: OneTransaction) -> None:
    async with replica_on(database, ManualClock()) as replica:
        town = await settle(replica)
        jobs = [await replica.accounts.delete(user_id, user_id) for user_id in (BOB, CAROL)]
        replica.clock.advance(replica.policy.start_delay.total_seconds() + 1)
        for calls in range(2, 40):
            # A runner that is killed has its job go to the end of the line, so that the two take turns.
            await replica.work(calls)
        await replica.work()
        for job in jobs:
            await assert_deleted(replica, town, job)


async def test_what_vanishes_goes_whoever_has_left_meanwhile(database: OneTransaction) -> None:
    clock = ManualClock()
    async with replica_on(database, clock) as first:
        town = await settle(first)
        secret = TextRequest("secret", Text("secret"))
        places = [
            (conversation, (await first.sending.send(author, conversation, secret)).seq)
            for conversation, author in product((town.own, town.pair), (BOB, CAROL))
        ]
    for event in EVENTS:
        async with database.taken_back(), replica_on(database, clock) as replica:
            await EVENTS[event](replace(town, world=replica))
            clock.advance(2 * HOUR.total_seconds())
            await replica.sweeper.sweep()
            for conversation, seq in places:
                message = await replica.store.find_message(ConversationId(UUID(conversation)), seq)
                assert message is not None
                assert isinstance(message.content, Expired), (event, conversation, seq)
            assert await replica.sweeps.expire_due(clock.now(), 99) == 0, event
            # A retry still gets its first result: the place, without what was said.
            again = await replica.sending.send(BOB, town.pair, secret)
            assert (again.seq, again.content) == (dict(places[2:3])[town.pair], Expired()), event


async def exported(replica: Replica, job: Job) -> list[dict[str, Any]]:
    found = await replica.accounts.get_job(str(job.id), BOB)
    assert found.finished_at
    data = b"".join(replica.objects.held[key] for key in found.parts)
    return [json.loads(line) for line in data.decode().splitlines()]


async def assert_exported(replica: Replica, town: Town, job: Job) -> None:
    """All conversations and messages, once each."""
    lines = await exported(replica, job)
    conversations = [line["conversation"]["conversation_id"] for line in lines if line["type"] == "conversation"]
    assert sorted(conversations) == sorted([town.group, town.own, town.pair])
    places = [
        (line["message"]["conversation_id"], line["message"]["seq"]) for line in lines if line["type"] == "message"
    ]
    assert len(set(places)) == len(places)
    assert (town.pair, str(MINE["pair"])) in places


async def assert_deleted(replica: Replica, town: Town, job: Job) -> None:
    """The person is in no group, the pair is closed, and there is no export of theirs."""
    assert (await replica.accounts.get_job(str(job.id), None)).finished_at
    for conversation in (town.group, town.own):
        group = await replica.store.find_conversation(ConversationId(UUID(conversation)))
        assert group is not None
        assert group.member(job.user_id) is None
    pair = await replica.store.find_conversation(ConversationId(UUID(town.pair)))
    assert pair is not None
    assert pair.blocked
    with pytest.raises(AccountDeleted):
        await replica.accounts.start_export(job.user_id)
    replica.clock.advance(7_200)
    await replica.collector.collect()
    assert not [key for key in replica.objects.held if key.startswith("exports/")]
