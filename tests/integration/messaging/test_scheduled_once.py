"""Messages at their time, by several replicas on the real database: each is sent once, whoever is killed over it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from services.messaging.accounts.service.accounts import AccountAdmission
from services.messaging.accounts.sql.store import PostgresJobs
from services.messaging.hooks.service.withdrawing import Withdrawals
from services.messaging.hooks.sql import PostgresHeld
from services.messaging.kernel.content import Text
from services.messaging.kernel.errors import ScheduledSent
from services.messaging.kernel.model import Message
from services.messaging.messages.service.group_commit import GroupCommit
from services.messaging.messages.service.rates import SendRates
from services.messaging.messages.service.requests import TextRequest
from services.messaging.rpc import ERRORS
from services.messaging.scheduling.core import Scheduled
from services.messaging.scheduling.rpc import refusal_in
from services.messaging.scheduling.service.scheduling import Scheduling
from services.messaging.scheduling.service.sending import LEASE, ScheduledSender
from services.messaging.scheduling.sql import PostgresScheduled
from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import OutboxRelay
from tests.support.bus import MemoryPublisher
from tests.support.clock import ManualClock
from tests.support.messaging_cases import Cases
from tests.support.messaging_postgres import PostgresStore
from tests.support.messaging_store import ALICE, BOB

HOUR = timedelta(hours=1)


class Killed(BaseException):
    """The process is gone: nothing of ours catches it."""


class Mortal(PostgresScheduled):
    """The store of a replica that is killed at a point: before or after a method reached the database."""

    point = ("", "")

    async def claim(self, now: datetime, until: datetime, lease: UUID, limit: int) -> Any:
        return await self._live("claim", super().claim(now, until, lease, limit))

    async def forget(self, taken: Scheduled, lease: UUID, now: datetime) -> None:
        await self._live("forget", super().forget(taken, lease, now))

    async def _live(self, method: str, done: Coroutine[Any, Any, Any]) -> Any:
        if self.point == ("before", method):
            done.close()
            raise Killed
        result = await done
        if self.point == ("after", method):
            raise Killed
        return result


class Replica:
    """Messaging as one process has it: a pool of its own, and what it remembers."""

    def __init__(self, url: str, clock: ManualClock) -> None:
        self.database = Database(DatabaseConfig(url, pool_size=3), MIGRATIONS)
        relay = OutboxRelay(self.database, MemoryPublisher())
        self.store = PostgresStore(self.database, relay, new_id)
        self.sends = GroupCommit(self.store, 100)
        cases = Cases(self.store, self.sends, SendRates(), clock, new_id)
        self.sending, self.history, self.conversations = cases.sending, cases.history, cases.conversations
        self.scheduled = Mortal(self.database, relay)
        admission = AccountAdmission(PostgresJobs(self.database), clock, 5)
        self.sender = ScheduledSender(
            *(self.scheduled, self.sending, admission.require_not_deleted),
            *(partial(refusal_in, ERRORS), clock, new_id),
        )
        withdrawals = Withdrawals(PostgresHeld(self.database, HOUR), clock)
        self.scheduling = Scheduling(
            self.scheduled, self.sending, self.store, withdrawals, clock, new_id, self.sender.wake
        )

    async def __aenter__(self) -> "Replica":
        await self.database.start()
        await self.database.wait_connected()
        self._committer = asyncio.create_task(self.sends.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._committer.cancel()
        await asyncio.gather(self._committer, return_exceptions=True)
        await self.database.stop()


@pytest.fixture
async def replicas(migrated_url: str, clock: ManualClock) -> AsyncIterator[list[Replica]]:
    async with Replica(migrated_url, clock) as one, Replica(migrated_url, clock) as other:
        yield [one, other]


async def said(replica: Replica, conversation: str) -> list[str]:
    found, _ = await replica.history.list_messages(BOB, conversation, 0, 200)
    return [message.content.text for message in reversed(found) if isinstance(message.content, Text)]


async def test_what_is_due_at_once_is_sent_once_by_two_replicas(replicas: list[Replica], clock: ManualClock) -> None:
    one, other = replicas
    conversation = str((await one.conversations.open_direct(ALICE, str(BOB))).id)
    wanted = [f"number {number:02}" for number in range(60)]
    for number, words in enumerate(wanted):
        at = clock.now() + timedelta(seconds=number)
        await one.scheduling.schedule(ALICE, conversation, TextRequest(words, Text(words)), at)
    clock.advance(60)

    async def send_all(replica: Replica) -> int:
        return sum([await replica.sender.send_due() for _ in range(3)])

    assert sum(await asyncio.gather(send_all(one), send_all(other))) == len(wanted)
    assert sorted(await said(other, conversation)) == wanted
    assert await one.scheduled.list_of(ALICE, None, 100) == []


@pytest.mark.parametrize(
    "point", [("before", "claim"), ("after", "claim"), ("after", "send"), ("before", "forget"), ("after", "forget")]
)
async def test_what_a_killed_replica_was_at_is_sent_once(
    replicas: list[Replica], clock: ManualClock, monkeypatch: pytest.MonkeyPatch, point: tuple[str, str]
) -> None:
    one, other = replicas
    conversation = str((await one.conversations.open_direct(ALICE, str(BOB))).id)
    at = clock.now() + HOUR
    await one.scheduling.schedule(ALICE, conversation, TextRequest("k", Text("once")), at)
    clock.advance(HOUR.total_seconds())
    one.scheduled.point = point
    if point == ("after", "send"):
        monkeypatch.setattr(one.sending, "send", killed_after(one.sending.send))
    with pytest.raises(Killed):
        await one.sender.send_due()
    if point not in (("before", "claim"), ("after", "forget")):
        with pytest.raises(ScheduledSent):
            await other.scheduling.cancel(ALICE, conversation, "k")
    clock.advance(LEASE.total_seconds())
    for _ in range(2):
        await other.sender.send_due()
    assert await said(other, conversation) == ["once"]
    assert await other.scheduled.list_of(ALICE, None, 10) == []
    again = await other.scheduling.schedule(ALICE, conversation, TextRequest("k", Text("once")), at)
    assert isinstance(again, Message), "a retry gets what was sent"


def killed_after(real: Callable[..., Awaitable[Message]]) -> Callable[..., Awaitable[Message]]:
    async def send(*arguments: Any) -> Message:
        await real(*arguments)
        raise Killed

    return send
