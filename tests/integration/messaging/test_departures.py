"""What depends on somebody who has left, on PostgreSQL: the table of tests/support/messaging_departures.py, and jobs.

All actions that meet an event begin where that event left off, and are taken back.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest

from services.messaging.accounts.core import AccountPolicy
from services.messaging.accounts.runner import JobRunner
from services.messaging.accounts.service import Accounts, Gate
from services.messaging.accounts.store import PostgresAccounts, PostgresJobs
from services.messaging.attachments.core import UploadPolicy
from services.messaging.attachments.service import Attachments, Collector
from services.messaging.attachments.store import PostgresAttachments
from services.messaging.core.model import UserId
from services.messaging.core.rates import SendRates
from services.messaging.group_commit import GroupCommit
from services.messaging.groups.service import GroupLimits, Groups
from services.messaging.groups.store import PostgresInvites
from services.messaging.receipts.service import Receipts
from services.messaging.receipts.store import PostgresReceipts
from services.messaging.relations.service import RelationLimits, Relations, Reports
from services.messaging.relations.store import PostgresRelations, PostgresReports
from services.messaging.service import Limits, Messaging
from services.messaging.store import PostgresStore
from services.messaging.vanishing.service import Vanishing
from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.db import Database
from services.runtime.ids import new_id, new_secret
from services.runtime.outbox import OutboxRelay
from tests.support.accounts import Budget, Mortal
from tests.support.attachments import MemoryObjects
from tests.support.bus import MemoryPublisher
from tests.support.clock import ManualClock
from tests.support.db import connected
from tests.support.messaging_departures import ACTIONS, CELLS, EVENTS, RULES, outcome, settle
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
        self.attachments = Attachments(self.uploads, self.store, self.objects, clock, new_id, policy)
        self.collector = Collector(self.uploads, self.objects, clock)
        limits = Limits(text_chars=20)
        self.messaging = Messaging(self.store, self.sends, rates, clock, new_id, limits, self.attachments)
        relations = PostgresRelations(database, relay.wake)
        self.groups = Groups(
            *(self.store, PostgresInvites(database), relations, rates, clock, new_id, new_secret), GroupLimits()
        )
        self.receipts = Receipts(PostgresReceipts(database, relay, new_id), clock)
        self.vanishing = Vanishing(self.store, clock, new_id)
        self.relations = Relations(self.store, relations, clock, RelationLimits())
        self.reports = Reports(self.store, PostgresReports(database), clock, new_id, RelationLimits())
        self.jobs = PostgresJobs(database)
        self.data = PostgresAccounts(database, relay, new_id)
        self.policy = AccountPolicy()
        self.accounts = Accounts(self.jobs, Gate(self.jobs, clock, 5), self.objects, clock, new_id, self.policy)

    async def delete_account(self, user_id: UserId) -> None:
        """Ask for it, and have it done."""
        await self.accounts.delete(user_id, user_id)
        self.clock.advance(self.policy.settle.total_seconds() + 1)
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
async def database(database_url: str) -> AsyncIterator[OneTransaction]:
    async with connected(Database(DatabaseConfig(database_url, pool_size=1), MIGRATIONS)):
        pass
    connection = await asyncpg.connect(database_url)
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
