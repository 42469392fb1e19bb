"""A device that is closed without a word: its page, or its app. A network that was cut keeps its time."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.signaling.core.calls import Decision, handle
from services.signaling.core.conditions import CLOSED_BEFORE, CUT_UNSEEN
from services.signaling.core.errors import WorkerNotOfCall
from services.signaling.core.inputs import (
    Accept,
    DeviceReturned,
    MediaConnected,
    MediaDisconnected,
    MediaSilent,
    TakeOver,
    Tick,
)
from services.signaling.core.model import Call, CallState, ConversationId, EndReason, LegState
from tests.unit.signaling.fakes import (
    ALICE,
    BOB,
    CAROL,
    LAPTOP,
    OTHER_WORKER,
    PHONE,
    TABLET,
    TIMEOUTS,
    WORKER,
    World,
)
from tests.unit.signaling.test_calls import ALICE_UP, BOB_UP, SOON, after, connected

CLOSED_S = timedelta(seconds=TIMEOUTS.device_closed_s)
MOMENT = timedelta(microseconds=1)
# Bob's page was closed: nothing was heard since, and its event stream ended with it.
BOB_CLOSED = MediaSilent(BOB, TABLET, WORKER.worker_id, heard_time=SOON, closed_time=SOON)
BOB_ENDED_IT = MediaDisconnected(BOB, TABLET, WORKER.worker_id, closed=True)
# When the worker's report of the silence is handled.
TOLD = SOON + timedelta(seconds=7)


def closed(call: Call) -> Call:
    return handle(call, BOB_CLOSED, TOLD, TIMEOUTS).call


def test_a_closed_page_ends_the_call_of_two_much_sooner_than_a_network_that_was_cut() -> None:
    call = closed(connected())
    assert call.due_time == SOON + CLOSED_S
    assert handle(call, Tick(), SOON + CLOSED_S - MOMENT, TIMEOUTS) == Decision(call)
    assert handle(call, Tick(), SOON + CLOSED_S, TIMEOUTS).call.end_reason is EndReason.MEDIA_LOST


def test_media_that_its_device_ended_counts_as_a_closed_page_until_the_device_is_asked_for() -> None:
    call = handle(connected(), BOB_ENDED_IT, SOON, TIMEOUTS).call
    assert call.due_time == SOON + CLOSED_S
    there = handle(call, DeviceReturned(BOB, TABLET), SOON + CLOSED_S, TIMEOUTS).call
    assert there.due_time == SOON + timedelta(seconds=TIMEOUTS.media_lost_s)


@pytest.mark.parametrize(
    "closed_time",
    [None, SOON + CUT_UNSEEN + MOMENT, SOON - CLOSED_BEFORE - MOMENT],
    ids=["the stream is open", "the edge may have found a cut", "the app went to the background before"],
)
def test_silence_alone_ends_nothing(closed_time: object) -> None:
    call = connected()
    silent = replace(BOB_CLOSED, closed_time=closed_time)  # type: ignore[arg-type]
    assert handle(call, silent, TOLD, TIMEOUTS) == Decision(call)


def test_a_report_that_comes_late_is_judged_by_when_the_stream_ended() -> None:
    late = TOLD + timedelta(seconds=60)
    call = handle(connected(), BOB_CLOSED, late, TIMEOUTS).call
    assert handle(call, Tick(), late, TIMEOUTS).call.state is CallState.ENDED


@pytest.mark.parametrize("back", [BOB_UP, DeviceReturned(BOB, TABLET)])
def test_a_page_that_is_loaded_again_in_time_keeps_its_place(back: MediaConnected | DeviceReturned) -> None:
    call = handle(closed(connected()), back, TOLD, TIMEOUTS).call
    assert call.due_time is None
    assert handle(call, Tick(), SOON + CLOSED_S, TIMEOUTS) == Decision(call)


def test_another_device_takes_a_closed_ones_place() -> None:
    call = handle(closed(connected()), TakeOver(BOB, LAPTOP), TOLD, TIMEOUTS).call
    assert call.due_time == TOLD + timedelta(seconds=TIMEOUTS.media_lost_s)


def test_a_caller_whose_page_is_closed_rings_nobody_any_more() -> None:
    silent = MediaSilent(ALICE, PHONE, WORKER.worker_id, heard_time=SOON, closed_time=SOON)
    call = after(ALICE_UP, silent)
    assert call.due_time == SOON + CLOSED_S
    assert handle(call, Tick(), SOON + CLOSED_S, TIMEOUTS).call.end_reason is EndReason.CANCELLED
    # Whoever answers in between does not wait for long.
    answered = handle(call, Accept(BOB, TABLET), SOON, TIMEOUTS).call
    assert handle(answered, Tick(), SOON + CLOSED_S, TIMEOUTS).call.end_reason is EndReason.MEDIA_LOST


def test_news_of_other_devices_and_workers_change_nothing() -> None:
    call = connected()
    for report in (
        replace(BOB_CLOSED, device_id=LAPTOP),
        replace(BOB_CLOSED, user_id=CAROL),
        DeviceReturned(BOB, LAPTOP),
        DeviceReturned(CAROL, TABLET),
    ):
        assert handle(call, report, TOLD, TIMEOUTS) == Decision(call)
    with pytest.raises(WorkerNotOfCall):
        handle(call, replace(BOB_CLOSED, worker_id=OTHER_WORKER.worker_id), TOLD, TIMEOUTS)


def test_a_closed_device_never_waits_for_longer_than_a_lost_one() -> None:
    patient = replace(TIMEOUTS, device_closed_s=600, media_lost_s=60)
    assert handle(connected(), BOB_CLOSED, TOLD, patient).call.due_time == SOON + timedelta(seconds=60)


async def talking(world: World) -> Call:
    call = await world.answered()
    for user, device in ((ALICE, PHONE), (BOB, TABLET)):
        await world.service.note_media(call.call_id, MediaConnected(user, device, WORKER.worker_id))
    return call


async def state_of(world: World, call: Call) -> CallState:
    return (await world.service.get_call(call.call_id, ALICE)).state


async def fall_silent(world: World, call: Call) -> None:
    """The worker says so of Bob's tablet, when it has heard nothing for seven seconds."""
    heard_time = world.clock.now()
    world.advance_with(WORKER, 7)
    await world.service.note_media(call.call_id, MediaSilent(BOB, TABLET, WORKER.worker_id, heard_time))


