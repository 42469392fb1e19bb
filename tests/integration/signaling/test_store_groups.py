"""The store's contract for groups, settings, quality and what is kept of ended calls."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from services.runtime.quiet_hours import QuietHours
from services.signaling.core.call_settings import CallSettings
from services.signaling.core.calls import refuse_as_busy
from services.signaling.core.errors import UserBusy, VersionConflict
from services.signaling.core.inputs import (
    Accept,
    Cancel,
    EndForAll,
    Join,
    Leave,
    MediaConnected,
    Move,
    Remove,
    RequestMute,
    SetHand,
    SetLock,
    SetMembers,
    TakeOver,
)
from services.signaling.core.model import Call, CallId, ConversationId, DeviceId, LegState, MoveReason, UserId, WorkerId
from services.signaling.core.quality import Direction, QualityKey, QualityReport, interval
from services.signaling.ports import CalleesBusy, Created, GroupCallExists
from tests.integration.signaling.bench import NEWS, Bench, group_call, key, new_call, step
from tests.unit.signaling.fakes import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    GROUP_TALK,
    LAPTOP,
    OTHER_WORKER,
    PHONE,
    START,
    TABLET,
    WORKER,
)

RUNG = {BOB: LegState.RINGING, CAROL: LegState.RINGING, DAVE: LegState.NOT_IN_CALL}


async def test_everything_of_a_group_call_is_stored(bench: Bench) -> None:
    call = group_call(RUNG)
    assert await bench.store.create(call, key(), NEWS) == Created()
    for given in (
        Join(BOB, TABLET),
        SetHand(BOB, raised=True),
        RequestMute(ALICE, BOB, by_admin=True),
        SetLock(ALICE, locked=True, by_admin=True),
        TakeOver(BOB, LAPTOP),
        MediaConnected(ALICE, PHONE, WORKER.worker_id),
        Move(WORKER, replace(OTHER_WORKER, start_time=START), MoveReason.DRAIN),
        Remove(ALICE, CAROL, by_admin=True),
        SetMembers(frozenset({ALICE, BOB, CAROL, UserId("erin")})),
        Leave(BOB, LAPTOP),
        EndForAll(ALICE, by_admin=True),
    ):
        changed = step(call, given)
        assert changed != call
        call = changed
        await bench.store.save(call, NEWS)
        assert await bench.store.find(call.call_id) == call


async def test_a_group_has_one_call_at_a_time(bench: Bench) -> None:
    call = group_call(RUNG)
    await bench.store.create(call, key(), NEWS)
    assert await bench.store.find_of_group(GROUP_TALK) == call
    second = group_call(RUNG)
    second = replace(second, caller_id=DAVE, legs=(replace(second.legs[0], user_id=DAVE),))
    assert await bench.store.create(second, key(DAVE), NEWS) == GroupCallExists(call)
    await bench.store.save(step(call, Cancel(ALICE)), NEWS)
    assert await bench.store.find_of_group(GROUP_TALK) is None
    assert await bench.store.create(second, key(DAVE), NEWS) == Created()


async def test_a_call_holds_who_is_in_it_or_rung_and_nobody_else(bench: Bench) -> None:
    others = {BOB: LegState.WAITING, CAROL: LegState.QUIET, DAVE: LegState.NOT_IN_CALL}
    await bench.store.create(group_call(others), key(), NEWS)
    assert await bench.store.find_busy_with(ALICE) is not None
    for user_id in others:
        assert await bench.store.find_busy_with(user_id) is None
        other = new_call(user_id, UserId(f"friend-of-{user_id}"))
        assert await bench.store.create(other, key(user_id), NEWS) == Created()


async def test_all_who_are_taken_are_named(bench: Bench) -> None:
    await bench.store.create(new_call(BOB, CAROL), key(BOB), NEWS)
    assert await bench.store.create(group_call(RUNG), key(), NEWS) == CalleesBusy((BOB, CAROL))
    assert await bench.store.find_busy_with(ALICE) is None


async def test_nobody_comes_into_a_second_call(bench: Bench) -> None:
    call, other = group_call(RUNG), new_call(DAVE, UserId("erin"))
    await bench.store.create(call, key(), NEWS)
    await bench.store.create(other, key(DAVE), NEWS)
    with pytest.raises(UserBusy) as caught:
        await bench.store.save(step(call, Join(DAVE, TABLET)), NEWS)
    assert (caught.value.user_id, caught.value.call_id) == (DAVE, other.call_id)
    assert await bench.store.find(call.call_id) == call
    await bench.store.save(step(other, Cancel(DAVE)), NEWS)
    await bench.store.save(step(call, Join(DAVE, TABLET)), NEWS)
    assert (await bench.store.find_busy_with(DAVE)) == await bench.store.find(call.call_id)


async def test_who_leaves_a_group_call_is_free_while_it_goes_on(bench: Bench) -> None:
    call = group_call(RUNG)
    await bench.store.create(call, key(), NEWS)
    call = step(call, Join(BOB, TABLET))
    await bench.store.save(call, NEWS)
    await bench.store.save(step(call, Leave(ALICE, PHONE)), NEWS)
    assert await bench.store.find_busy_with(ALICE) is None
    assert await bench.store.create(new_call(ALICE, UserId("erin")), key(ALICE, "next"), NEWS) == Created()


async def test_members_who_are_not_rung_see_the_call_and_those_in_quiet_hours_do_not(bench: Bench) -> None:
    call = group_call({BOB: LegState.QUIET, CAROL: LegState.NOT_IN_CALL, DAVE: LegState.WAITING})
    await bench.store.create(call, key(), NEWS)
    assert await bench.store.list_active(CAROL) == await bench.store.list_active(DAVE) == [call]
    assert await bench.store.list_active(BOB) == []
    await bench.store.save(step(call, Cancel(ALICE)), NEWS)
    assert await bench.store.list_active(CAROL) == []


async def test_placed_calls_are_listed_from_the_newest(bench: Bench) -> None:
    times = [START + timedelta(seconds=number) for number in range(3)]
    for number, at in enumerate(times):
        call = replace(refuse_as_busy(new_call()), create_time=at, end_time=at)
        await bench.store.create(call, key(ALICE, f"call-{number}"), NEWS)
    assert await bench.store.list_placed(ALICE, START, 10) == times[:0:-1]
    assert await bench.store.list_placed(ALICE, START, 1) == [times[2]]
    assert await bench.store.list_placed(BOB, START, 10) == []


async def test_who_was_rung_often_lately_is_besieged_by_conversations_in_whose_calls_they_never_were(
    bench: Bench,
) -> None:
    strange, known = ConversationId("strange"), ConversationId("known")
    for number in range(3):
        at = START + timedelta(seconds=number)
        call_id = CallId(str(UUID(int=number + 1)))
        call = replace(new_call(UserId(f"caller-{number}"), BOB), call_id=call_id, conversation_id=known)
        if number:
            call = replace(refuse_as_busy(replace(call, conversation_id=strange)), create_time=at, end_time=at)
        else:
            call = step(call, Accept(BOB, TABLET))
        await bench.store.create(call, key(call.caller_id), NEWS)

    async def over_limit(conversation_id: ConversationId, since: datetime, limit: int) -> list[UserId]:
        return list(await bench.store.list_over_ring_limit([ALICE, BOB], conversation_id, since, limit))

    before = START - timedelta(seconds=1)
    assert await over_limit(strange, before, 3) == [BOB]
    assert await over_limit(strange, before, 4) == []
    assert await over_limit(strange, START, 3) == []
    assert await over_limit(strange, START, 2) == [BOB]
    assert await over_limit(known, before, 1) == []
    # What one placed oneself does not count.
    assert await bench.store.list_over_ring_limit([UserId("caller-1")], strange, before, 1) == []


async def ended_calls(bench: Bench, count: int) -> list[Call]:
    calls = []
    for number in range(1, count + 1):
        call = group_call(RUNG, number=number)
        await bench.store.create(call, key(ALICE, f"call-{number}"), NEWS)
        calls.append(step(call, Cancel(ALICE)))
        await bench.store.save(calls[-1], NEWS)
    return calls


async def test_ended_calls_are_listed_in_pages_from_the_newest(bench: Bench) -> None:
    first, second, third = await ended_calls(bench, 3)
    await bench.store.create(group_call(RUNG, number=4), key(ALICE, "running"), NEWS)
    assert await bench.store.list_ended(DAVE, None, 2) == [third, second]
    assert await bench.store.list_ended(DAVE, second.call_id, 2) == [first]
    assert await bench.store.list_ended(UserId("erin"), None, 2) == []


async def test_old_calls_are_forgotten_with_all_that_belongs_to_them(bench: Bench) -> None:
    calls = await ended_calls(bench, 3)
    running = group_call(RUNG)
    await bench.store.create(running, key(ALICE, "running"), NEWS)
    await bench.store.add_quality([report(calls[0].call_id)])
    assert await bench.store.prune(START, 10) == 0
    assert await bench.store.prune(START + timedelta(seconds=1), 2) == 2
    assert await bench.store.prune(START + timedelta(seconds=1), 2) == 1
    assert await bench.store.list_ended(ALICE, None, 10) == []
    assert await bench.store.find_by_key(key(ALICE, "call-1")) is None
    assert await bench.store.quality_of([calls[0].call_id]) == {}
    assert await bench.store.find(running.call_id) == running


async def test_settings_are_kept_as_chosen_and_replaced(bench: Bench) -> None:
    assert await bench.store.settings_of([ALICE]) == {}
    quiet = CallSettings(call_waiting=True, quiet_hours=QuietHours(1320, 420, "Europe/Berlin", (1, 5)))
    for settings in (quiet, CallSettings(call_waiting=False)):
        await bench.store.save_settings(ALICE, settings)
        assert await bench.store.settings_of([ALICE, BOB]) == {ALICE: settings}


def report(call_id: CallId, after_s: int = 5, user_id: UserId = ALICE, device: str = PHONE) -> QualityReport:
    sums = interval(5.0, 900, 90_000, 0.1, 4.0, 20.0)
    legs = {Direction.UPLINK: sums, Direction.DOWNLINK: sums}
    who = QualityKey(call_id, user_id, DeviceId(device), WorkerId("sfu-1"))
    return QualityReport(who, START + timedelta(seconds=after_s), legs)


async def test_quality_adds_up_for_each_participant_whatever_comes_twice(bench: Bench) -> None:
    call = group_call(RUNG)
    await bench.store.create(call, key(), NEWS)
    reports: Sequence[QualityReport] = [
        report(call.call_id, 5),
        report(call.call_id, 10),
        report(call.call_id, 10),
        report(call.call_id, 5),
        report(call.call_id, 10, device=TABLET),
        report(call.call_id, 10, user_id=BOB),
        report(CallId(str(uuid4()))),
    ]
    await bench.store.add_quality(reports)
    await bench.store.add_quality(reports[:2])
    found = (await bench.store.quality_of([call.call_id]))[call.call_id]
    assert [(each.user_id, each.uplink.duration_s, each.uplink.packets) for each in found] == [
        (ALICE, 15.0, 2700),
        (BOB, 5.0, 900),
    ]
    totals = found[0].downlink
    assert totals.loss_ratio == pytest.approx(0.1)
    assert (totals.jitter_ms, totals.max_jitter_ms) == pytest.approx((4.0, 4.0))
    assert (totals.rtt_ms, totals.max_rtt_ms, totals.bytes) == pytest.approx((20.0, 20.0, 270_000))


async def test_an_answer_of_one_who_waits_is_refused_until_the_other_call_is_over(bench: Bench) -> None:
    first = new_call(BOB, CAROL)
    await bench.store.create(first, key(BOB), NEWS)
    second = new_call()
    later = START + timedelta(seconds=1)
    second = replace(second, create_time=later, legs=(second.legs[0], replace(second.legs[1], state=LegState.WAITING)))
    await bench.store.create(second, key(), NEWS)
    assert await bench.store.list_active(BOB) == [first, second]
    with pytest.raises(UserBusy):
        await bench.store.save(step(second, Accept(BOB, TABLET)), NEWS)


async def test_a_change_that_holds_the_same_people_is_stored_as_any_other(bench: Bench) -> None:
    call = group_call(RUNG)
    await bench.store.create(call, key(), NEWS)
    up = step(call, MediaConnected(ALICE, PHONE, WORKER.worker_id))
    await bench.store.save(up, [], same_busy=True)
    assert await bench.store.find(call.call_id) == up
    with pytest.raises(VersionConflict):
        await bench.store.save(up, [], same_busy=True)
    raised = step(up, SetHand(ALICE, raised=True))
    await bench.store.save(raised, NEWS, same_busy=True)
    assert await bench.store.find(call.call_id) == raised
    assert await bench.read_records() == NEWS * 2
    assert (await bench.store.find_busy_with(BOB)) == raised
