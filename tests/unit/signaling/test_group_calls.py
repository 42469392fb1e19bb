"""Group calls over fakes: who is rung, who may come in, what admins may do, and what others are told."""

from collections.abc import Callable

import pytest

from services.signaling.core.errors import (
    AlreadyInCall,
    AnsweredElsewhere,
    CallEnded,
    CallFull,
    CallLocked,
    CallNotFound,
    NotAdmin,
    NotGroupCall,
    NotInCall,
    ParticipantNotFound,
    RemovedFromCall,
)
from services.signaling.core.inputs import MediaConnected, MediaDisconnected
from services.signaling.core.model import Call, CallState, EndReason, LegState, UserId
from tests.unit.signaling.fakes import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    GROUP_TALK,
    LAPTOP,
    PHONE,
    TABLET,
    TALK,
    TIMEOUTS,
    WORKER,
    World,
)

ERIN = UserId("erin")


@pytest.fixture
def world() -> World:
    """A group of four, of which Alice is the admin."""
    made = World()
    made.members.conversations[GROUP_TALK] = [ALICE, BOB, CAROL, DAVE]
    made.members.admins.add(ALICE)
    return made


async def start(world: World, caller: UserId = ALICE, key: str = "group") -> Call:
    return await world.start(caller, PHONE, key, GROUP_TALK)


async def talking(world: World, *users: UserId) -> Call:
    """Alice called, and these joined on their tablets."""
    call = await start(world)
    for user_id in users:
        call, _ = await world.service.accept_call(call.call_id, user_id, TABLET)
    return call


async def find(world: World, call: Call) -> Call:
    found = await world.store.find(call.call_id)
    assert found is not None
    return found


def states(call: Call) -> list[LegState]:
    return [leg.state for leg in call.legs]


async def test_all_members_who_may_be_rung_are_rung(world: World) -> None:
    world.members.closed.add(CAROL)
    call = await start(world)
    assert call.group
    assert states(call) == [LegState.JOINED, LegState.RINGING, LegState.NOT_IN_CALL, LegState.RINGING]
    # Who is not rung sees the call in the conversation, and may come in.
    assert await world.service.list_active_calls(CAROL) == [call]
    joined, grant = await world.service.join_call(call.call_id, CAROL, TABLET)
    assert joined.has_device(CAROL, TABLET)
    assert grant is not None
    assert world.read(grant.join_token).device_id == TABLET


async def test_a_member_in_another_call_is_not_rung_and_the_others_are(world: World) -> None:
    world.members.conversations[TALK] = [BOB, ERIN]
    await world.start(ERIN, LAPTOP, "theirs", TALK)
    call = await start(world)
    assert states(call) == [LegState.JOINED, LegState.NOT_IN_CALL, LegState.RINGING, LegState.RINGING]


async def test_one_answer_makes_it_run_and_the_others_go_on_ringing(world: World) -> None:
    call = await talking(world, BOB)
    assert (call.state, states(call)[2:]) == (CallState.ACTIVE, [LegState.RINGING] * 2)
    assert world.metrics.rings == (1, 0.0)
    with pytest.raises(AnsweredElsewhere):
        await world.service.accept_call(call.call_id, BOB, LAPTOP)


async def test_who_does_not_answer_in_time_stops_ringing_and_may_join_later(world: World) -> None:
    call = await talking(world, BOB)
    for user_id, device in ((ALICE, PHONE), (BOB, TABLET)):
        await world.service.note_media(call.call_id, MediaConnected(user_id, device, WORKER.worker_id))
    world.advance_with(WORKER, int(TIMEOUTS.ring_s))
    await world.upkeep.sweep()
    call = await find(world, call)
    assert (call.state, states(call)[2:]) == (CallState.ACTIVE, [LegState.NOT_IN_CALL] * 2)
    assert call.due_time is None
    joined, _ = await world.service.join_call(call.call_id, DAVE, TABLET)
    assert len(joined.joined) == 3


async def test_a_group_call_that_nobody_answers_is_missed(world: World) -> None:
    call = await start(world)
    world.advance_with(WORKER, int(TIMEOUTS.ring_s))
    await world.upkeep.sweep()
    assert (await find(world, call)).end_reason is EndReason.MISSED