async def test_a_page_that_was_closed_ends_its_call(world: World) -> None:
    call = await talking(world)
    world.devices.close(BOB, TABLET)
    await fall_silent(world, call)
    assert await state_of(world, call) is CallState.ACTIVE
    world.advance_with(WORKER, 3)
    await world.upkeep.sweep()
    assert await state_of(world, call) is CallState.ENDED


async def test_a_network_that_was_cut_keeps_its_time_although_the_edge_gives_the_stream_up(world: World) -> None:
    call = await talking(world)
    await fall_silent(world, call)
    world.advance_with(WORKER, 5)
    world.devices.close(BOB, TABLET)
    world.advance_with(WORKER, 12)
    await world.service.note_media(call.call_id, MediaDisconnected(BOB, TABLET, WORKER.worker_id))
    world.advance_with(WORKER, int(TIMEOUTS.media_lost_s) - 1)
    await world.upkeep.sweep()
    assert await state_of(world, call) is CallState.ACTIVE
    world.advance_with(WORKER, 1)
    await world.upkeep.sweep()
    assert await state_of(world, call) is CallState.ENDED


async def test_a_page_that_is_there_again_at_the_deadline_has_the_time_of_a_lost_network(world: World) -> None:
    call = await talking(world)
    world.devices.close(BOB, TABLET)
    await world.service.note_media(call.call_id, BOB_ENDED_IT)
    world.advance_with(WORKER, 9)
    world.devices.open(BOB, TABLET)
    world.advance_with(WORKER, 20)
    await world.upkeep.sweep()
    assert await state_of(world, call) is CallState.ACTIVE
    world.advance_with(WORKER, int(TIMEOUTS.media_lost_s))
    await world.upkeep.sweep()
    assert await state_of(world, call) is CallState.ENDED


async def test_while_the_broker_is_away_a_silence_may_be_a_lack_of_news(world: World) -> None:
    call = await talking(world)
    world.devices.close(BOB, TABLET)
    await fall_silent(world, call)
    world.clock.advance(30)
    await world.upkeep.sweep()
    assert await state_of(world, call) is CallState.ACTIVE


async def test_in_a_group_a_closed_device_leaves_its_place_and_the_others_stay(world: World) -> None:
    talk = ConversationId("0190f000-0000-7000-8000-000000000003")
    world.members.conversations[talk] = [ALICE, BOB, CAROL]
    call = await world.start(talk=talk)
    for user, device in ((BOB, TABLET), (CAROL, LAPTOP)):
        await world.service.join_call(call.call_id, user, device)
    for user, device in ((ALICE, PHONE), (BOB, TABLET), (CAROL, LAPTOP)):
        await world.service.note_media(call.call_id, MediaConnected(user, device, WORKER.worker_id))
    world.devices.close(BOB, TABLET)
    await fall_silent(world, call)
    world.advance_with(WORKER, 3)
    await world.upkeep.sweep()
    found = await world.service.get_call(call.call_id, ALICE)
    assert found.state is CallState.ACTIVE
    assert [leg.state for leg in found.legs] == [LegState.JOINED, LegState.NOT_IN_CALL, LegState.JOINED]
    assert world.closer.removed == [(WORKER, BOB, TABLET)]
