"""What one step of the runner that fails does to all others."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY

from services.messaging.accounts.core.jobs import AccountPolicy, Claim, JobId, JobKind
from services.messaging.accounts.service import runner as running_jobs
from services.messaging.accounts.service.runner import RETRY, JobRunner
from services.messaging.kernel.model import UserId
from services.runtime import tasks
from tests.support.clock import ManualClock
from tests.support.cut_off import cut_off
from tests.support.waiting import until

START = ManualClock().now()


class Jobs:
    """A table of deletions by when they are due; nothing is erased but by `Data`."""

    def __init__(self, *people: str) -> None:
        self.due = {UserId(person): START for person in people}
        self.finished: list[str] = []
        self.expire_raises: Exception | None = None
        self.asked = self.asked_for_expired = 0

    async def expire(self, now: datetime, limit: int) -> int:
        self.asked_for_expired += 1
        if self.expire_raises:
            raise self.expire_raises
        return 0

    async def claim(self, now: datetime, until: datetime, lease: UUID) -> Claim | None:
        self.asked += 1
        ready = [one for one, due in self.due.items() if due <= now]
        if not ready:
            return None
        chosen = min(ready, key=lambda one: self.due[one])
        self.due[chosen] = until
        return Claim(JobId(uuid4()), chosen, JobKind.DELETION, "", lease)

    async def extend(self, claim: Claim, until: datetime) -> None:
        self.due[claim.user_id] = until

    async def finish(self, claim: Claim, now: datetime, expires_at: datetime | None) -> None:
        del self.due[claim.user_id]
        self.finished.append(claim.user_id)


class Data:
    """Of one person nothing can be found out."""

    def __init__(self, *, others_pass: bool = True) -> None:
        self._others_pass = others_pass

    async def next_group(self, user_id: UserId) -> None:
        if user_id == "bad":
            raise cut_off(others_pass=self._others_pass)

    async def next_conversation(self, user_id: UserId, after: object) -> None:
        return

    async def delete_rows(self, claim: Claim, table: int, limit: int) -> bool:
        return False

    async def conclude(self, claim: Claim, now: datetime) -> None: ...

    async def save_deletion(self, claim: Claim, cursor: object, until: datetime) -> None: ...


def runner(jobs: Any, data: Any, clock: ManualClock) -> JobRunner:
    nothing: Any = None
    policy = AccountPolicy()
    return JobRunner(jobs, data, nothing, nothing, clock, lambda now: uuid4(), policy)


@pytest.mark.parametrize("error", [cut_off(), cut_off(others_pass=False), ValueError("a bug")])
async def test_exports_that_cannot_be_forgotten_do_not_keep_the_jobs_from_being_done(error: Exception) -> None:
    jobs = Jobs("good")
    jobs.expire_raises = error
    running = asyncio.create_task(runner(jobs, Data(), ManualClock()).run())
    await until(lambda: jobs.finished == ["good"], what="the job", progress=lambda: jobs.finished)
    await tasks.stop(running)


async def test_a_job_that_is_asked_for_here_begins_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_jobs, "POLL_S", 3_600.0)
    jobs = Jobs()
    work = runner(jobs, Data(), ManualClock())
    running = asyncio.create_task(work.run())
    await until(lambda: jobs.asked == 1, what="a look for jobs")
    jobs.due[UserId("good")] = START
    work.wake()
    await until(lambda: jobs.finished == ["good"], what="the job", progress=lambda: jobs.finished)
    await tasks.stop(running)


async def test_old_exports_are_looked_for_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_jobs, "POLL_S", 0.0)
    jobs, clock = Jobs(), ManualClock()
    running = asyncio.create_task(runner(jobs, Data(), clock).run())
    await until(lambda: jobs.asked > 3, what="looks for jobs")
    assert jobs.asked_for_expired == 1
    clock.advance(running_jobs.EXPIRE_INTERVAL_S)
    await until(lambda: jobs.asked_for_expired == 2, what="a second look for old exports")
    await tasks.stop(running)


def failures() -> float:
    labels = {"kind": "deletion", "result": "failed"}
    return REGISTRY.get_sample_value("messaging_account_jobs_total", labels) or 0.0


@pytest.mark.parametrize(("others_pass", "counted"), [(True, 1), (False, 0)])
async def test_a_job_that_is_always_cut_off_waits_alone_and_is_counted(others_pass: bool, counted: int) -> None:
    jobs, clock = Jobs("bad", "good", "other"), ManualClock()
    work = runner(jobs, Data(others_pass=others_pass), clock)
    before = failures()
    while await work.run_next():
        continue
    assert jobs.finished == ["good", "other"]
    assert failures() - before == counted
    clock.advance(RETRY.total_seconds())
    assert await work.run_next()
    assert jobs.due["bad"] == clock.now() + timedelta(seconds=30)  # type: ignore[index]
