"""Reports: what is copied, who may make them, what moderators do."""

from datetime import timedelta

import pytest

from services.messaging.kernel.errors import (
    ConversationNotFound,
    InvalidField,
    MessageNotFound,
)
from services.messaging.kernel.model import UserId
from services.messaging.relations.core.errors import (
    ReportClosed,
    ReportNotFound,
    ReportQuota,
)
from services.messaging.relations.core.reports import Reason, Report, ReportRequest, State
from services.messaging.relations.service import RelationLimits, Reports
from services.runtime.ids import new_id
from tests.support.messaging_world import ALICE, BOB, MALLORY, World, group, said, send
from tests.support.relations import FakeReports

CAROL = UserId("carol")


def wanted(conversation: str, *seqs: int, key: str = "r", comment: str = "") -> ReportRequest:
    return ReportRequest(key, conversation, seqs, Reason.ABUSE, comment)


async def copies(world: World, report: Report) -> list[tuple[int, str]]:
    kept = await world.reports.get_report(str(report.id))
    return [(copy.seq, copy.text) for copy in kept.messages]


async def test_a_report_keeps_copies_that_stay_when_the_messages_are_unsent(world: World) -> None:
    conversation = await said(world, ALICE, BOB, both=True)
    some = await world.reports.report(BOB, wanted(conversation, 1))
    whole = await world.reports.report(BOB, wanted(conversation, key="whole"))
    assert await world.reports.report(BOB, wanted(conversation, 1)) == some
    await world.changing.unsend_message(ALICE, conversation, 1)
    assert await copies(world, some) == [(1, "hello")]
    assert await copies(world, whole) == [(1, "hello"), (2, "answer")]


async def test_what_is_over_is_not_copied_before_the_sweeper_was_there(world: World) -> None:
    conversation = await world.conversation()
    await world.vanishing.set_vanishing(ALICE, conversation, timedelta(minutes=5))
    sent = await send(world, ALICE, conversation, "k", "for a while")
    world.clock.advance(300)
    named, whole = wanted(conversation, sent.seq), wanted(conversation, key="whole")
    for report in (named, whole):
        kept = await copies(world, await world.reports.report(BOB, report))
        assert "for a while" not in [text for _, text in kept]


async def test_of_a_long_conversation_the_newest_fifty_are_copied(world: World) -> None:
    conversation = await world.conversation()
    for number in range(1, 53):
        await send(world, ALICE, conversation, str(number), f"{number}")
    report = await world.reports.report(BOB, wanted(conversation))
    assert [seq for seq, _ in await copies(world, report)] == list(range(3, 53))


async def test_one_reports_only_what_one_sees(world: World) -> None:
    conversation = await group(world, BOB)
    await send(world, ALICE, conversation, "k", "before")
    await world.groups.add_members(ALICE, conversation, [CAROL])
    with pytest.raises(ConversationNotFound):
        await world.reports.report(MALLORY, wanted(conversation))
    for seq in (2, 99):
        with pytest.raises(MessageNotFound):
            await world.reports.report(CAROL, wanted(conversation, seq))
    report = await world.reports.report(CAROL, wanted(conversation))
    assert [seq for seq, _ in await copies(world, report)] == [3]


async def test_a_report_out_of_bounds_is_refused_by_field(world: World) -> None:
    conversation = await world.conversation()
    faults = {
        "client_report_id": wanted(conversation, key=""),
        "comment": wanted(conversation, comment="x" * 2_001),
        "seqs": wanted(conversation, *range(1, 52)),
        "reason": ReportRequest("r", conversation, [], None, ""),
        "conversation_id": wanted("nonsense"),
    }
    for field, request in faults.items():
        with pytest.raises(InvalidField) as raised:
            await world.reports.report(ALICE, request)
        assert raised.value.field == field


async def test_beyond_the_days_quota_reports_are_refused(world: World) -> None:
    conversation = await world.conversation()
    limits = RelationLimits(reports_per_day=1)
    reports = Reports(world.store, world.store, FakeReports(), world.clock, new_id, limits)
    await reports.report(ALICE, wanted(conversation))
    with pytest.raises(ReportQuota):
        await reports.report(ALICE, wanted(conversation, key="second"))


async def test_moderators_read_and_close_reports(world: World) -> None:
    conversation = await said(world, ALICE, BOB)
    ids = []
    for number in range(3):
        world.clock.advance(1)
        ids.append(str((await world.reports.report(BOB, wanted(conversation, key=str(number)))).id))
    first, token = await world.reports.list_reports(State.OPEN, 2, "")
    rest, end = await world.reports.list_reports(State.OPEN, 2, token)
    assert ([str(report.id) for report in (*first, *rest)], end) == (ids, "")
    closed = await world.reports.resolve_report(ids[0], State.UPHELD, "mod-1")
    assert await world.reports.resolve_report(ids[0], State.UPHELD, "mod-2") == closed
    assert (closed.state, closed.resolved_by) == (State.UPHELD, "mod-1")
    with pytest.raises(ReportClosed):
        await world.reports.resolve_report(ids[0], State.DISMISSED, "mod-1")
    with pytest.raises(ReportNotFound):
        await world.reports.get_report(conversation)
