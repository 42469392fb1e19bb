"""The contract of the store of reports, held by the fake and PostgreSQL's."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from services.messaging.kernel.model import ConversationId, UserId
from services.messaging.kernel.quotas import day_quota
from services.messaging.relations.core.errors import ReportClosed, ReportNotFound, ReportQuota
from services.messaging.relations.core.reports import Reason, Report, ReportedMessage, State, resolve
from services.messaging.relations.ports import ReportStore
from services.runtime.ids import new_id
from tests.support.clock import ManualClock
from tests.support.messaging_store import ALICE, BOB

CONVERSATION = ConversationId(UUID(int=1))


def report(clock: ManualClock, key: str = "k", reporter: UserId = ALICE) -> Report:
    clock.advance(1)
    copies = tuple(ReportedMessage(seq, BOB, clock.now(), f"text {seq} 👩‍👩‍👧 سلام") for seq in (3, 4))
    return Report(new_id(clock.now()), reporter, key, CONVERSATION, Reason.ABUSE, "look", clock.now(), copies)


async def filed(reports: ReportStore, clock: ManualClock, key: str = "k", limit: int = 9) -> Report:
    return await reports.file(report(clock, key), day_quota(ALICE, limit, clock.now()))


async def test_a_report_is_kept_once_for_a_key_with_its_copies(reports: ReportStore, clock: ManualClock) -> None:
    first = await filed(reports, clock)
    assert await filed(reports, clock) == first
    assert await reports.find(first.id) == first
    assert await reports.find(uuid4()) is None
    known = await reports.find_filed(ALICE, "k")
    assert known is not None
    assert known.id == first.id
    assert await reports.find_filed(BOB, "k") is None
    theirs = await reports.file(report(clock, "k", BOB), day_quota(BOB, 9, clock.now()))
    assert theirs.id != first.id


async def test_reports_are_listed_by_state_the_oldest_first_in_pages_without_copies(
    reports: ReportStore, clock: ManualClock
) -> None:
    kept = [await filed(reports, clock, str(number)) for number in range(4)]
    await reports.change(kept[1].id, lambda before: resolve(before, State.UPHELD, "mod", clock.now()))
    first = await reports.list(State.OPEN, None, 2)
    rest = await reports.list(State.OPEN, first[-1].id, 2)
    assert [*first, *rest] == [replace(kept[number], messages=()) for number in (0, 2, 3)]
    assert [one.id for one in await reports.list(State.UPHELD, None, 9)] == [kept[1].id]


async def test_a_report_is_closed_once(reports: ReportStore, clock: ManualClock) -> None:
    kept = await filed(reports, clock)
    when = clock.now()
    closed = await reports.change(kept.id, lambda before: resolve(before, State.UPHELD, "mod", when))
    assert closed == replace(kept, state=State.UPHELD, resolved_by="mod", resolved_at=when)
    clock.advance(1)
    assert await reports.change(kept.id, lambda before: resolve(before, State.UPHELD, "other", clock.now())) == closed
    with pytest.raises(ReportClosed):
        await reports.change(kept.id, lambda before: resolve(before, State.DISMISSED, "mod", clock.now()))
    assert await reports.find(kept.id) == closed
    with pytest.raises(ReportNotFound):
        await reports.change(uuid4(), lambda before: None)


async def test_beyond_the_days_quota_new_reports_are_refused_and_retries_are_not(
    reports: ReportStore, clock: ManualClock
) -> None:
    outcomes = await asyncio.gather(
        *(filed(reports, clock, str(number), limit=2) for number in range(4)), return_exceptions=True
    )
    kept = [outcome for outcome in outcomes if isinstance(outcome, Report)]
    assert (len(kept), sum(isinstance(outcome, ReportQuota) for outcome in outcomes)) == (2, 2)
    assert await filed(reports, clock, kept[0].client_report_id, limit=2) == kept[0]
    clock.advance(timedelta(days=1).total_seconds())
    assert await filed(reports, clock, "tomorrow", limit=2)
