"""Several devices, several calls: taking over, call waiting, quiet hours, coming back."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.runtime.quiet_hours import QuietHours
from services.signaling.core.call_settings import CallSettings
from services.signaling.core.errors import CallRate, NotInCall
from services.signaling.core.inputs import MediaConnected, MediaDisconnected
from services.signaling.core.model import CallState, ConversationId, EndReason, LegState, UserId
from services.signaling.core.rate import RatePolicy, StartPolicy, check_rate
from services.signaling.starting import StartRequest
from tests.unit.signaling.fakes import (
    ALICE,
    BOB,
    CAROL,
    GROUP_TALK,
    LAPTOP,
    PHONE,
    START,
    TABLET,
    TALK,
    TIMEOUTS,
    WORKER,
    World,
)

OTHER_TALK = ConversationId("0190f000-0000-7000-8000-000000000002")
ALWAYS = QuietHours(0, 0, "UTC")


@pytest.fixture
def world() -> World:
    made = World()
    made.members.conversations[OTHER_TALK] = [CAROL, BOB]
    return made


async def test_a_call_moves_to_another_device_which_has_media_before_the_first_loses_it(world: World) -> None:
    call = await world.answered()
    await world.service.note_media(call.call_id, MediaConnected(BOB, TABLET, WORKER.worker_id))
    taken, grant = await world.service.take_over(call.call_id, BOB, LAPTOP)
    assert taken.has_device(BOB, LAPTOP)
    assert grant is not None
    assert world.read(grant.join_token).device_id == LAPTOP
    assert world.closer.removed == []
    await world.service.note_media(call.call_id, MediaConnected(BOB, LAPTOP, WORKER.worker_id))
    assert world.closer.removed == [(WORKER, BOB, TABLET)]
    # The first one's end is no news.
    await world.service.note_media(call.call_id, MediaDisconnected(BOB, TABLET, WORKER.worker_id))
    found = await world.service.get_call(call.call_id, BOB)
    assert [leg.media_up for leg in found.legs] == [False, True]
    again, _ = await world.service.take_over(call.call_id, BOB, LAPTOP)
    assert again == found


async def test_only_who_is_in_the_call_moves_it(world: World) -> None:
    call = await world.start()
    with pytest.raises(NotInCall):
        await world.service.take_over(call.call_id, BOB, LAPTOP)
    taken, _ = await world.service.take_over(call.call_id, ALICE, LAPTOP)
    assert (taken.state, taken.has_device(ALICE, LAPTOP)) == (CallState.RINGING, True)


async def test_a_device_whose_app_crashed_comes_back_within_a_minute(world: World) -> None:
    call = await world.answered()
    for user_id, device in ((ALICE, PHONE), (BOB, TABLET)):
        await world.service.note_media(call.call_id, MediaConnected(user_id, device, WORKER.worker_id))
    await world.service.note_media(call.call_id, MediaDisconnected(BOB, TABLET, WORKER.worker_id))
    world.advance_with(WORKER, int(TIMEOUTS.media_lost_s) - 1)
    await world.upkeep.sweep()
    listed = await world.service.list_active_calls(BOB)
    assert [found.has_device(BOB, TABLET) for found in listed] == [True]
    await world.service.access.renew_grant(call.call_id, BOB, TABLET)
    await world.service.note_media(call.call_id, MediaConnected(BOB, TABLET, WORKER.worker_id))
    world.advance_with(WORKER, 60)
    await world.upkeep.sweep()
    assert (await world.service.get_call(call.call_id, BOB)).state is CallState.ACTIVE


async def test_with_call_waiting_a_second_call_rings_and_answering_it_leaves_the_first(world: World) -> None:
    await world.service.update_settings(BOB, CallSettings(call_waiting=True))
    first = await world.answered()
    second = await world.start(CAROL, LAPTOP, "hers", OTHER_TALK)
    assert [leg.state for leg in second.legs] == [LegState.JOINED, LegState.WAITING]
    assert [call.call_id for call in await world.service.list_active_calls(BOB)] == [first.call_id, second.call_id]
    answered, _ = await world.service.accept_call(second.call_id, BOB, LAPTOP)
    assert answered.state is CallState.ACTIVE
    ended = await world.service.get_call(first.call_id, ALICE)
    assert ended.end_reason is EndReason.HUNG_UP
    assert await world.service.list_active_calls(BOB) == [answered]


async def test_a_waiting_call_can_be_declined_while_the_first_goes_on(world: World) -> None:
    await world.service.update_settings(BOB, CallSettings(call_waiting=True))
    first = await world.answered()
    second = await world.start(CAROL, LAPTOP, "hers", OTHER_TALK)
    assert (await world.service.decline_call(second.call_id, BOB)).end_reason is EndReason.DECLINED
    assert (await world.service.get_call(first.call_id, ALICE)).state is CallState.ACTIVE


async def test_in_quiet_hours_only_the_caller_sees_it_ring_and_it_is_missed(world: World) -> None:
    await world.service.update_settings(BOB, CallSettings(quiet_hours=ALWAYS))
    call = await world.start()
    assert call.state is CallState.RINGING
    assert call.audience == (ALICE,)
    assert await world.service.list_active_calls(BOB) == []
    world.clock.advance(TIMEOUTS.ring_s)
    await world.upkeep.sweep()
    ended = await world.service.get_call(call.call_id, BOB)
    assert (ended.end_reason, ended.audience) == (EndReason.MISSED, (ALICE, BOB))


async def test_in_quiet_hours_one_is_free_to_call_and_to_call_back(world: World) -> None:
    await world.service.update_settings(BOB, CallSettings(quiet_hours=ALWAYS))
    call = await world.start()
    met = await world.start(BOB, TABLET, "back")
    assert (met.call_id, met.state) == (call.call_id, CallState.ACTIVE)


@pytest.mark.parametrize(
    ("hours", "at", "quiet"),
    [
        (QuietHours(540, 1020, "UTC"), "2026-01-05T12:00:00+00:00", True),
        (QuietHours(540, 1020, "UTC"), "2026-01-05T17:00:00+00:00", False),
        (QuietHours(1320, 420, "UTC"), "2026-01-05T23:00:00+00:00", True),
        (QuietHours(1320, 420, "UTC"), "2026-01-05T06:59:00+00:00", True),
        (QuietHours(1320, 420, "UTC"), "2026-01-05T07:00:00+00:00", False),
        # 22:30 in Berlin, which is an hour ahead in winter and two in summer.
        (QuietHours(1320, 420, "Europe/Berlin"), "2026-01-05T21:30:00+00:00", True),
        (QuietHours(1320, 420, "Europe/Berlin"), "2026-07-05T20:30:00+00:00", True),
        (QuietHours(1320, 420, "Europe/Berlin"), "2026-01-05T20:30:00+00:00", False),
        # Begins on Mondays only; 2026-01-05 is one.
        (QuietHours(1320, 420, "UTC", (1,)), "2026-01-05T23:00:00+00:00", True),
        (QuietHours(1320, 420, "UTC", (1,)), "2026-01-06T06:00:00+00:00", True),
        (QuietHours(1320, 420, "UTC", (1,)), "2026-01-05T06:00:00+00:00", False),
        (QuietHours(600, 600, "UTC"), "2026-01-05T09:59:00+00:00", True),
    ],
)
def test_quiet_hours_follow_the_clock_of_their_zone(hours: QuietHours, at: str, quiet: bool) -> None:
    assert hours.cover(type(START).fromisoformat(at)) is quiet


async def test_who_calls_too_often_is_told_when_there_is_room_again(world: World) -> None:
    policy = RatePolicy(max_calls=2, window_s=60)
    times = [START + timedelta(seconds=10), START]
    check_rate(times, START + timedelta(seconds=60), policy)
    with pytest.raises(CallRate) as caught:
        check_rate(times, START + timedelta(seconds=20), policy)
    assert caught.value.retry_delay_s == 40


async def test_the_limit_of_calls_counts_all_that_the_user_placed(world: World) -> None:
    starter = replace(world.service.starter, policy=StartPolicy(rate=RatePolicy(max_calls=2)))
    for number in range(2):
        call = await starter.start(request(f"call-{number}"))
        await world.service.cancel_call(call.call_id, ALICE)
    with pytest.raises(CallRate):
        await starter.start(request("one too many"))
    world.clock.advance(60)
    world.hear(WORKER)
    await starter.start(request("later"))


def request(key: str) -> StartRequest:
    return StartRequest(ALICE, PHONE, TALK, video=False, client_call_id=key)


async def besiege(world: World, times: int) -> None:
    """So many strangers ring Bob, one after the other, and give up."""
    policy = StartPolicy(group_capacity=4, rate=RatePolicy(max_rings=2))
    world.service = replace(world.service, starter=replace(world.service.starter, policy=policy))
    for number in range(times):
        stranger, talk = UserId(f"stranger-{number}"), ConversationId(f"strange-{number}")
        world.members.conversations[talk] = [stranger, BOB]
        call = await world.start(stranger, talk=talk)
        await world.service.cancel_call(call.call_id, stranger)
        world.clock.advance(1)
        world.hear(WORKER)


async def test_who_is_rung_by_many_strangers_is_not_rung_by_one_more_for_a_while(world: World) -> None:
    await besiege(world, 2)
    with pytest.raises(CallRate) as caught:
        await world.start()
    # A whole window, whenever the others called.
    assert caught.value.retry_delay_s == RatePolicy().window_s
    assert str(caught.value) == str(CallRate(1.0))
    world.advance_with(WORKER, 60)
    assert (await world.start()).leg_of(BOB).state is LegState.RINGING  # type: ignore[union-attr]


async def test_who_was_in_a_call_of_the_conversation_gets_through_to_somebody_besieged(world: World) -> None:
    call = await world.answered()
    await world.service.leave_call(call.call_id, ALICE, PHONE)
    # That ring counts too.
    await besiege(world, 1)
    assert (await world.start(key="second")).leg_of(BOB).state is LegState.RINGING  # type: ignore[union-attr]


async def test_who_is_besieged_calls_whomever_they_like(world: World) -> None:
    await besiege(world, 2)
    assert (await world.start(BOB, TABLET)).leg_of(ALICE).state is LegState.RINGING  # type: ignore[union-attr]


async def test_a_group_does_not_ring_who_is_besieged_and_they_may_join(world: World) -> None:
    await besiege(world, 2)
    world.members.conversations[GROUP_TALK] = [ALICE, BOB, CAROL]
    call = await world.start(talk=GROUP_TALK)
    assert [leg.state for leg in call.legs] == [LegState.JOINED, LegState.NOT_IN_CALL, LegState.RINGING]
    joined, _ = await world.service.join_call(call.call_id, BOB, TABLET)
    assert joined.has_device(BOB, TABLET)
