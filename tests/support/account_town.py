"""Alice's life in messaging, and the runners of her jobs."""

import asyncio
from datetime import timedelta
from typing import Any

from parley.messaging.v1 import events_pb2

from services.messaging.accounts.core.jobs import AccountPolicy
from services.messaging.accounts.ports import AccountSource
from services.messaging.accounts.service.accounts import AccountAdmission, Accounts
from services.messaging.accounts.service.runner import JobRunner
from services.messaging.accounts.service.signing_out import SignOuts
from services.messaging.accounts.sql.store import (
    PostgresAccounts,
    PostgresJobs,
    PostgresRevocations,
)
from services.messaging.attachments.service.collecting import Collector
from services.messaging.attachments.sql.store import PostgresAttachments
from services.messaging.groups.ports import Invite
from services.messaging.groups.sql.invites import PostgresInvites
from services.messaging.kernel.content import Text
from services.messaging.kernel.model import Conversation, Draft, Message, MessageId
from services.messaging.kernel.own_state import OwnChange
from services.messaging.messages.core import changes
from services.messaging.messages.core.changes import ChangePolicy
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import OutboxRelay
from tests.support.accounts import Budget, Mortal
from tests.support.attachments import MemoryObjects, announced
from tests.support.bus import MemoryPublisher
from tests.support.clock import ManualClock
from tests.support.messaging_postgres import PostgresStore
from tests.support.messaging_store import ALICE, BOB, CAROL, fail, founded, left, opened, reacted, text


def _mortal(inner: object, budget: Budget) -> Any:
    return Mortal(inner, budget)


class Town:
    """Alice's life in three conversations, and whoever works on her jobs."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = ManualClock()
        self.objects = MemoryObjects()
        self.relay = OutboxRelay(database, MemoryPublisher())
        self.store = PostgresStore(database, self.relay, new_id)
        self.uploads = PostgresAttachments(database)
        self.jobs = PostgresJobs(database)
        self.data = PostgresAccounts(database, self.relay, new_id)
        self.admission = AccountAdmission(self.jobs, self.clock, 5)
        self.policy = AccountPolicy()
        self.accounts = Accounts(self.jobs, self.admission, self.objects, self.clock, new_id, self.policy)
        # Other services that are asked for exports.
        self.sources: list[AccountSource] = []
        revocations = PostgresRevocations(database, lambda _: None)
        self.sign_outs = SignOuts(revocations, self.admission, lambda *_: None, self.clock, timedelta(days=1))
        self.collector = Collector(self.uploads, self.objects, self.clock)

    async def settle(self) -> None:
        """Alice writes, reacts, is answered, owns a group, and has left another."""
        store, clock = self.store, self.clock
        self.pair = await opened(store, clock)
        await store.append([text(clock, self.pair, f"a{n}") for n in range(7)])
        await store.append([text(clock, self.pair, f"b{n}", BOB) for n in range(3)])
        self.group = await founded(store, clock, "own", BOB, CAROL)
        upload = await self.uploads.put_upload(announced(clock.now(), ALICE), 10)
        self.objects.receive(upload)
        message_id = MessageId(new_id(clock.now()))
        picture = Draft(
            message_id, self.group.id, ALICE, "p", clock.now(), Text("look"), attachments=(upload.attachment,)
        )
        await store.append([picture, text(clock, self.group, "g", BOB)])
        waiting = await self.uploads.put_upload(announced(clock.now(), ALICE, "waiting"), 10)
        self.objects.receive(waiting)
        await reacted(store, clock, self.group, 3, ALICE, "👍")
        await reacted(store, clock, self.pair, 1, BOB, "❤️")
        await store.change_message(
            self.pair.id,
            2,
            lambda _, found: changes.edit(found or fail(2), ALICE, Text("edited"), clock.now(), ChangePolicy()),
            clock.now(),
        )
        await store.change_own_state(self.pair.id, ALICE, OwnChange(pinned=True), clock.now())
        await PostgresInvites(self.database).put_invite(
            Invite(b"t", self.group.id, ALICE, clock.now() + timedelta(days=1))
        )
        self.old = await founded(store, clock, "old", BOB)
        await store.append([text(clock, self.old, "before")])
        await left(store, clock, self.old, ALICE)
        await store.append([text(clock, self.old, "after", BOB)])
        for conversation in (self.pair, self.group, self.old):
            await store.index_words([(conversation.id, seq) for seq in range(1, 12)])
        await self.database_events()

    async def run_killed(self, calls: int) -> int:
        """Runners work on what is due, each but the last killed after some calls. Returns how many it took."""
        for number in range(1, 500):
            # One call more for each, so that they die everywhere and come to an end.
            budget = Budget(calls + number)
            runner = JobRunner(
                _mortal(self.jobs, budget),
                _mortal(self.data, budget),
                _mortal(self.store, budget),
                _MortalObjects(self.objects, budget),
                self.clock,
                new_id,
                self.policy,
                self.sources,
                part_chars=600,
                step_rows=2,
            )
            try:
                worked = await runner.run_next()
            except asyncio.CancelledError:
                # Its lease must run out first.
                self.clock.advance(61)
                continue
            if not worked:
                return number
        raise AssertionError("it never ends")

    async def database_events(self) -> list[events_pb2.ConversationEvent]:
        """What was told since the last time."""
        async with self.database.transaction() as connection:
            rows = await connection.fetch("DELETE FROM outbox RETURNING id, topic, value")
        rows.sort(key=lambda row: row["id"])
        events = [row["value"] for row in rows if row["topic"] == "messaging.events.v1"]
        return [events_pb2.ConversationEvent.FromString(value) for value in events]

    async def count(self, query: str, *args: object) -> int:
        async with self.database.connection() as connection:
            return int(await connection.fetchval(query, *args))

    async def history(self, conversation: Conversation) -> list[Message]:
        return list(reversed(await self.store.list_messages(conversation.id, 0, None, 100)))


class _MortalObjects(MemoryObjects):
    """Objects whose user dies as that of a Mortal."""

    def __init__(self, inner: MemoryObjects, budget: Budget) -> None:
        super().__init__()
        self.held = inner.held
        self._budget = budget

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        await super().put(key, data, content_type)
        self._budget.spend()