async def test_a_group_call_that_all_decline_is_declined_and_one_refusal_stops_one_ring(world: World) -> None:
    call = await start(world)
    for user_id in (BOB, CAROL):
        call = await world.service.decline_call(call.call_id, user_id)
        assert call.state is CallState.RINGING
        leg = call.leg_of(user_id)
        assert leg is not None
        assert leg.state is LegState.NOT_IN_CALL
    assert (await world.service.decline_call(call.call_id, DAVE)).end_reason is EndReason.DECLINED


async def test_leaving_ends_it_for_nobody_else_and_the_last_one_ends_it(world: World) -> None:
    call = await talking(world, BOB, CAROL)
    call = await world.service.leave_call(call.call_id, ALICE, PHONE)
    assert call.state is CallState.ACTIVE
    assert world.closer.removed == [(WORKER, ALICE, PHONE)]
    # Free for another call, and may come back.
    assert await world.store.find_busy_with(ALICE) is None
    call, _ = await world.service.join_call(call.call_id, ALICE, LAPTOP)
    for user_id, device in ((ALICE, LAPTOP), (BOB, TABLET), (CAROL, TABLET)):
        call = await world.service.leave_call(call.call_id, user_id, device)
    assert call.end_reason is EndReason.HUNG_UP
    assert world.closer.closed == [(WORKER, call.call_id)]


async def test_starting_in_a_group_whose_call_runs_joins_it(world: World) -> None:
    call = await start(world)
    joined = await start(world, BOB, "his")
    assert (joined.call_id, joined.state) == (call.call_id, CallState.ACTIVE)
    again = await start(world, BOB, "his")
    assert again == joined


async def test_starting_in_a_group_while_in_another_call_is_refused(world: World) -> None:
    world.members.conversations[TALK] = [BOB, ERIN]
    await start(world)
    await world.service.decline_call((await start(world)).call_id, BOB)
    await world.start(BOB, LAPTOP, "his", TALK)
    with pytest.raises(AlreadyInCall):
        await start(world, BOB, "group too")


async def test_a_full_call_takes_nobody_more(world: World) -> None:
    world.members.conversations[GROUP_TALK].append(ERIN)
    call = await talking(world, BOB, CAROL, DAVE)
    with pytest.raises(CallFull):
        await world.service.join_call(call.call_id, ERIN, TABLET)
    await world.service.leave_call(call.call_id, BOB, TABLET)
    await world.service.join_call(call.call_id, ERIN, TABLET)


async def test_a_locked_call_takes_those_it_rings_and_nobody_else(world: World) -> None:
    call = await talking(world, BOB)
    await world.service.decline_call(call.call_id, DAVE)
    call = await world.service.set_lock(call.call_id, ALICE, locked=True)
    assert call.locked
    with pytest.raises(CallLocked):
        await world.service.join_call(call.call_id, DAVE, TABLET)
    await world.service.join_call(call.call_id, CAROL, TABLET)
    await world.service.set_lock(call.call_id, ALICE, locked=False)
    await world.service.join_call(call.call_id, DAVE, TABLET)


async def test_a_removed_person_is_out_for_good(world: World) -> None:
    call = await talking(world, BOB, CAROL)
    call = await world.service.remove_participant(call.call_id, ALICE, BOB)
    assert world.closer.removed == [(WORKER, BOB, TABLET)]
    for come_in in (world.service.join_call, world.service.accept_call):
        with pytest.raises(RemovedFromCall):
            await come_in(call.call_id, BOB, TABLET)
    with pytest.raises(ParticipantNotFound):
        await world.service.remove_participant(call.call_id, ALICE, ERIN)


async def test_removing_the_last_one_ends_the_call(world: World) -> None:
    call = await talking(world, BOB)
    await world.service.leave_call(call.call_id, ALICE, PHONE)
    assert (await world.service.remove_participant(call.call_id, ALICE, BOB)).end_reason is EndReason.HUNG_UP


async def test_an_admin_ends_it_for_all(world: World) -> None:
    call = await talking(world, BOB, CAROL)
    for _ in range(2):
        assert (await world.service.end_for_all(call.call_id, ALICE)).end_reason is EndReason.HUNG_UP
    with pytest.raises(CallEnded):
        await world.service.join_call(call.call_id, DAVE, TABLET)


