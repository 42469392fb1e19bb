"""The contract of the store of jobs, held by the fake and PostgreSQL."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from services.messaging.accounts.core.exports import ExportCursor, Section, dump_export
from services.messaging.accounts.core.jobs import AccountState, Claim, Job, JobId, JobKind
from services.messaging.accounts.ports import JobStore, LeaseLost
from services.messaging.accounts.sql.store import PostgresJobs
from services.messaging.kernel.model import UserId
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database
from tests.support.accounts import FakeJobs
from tests.support.clock import ManualClock
from tests.support.messaging_memory import MemoryStore

ALICE, BOB = UserId("alice"), UserId("bob")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def jobs(truth: MemoryStore | Database) -> JobStore:
    return FakeJobs() if isinstance(truth, MemoryStore) else PostgresJobs(truth)


def job(clock: ManualClock, kind: JobKind = JobKind.EXPORT, user: UserId = ALICE) -> Job:
    return Job(JobId(new_id(clock.now())), user, kind, clock.now())


async def claimed(jobs: JobStore, clock: ManualClock) -> Claim:
    claim = await jobs.claim(clock.now(), clock.now() + MINUTE, new_id(clock.now()))
    assert claim is not None
    return claim


async def test_an_export_that_runs_or_is_fresh_is_given_again(jobs: JobStore, clock: ManualClock) -> None:
    first = job(clock)
    assert await jobs.start_export(first, clock.now() - DAY) == first
    clock.advance(90_000)
    assert await jobs.start_export(job(clock), clock.now() - DAY) == first
    claim = await claimed(jobs, clock)
    await jobs.finish(claim, clock.now(), clock.now() + DAY)
    found = await jobs.find(first.id)
    assert found is not None
    assert (found.finished_at, found.expires_at) == (clock.now(), clock.now() + DAY)
    second = job(clock)
    assert await jobs.start_export(second, clock.now() - DAY) == second
    assert await jobs.start_export(job(clock, user=BOB), clock.now() - DAY) != second


async def test_exports_asked_for_at_once_are_one(jobs: JobStore, clock: ManualClock) -> None:
    found = await asyncio.gather(*(jobs.start_export(job(clock), clock.now() - DAY) for _ in range(8)))
    assert len({each.id for each in found}) == 1


async def test_a_deletion_is_one_for_ever_and_closes_the_account(jobs: JobStore, clock: ManualClock) -> None:
    assert await jobs.state_of(ALICE) == AccountState()
    first = job(clock, JobKind.DELETION)
    found = await asyncio.gather(
        jobs.start_deletion(first, clock.now() + MINUTE),
        *(jobs.start_deletion(job(clock, JobKind.DELETION), clock.now() + MINUTE) for _ in range(4)),
    )
    assert len({each.id for each in found}) == 1
    assert (await jobs.state_of(ALICE), await jobs.state_of(BOB)) == (AccountState(is_deleted=True), AccountState())
    assert await jobs.claim(clock.now(), clock.now() + MINUTE, new_id(clock.now())) is None
    clock.advance(60)
    await jobs.finish(await claimed(jobs, clock), clock.now(), None)
    assert await jobs.start_deletion(job(clock, JobKind.DELETION), clock.now()) != job(clock, JobKind.DELETION)
    assert (await jobs.state_of(ALICE)).is_deleted


async def test_a_job_is_one_runners_until_it_is_silent_for_too_long(jobs: JobStore, clock: ManualClock) -> None:
    await jobs.start_export(job(clock), clock.now() - DAY)
    first = await claimed(jobs, clock)
    assert await jobs.claim(clock.now(), clock.now() + MINUTE, UUID(int=1)) is None
    clock.advance(50)
    await jobs.extend(first, clock.now() + MINUTE)
    clock.advance(50)
    assert await jobs.claim(clock.now(), clock.now() + MINUTE, UUID(int=1)) is None
    clock.advance(11)
    second = await claimed(jobs, clock)
    assert second.job_id == first.job_id
    for late in (
        jobs.extend(first, clock.now() + MINUTE),
        jobs.save_part(first, "exports/late", ExportCursor(part=1), clock.now() + MINUTE),
        jobs.finish(first, clock.now(), None),
    ):
        with pytest.raises(LeaseLost):
            await late
    await jobs.finish(second, clock.now(), clock.now() + DAY)
    with pytest.raises(LeaseLost):
        await jobs.extend(second, clock.now() + MINUTE)


async def test_runners_share_the_jobs(jobs: JobStore, clock: ManualClock) -> None:
    for number in range(6):
        await jobs.start_export(job(clock, user=UserId(f"user{number}")), clock.now() - DAY)
    claims = await asyncio.gather(
        *(jobs.claim(clock.now(), clock.now() + MINUTE, new_id(clock.now())) for _ in range(6))
    )
    held = [claim.job_id for claim in claims if claim]
    assert len(held) == len(set(held))
    while len(held) < 6:
        held.append((await claimed(jobs, clock)).job_id)
    assert len(set(held)) == 6


async def test_a_part_and_the_place_after_it_are_written_together(jobs: JobStore, clock: ManualClock) -> None:
    started = await jobs.start_export(job(clock), clock.now() - DAY)
    claim = await claimed(jobs, clock)
    cursors = [ExportCursor(Section.CONVERSATIONS, 3, "", None, -1, part) for part in (1, 2)]
    for number, cursor in enumerate(cursors):
        await jobs.announce_object(f"exports/{number}", clock.now() + MINUTE)
        await jobs.save_part(claim, f"exports/{number}", cursor, clock.now() + MINUTE)
    found = await jobs.find(started.id)
    assert found is not None
    assert found.parts == ("exports/0", "exports/1")
    clock.advance(61)
    assert (await claimed(jobs, clock)).cursor == dump_export(cursors[1])


async def test_an_export_that_is_over_is_forgotten(jobs: JobStore, clock: ManualClock) -> None:
    started = await jobs.start_export(job(clock), clock.now() - DAY)
    claim = await claimed(jobs, clock)
    await jobs.save_part(claim, "exports/0", ExportCursor(part=1), clock.now() + MINUTE)
    await jobs.finish(claim, clock.now(), clock.now() + DAY)
    assert await jobs.expire(clock.now(), 10) == 0
    clock.advance(86_401)
    assert await jobs.expire(clock.now(), 10) == 1
    assert await jobs.find(started.id) is None