async def test_only_admins_of_a_group_moderate(world: World) -> None:
    call = await talking(world, BOB)
    moderate: list[Callable[[], object]] = [
        lambda: world.service.set_lock(call.call_id, BOB, locked=True),
        lambda: world.service.end_for_all(call.call_id, BOB),
        lambda: world.service.remove_participant(call.call_id, BOB, ALICE),
        lambda: world.service.request_mute(call.call_id, BOB, ALICE),
    ]
    for act in moderate:
        with pytest.raises(NotAdmin):
            await act()  # type: ignore[misc]
    await world.service.end_for_all(call.call_id, ALICE)
    direct = await world.answered()
    for refused in (
        world.service.set_lock(direct.call_id, ALICE, locked=True),
        world.service.join_call(direct.call_id, BOB, LAPTOP),
    ):
        with pytest.raises(NotGroupCall):
            await refused


async def test_a_hand_is_raised_once_and_lowered(world: World) -> None:
    call = await talking(world, BOB)
    raised = await world.service.set_hand(call.call_id, BOB, raised=True)
    world.clock.advance(5)
    assert await world.service.set_hand(call.call_id, BOB, raised=True) == raised
    leg = raised.leg_of(BOB)
    assert leg is not None
    assert leg.hand_raise_time is not None
    lowered = await world.service.set_hand(call.call_id, BOB, raised=False)
    assert all(leg.hand_raise_time is None for leg in lowered.legs)
    with pytest.raises(NotInCall):
        await world.service.set_hand(call.call_id, DAVE, raised=True)


async def test_a_mute_request_reaches_who_is_in_the_call(world: World) -> None:
    call = await talking(world, BOB)
    world.clock.advance(1)
    asked = await world.service.request_mute(call.call_id, ALICE, BOB)
    leg = asked.leg_of(BOB)
    assert leg is not None
    assert leg.mute_request_time == world.clock.now()
    with pytest.raises(ParticipantNotFound):
        await world.service.request_mute(call.call_id, ALICE, DAVE)


async def test_who_loses_media_for_too_long_is_out_and_the_call_goes_on(world: World) -> None:
    call = await talking(world, BOB, CAROL)
    for user_id, device in ((ALICE, PHONE), (BOB, TABLET), (CAROL, TABLET)):
        await world.service.note_media(call.call_id, MediaConnected(user_id, device, WORKER.worker_id))
    await world.service.note_media(call.call_id, MediaDisconnected(BOB, TABLET, WORKER.worker_id))
    world.advance_with(WORKER, int(TIMEOUTS.media_lost_s))
    await world.upkeep.sweep()
    await world.upkeep.sweep()
    call = await find(world, call)
    assert [leg.user_id for leg in call.joined] == [ALICE, CAROL]
    assert (WORKER, BOB, TABLET) in world.closer.removed


async def test_who_leaves_the_conversation_is_out_of_its_call_and_learns_no_more_of_it(world: World) -> None:
    call = await talking(world, BOB, CAROL)
    world.members.conversations[GROUP_TALK] = [ALICE, CAROL, ERIN]
    await world.service.roster.sync_call_of_group(GROUP_TALK)
    call = await find(world, call)
    assert [leg.user_id for leg in call.joined] == [ALICE, CAROL]
    assert (WORKER, BOB, TABLET) in world.closer.removed
    assert BOB not in call.audience
    for outside in (world.service.get_call(call.call_id, BOB), world.service.join_call(call.call_id, BOB, TABLET)):
        with pytest.raises(CallNotFound):
            await outside
    assert await world.service.list_active_calls(ERIN) == [call]


async def test_a_new_member_joins_even_before_signaling_was_told_of_it(world: World) -> None:
    call = await talking(world, BOB)
    world.members.conversations[GROUP_TALK].append(ERIN)
    joined, _ = await world.service.join_call(call.call_id, ERIN, TABLET)
    assert joined.has_device(ERIN, TABLET)
    with pytest.raises(CallNotFound):
        await world.service.join_call(call.call_id, UserId("mallory"), TABLET)


async def test_a_group_call_offers_more_slots(world: World) -> None:
    call = await talking(world, BOB)
    grant = await world.service.access.renew_grant(call.call_id, BOB, TABLET)
    assert (grant.audio_slots, grant.video_slots) == (4, 8)
