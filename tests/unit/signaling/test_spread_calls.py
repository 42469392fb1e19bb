"""Calls on several workers: who comes where, what is lost with a worker, and what each device is told of moves."""

from dataclasses import replace

import pytest

from services.signaling.core.errors import JoinTokenExpired, NoMediaWorker
from services.signaling.core.inputs import MediaConnected, MediaDisconnected
from services.signaling.core.model import Call, CallState, LegState, MoveReason, UserId, Worker, WorkerId
from services.signaling.core.placement import PlacementPolicy
from services.signaling.mapping.calls import encode_call
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
    TIMEOUTS,
    WORKER,
    World,
)

THIRD_WORKER = Worker(WorkerId("sfu-3"), "127.0.0.1:7300")


def hear(world: World, *workers: Worker, **changes: object) -> None:
    for worker in workers:
        address = {"media_address": f"10.0.0.1:{worker.address[-4:]}", "max_participants": 2}
        world.hear(worker, **(address | changes))


@pytest.fixture
def world() -> World:
    """A group of four, and two workers for two each."""
    made = World()
    made.members.conversations[GROUP_TALK] = [ALICE, BOB, CAROL, DAVE]
    made.members.admins.add(ALICE)
    hear(made, WORKER, OTHER_WORKER)
    # The first worker is the one with more room.
    hear(made, OTHER_WORKER, cpu_ratio=0.1)
    return made


async def spread(world: World) -> Call:
    """Alice and Bob are where the call is, Carol is not; all have media."""
    call = await world.start(talk=GROUP_TALK)
    for user_id in (BOB, CAROL):
        call, grant = await world.service.join_call(call.call_id, user_id, TABLET)
        assert grant
    await connect(world, call, ALICE, PHONE, WORKER)
    await connect(world, call, BOB, TABLET, WORKER)
    await connect(world, call, CAROL, TABLET, OTHER_WORKER)
    return await found(world, call)


async def connect(world: World, call: Call, user_id: UserId, device: str, worker: Worker) -> None:
    await world.service.note_media(call.call_id, MediaConnected(user_id, device, worker.worker_id))  # type: ignore[arg-type]


async def found(world: World, call: Call) -> Call:
    stored = await world.store.find(call.call_id)
    assert stored
    return stored


def places(call: Call) -> dict[UserId, Worker | None]:
    return {leg.user_id: call.worker_of(leg) for leg in call.joined}


def epochs(call: Call) -> list[int]:
    """What Alice, Bob and Carol are told."""
    return [encode_call(call.told_to(user_id)).media_move.media_epoch for user_id in (ALICE, BOB, CAROL)]


async def worker_of_grant(world: World, call: Call, user_id: UserId, device: str) -> tuple[WorkerId, int]:
    grant = await world.service.access.renew_grant(call.call_id, user_id, device)  # type: ignore[arg-type]
    return world.read(grant.join_token).worker_id, grant.media_epoch


async def test_who_finds_no_room_where_the_call_is_comes_to_another_worker(world: World) -> None:
    call = await spread(world)
    assert places(call) == {ALICE: WORKER, BOB: WORKER, CAROL: OTHER_WORKER}
    assert (call.worker, call.spread, call.workers) == (WORKER, True, (WORKER, OTHER_WORKER))
    assert all(leg.media_up for leg in call.joined)
    assert await worker_of_grant(world, call, BOB, TABLET) == (WORKER.worker_id, 0)
    assert await worker_of_grant(world, call, CAROL, TABLET) == (OTHER_WORKER.worker_id, 0)
    assert world.rounds.noted


async def test_media_are_joined_on_the_workers_of_the_legs(world: World) -> None:
    call = await spread(world)
    grant = await world.service.access.renew_grant(call.call_id, CAROL, TABLET)
    world.rounds.noted.clear()
    await world.service.access.join_media(CAROL, grant.join_token, "offer")
    assert world.media.joined[-1][0] == OTHER_WORKER
    assert world.rounds.noted == [call.call_id]
    # Her token of before she left and came back, to where there is room now.
    await world.service.leave_call(call.call_id, CAROL, TABLET)
    await world.service.leave_call(call.call_id, BOB, TABLET)
    await world.service.join_call(call.call_id, CAROL, TABLET)
    with pytest.raises(JoinTokenExpired):
        await world.service.access.join_media(CAROL, grant.join_token, "offer")


async def test_a_worker_that_the_call_is_on_already_comes_before_a_better_one(world: World) -> None:
    call = await spread(world)
    hear(world, THIRD_WORKER)
    call, _ = await world.service.join_call(call.call_id, DAVE, TABLET)
    assert places(await found(world, call))[DAVE] == OTHER_WORKER


async def test_each_device_comes_to_a_worker_of_its_region_while_one_has_room(
    world: World,
) -> None:
    hear(world, WORKER, region="east")
    hear(world, OTHER_WORKER, cpu_ratio=0.1, region="west", max_participants=1)
    world.workers.policy = PlacementPolicy(region="east")
    call = await world.start(talk=GROUP_TALK)
    # As the replicas of the other region do.
    world.workers.policy = PlacementPolicy(region="west")
    for user_id in (BOB, CAROL):
        call, _ = await world.service.join_call(call.call_id, user_id, TABLET)
    # The one of the west is full with one.
    assert places(await found(world, call)) == {ALICE: WORKER, BOB: OTHER_WORKER, CAROL: WORKER}


async def test_without_regions_all_stay_with_the_call_while_there_is_room(world: World) -> None:
    hear(world, WORKER, region="east")
    hear(world, OTHER_WORKER, cpu_ratio=0.1, region="")
    call = await world.start(talk=GROUP_TALK)
    call, _ = await world.service.join_call(call.call_id, BOB, TABLET)
    assert places(await found(world, call)) == {ALICE: OTHER_WORKER, BOB: OTHER_WORKER}


async def test_without_room_anywhere_the_call_s_own_worker_has_the_word(world: World) -> None:
    hear(world, OTHER_WORKER, draining=True)
    call = await world.start(talk=GROUP_TALK)
    for user_id in (BOB, CAROL):
        call, _ = await world.service.join_call(call.call_id, user_id, TABLET)
    assert set(places(await found(world, call)).values()) == {WORKER}
    assert not (await found(world, call)).spread


@pytest.mark.parametrize("blind", [WORKER, OTHER_WORKER])
async def test_workers_that_do_not_say_where_others_reach_them_share_no_call(world: World, blind: Worker) -> None:
    hear(world, blind, media_address="")
    call = await world.start(talk=GROUP_TALK)
    for user_id in (BOB, CAROL):
        call, _ = await world.service.join_call(call.call_id, user_id, TABLET)
    assert len(set(places(await found(world, call)).values())) == 1


async def test_where_calls_are_not_to_spread_they_stay_and_one_that_is_too_large_cannot_begin() -> None:
    world = World()
    world.workers.policy = replace(world.workers.policy, spreads_calls=False)
    world.members.conversations[GROUP_TALK] = [ALICE, BOB, CAROL]
    hear(world, WORKER, OTHER_WORKER)
    with pytest.raises(NoMediaWorker):
        await world.start(talk=GROUP_TALK)
    hear(world, WORKER, max_participants=3)
    call = await world.start(talk=GROUP_TALK)
    hear(world, WORKER, participants=3, max_participants=3)
    call, _ = await world.service.join_call(call.call_id, BOB, TABLET)
    assert set(places(call).values()) == {WORKER}


async def test_what_is_kept_for_a_call_is_no_obstacle_to_its_own_devices(world: World) -> None:
    hear(world, WORKER, max_participants=4)
    call = await world.start(talk=GROUP_TALK)
    for user_id in (BOB, CAROL, DAVE):
        call, _ = await world.service.join_call(call.call_id, user_id, TABLET)
    assert set(places(await found(world, call)).values()) == {WORKER}


async def test_a_call_of_two_is_never_spread(world: World) -> None:
    hear(world, WORKER, OTHER_WORKER, max_participants=100)
    call = await world.start()
    full = call.worker
    assert full
    hear(world, full, participants=100, max_participants=100)
    call, _ = await world.service.accept_call(call.call_id, BOB, TABLET)
    assert set(places(call).values()) == {full}


async def test_news_count_from_the_worker_of_the_leg_alone(world: World) -> None:
    call = await spread(world)
    for user_id, device, worker in ((CAROL, TABLET, WORKER), (BOB, TABLET, OTHER_WORKER)):
        gone = MediaDisconnected(user_id, device, worker.worker_id)
        await world.service.note_media(call.call_id, gone)
    assert await found(world, call) == call
    await world.service.note_media(call.call_id, MediaDisconnected(CAROL, TABLET, OTHER_WORKER.worker_id))
    leg = (await found(world, call)).leg_of(CAROL)
    assert leg
    assert not leg.media_up


async def test_who_leaves_is_removed_and_the_others_go_on(world: World) -> None:
    call = await spread(world)
    world.rounds.noted.clear()
    await world.service.leave_call(call.call_id, CAROL, TABLET)
    assert (OTHER_WORKER, CAROL, TABLET) in world.closer.removed
    assert world.rounds.noted == [call.call_id]
    after = await found(world, call)
    assert (after.state, after.workers, world.closer.closed) == (CallState.ACTIVE, (WORKER,), [])


async def test_the_end_of_the_call_ends_its_media_everywhere(world: World) -> None:
    call = await spread(world)
    await world.service.end_for_all(call.call_id, ALICE)
    assert set(world.closer.closed) == {(WORKER, call.call_id), (OTHER_WORKER, call.call_id)}
    world.closer.closed.clear()
    # Media that comes up late is ended again, where it is.
    await connect(world, call, CAROL, TABLET, OTHER_WORKER)
    assert (OTHER_WORKER, call.call_id) in world.closer.closed


async def test_of_a_lost_satellite_its_devices_alone_join_anew(world: World) -> None:
    call = await spread(world)
    hear(world, THIRD_WORKER)
    world.media.unreachable.add(OTHER_WORKER.worker_id)
    await world.moves.check_worker(OTHER_WORKER)
    moved = await found(world, call)
    assert places(moved) == {ALICE: WORKER, BOB: WORKER, CAROL: THIRD_WORKER}
    assert (moved.media_epoch, epochs(moved), moved.move_reason) == (0, [0, 0, 1], MoveReason.WORKER_LOST)
    assert [leg.media_up for leg in moved.joined] == [True, True, False]
    assert await worker_of_grant(world, moved, CAROL, TABLET) == (THIRD_WORKER.worker_id, 1)
    assert await worker_of_grant(world, moved, BOB, TABLET) == (WORKER.worker_id, 0)
    # The page of the device that was on the lost worker sees the same as its events say.
    assert (await world.service.get_call(call.call_id, CAROL)).media_epoch == 1


async def test_legs_of_a_lost_satellite_come_home_when_there_is_room(world: World) -> None:
    call = await spread(world)
    await world.service.leave_call(call.call_id, BOB, TABLET)
    hear(world, WORKER, participants=1)
    hear(world, THIRD_WORKER)
    world.media.unreachable.add(OTHER_WORKER.worker_id)
    await world.moves.check_worker(OTHER_WORKER)
    moved = await found(world, call)
    assert (places(moved)[CAROL], moved.workers) == (WORKER, (WORKER,))
    assert epochs(moved)[2] == 1


async def test_without_another_worker_those_of_a_lost_satellite_are_waited_for(world: World) -> None:
    call = await spread(world)
    world.media.unreachable.add(OTHER_WORKER.worker_id)
    await world.moves.check_worker(OTHER_WORKER)
    suspected = await found(world, call)
    assert [leg.media_deadline is not None for leg in suspected.joined] == [False, False, True]
    # It only stalled.
    world.media.unreachable.clear()
    hear(world, OTHER_WORKER)
    await world.upkeep.tick(call.call_id)
    recovered = await found(world, call)
    assert [leg.media_deadline for leg in recovered.joined] == [None, None, None]


async def test_a_draining_satellite_is_left_make_before_break(world: World) -> None:
    call = await spread(world)
    hear(world, THIRD_WORKER)
    hear(world, OTHER_WORKER, draining=True)
    await world.moves.inspect_workers()
    moved = await found(world, call)
    assert places(moved)[CAROL] == THIRD_WORKER
    assert (epochs(moved), moved.workers) == ([0, 0, 1], (WORKER, THIRD_WORKER, OTHER_WORKER))
    assert world.closer.removed == []
    await connect(world, call, CAROL, TABLET, THIRD_WORKER)
    assert world.closer.removed == [(OTHER_WORKER, CAROL, TABLET)]
    # A moment later, for the first key frames.
    assert world.closer.delays == [TIMEOUTS.handoff_overlap_s]
    assert (await found(world, call)).workers == (WORKER, THIRD_WORKER)
    await world.moves.inspect_workers()
    assert places(await found(world, call))[CAROL] == THIRD_WORKER


async def test_when_the_call_s_own_worker_is_lost_who_is_elsewhere_stays_there(world: World) -> None:
    call = await spread(world)
    hear(world, THIRD_WORKER)
    world.media.unreachable.add(WORKER.worker_id)
    await world.moves.check_worker(WORKER)
    moved = await found(world, call)
    assert (moved.worker, moved.media_epoch, epochs(moved)) == (THIRD_WORKER, 1, [1, 1, 0])
    assert places(moved) == {ALICE: THIRD_WORKER, BOB: THIRD_WORKER, CAROL: OTHER_WORKER}
    assert [leg.media_up for leg in moved.joined] == [False, False, True]
    assert await worker_of_grant(world, moved, CAROL, TABLET) == (OTHER_WORKER.worker_id, 0)


async def test_a_call_that_moves_to_one_of_its_workers_is_on_that_one_alone(world: World) -> None:
    call = await spread(world)
    hear(world, OTHER_WORKER, max_participants=5, participants=1)
    hear(world, WORKER, draining=True)
    await world.moves.inspect_workers()
    moved = await found(world, call)
    assert set(places(moved).values()) == {OTHER_WORKER}
    assert (epochs(moved), [leg.media_up for leg in moved.joined]) == ([1, 1, 0], [False, False, True])
    for user_id, device in ((ALICE, PHONE), (BOB, TABLET)):
        await connect(world, call, user_id, device, OTHER_WORKER)
    assert (await found(world, call)).move_time is None


async def test_a_device_that_takes_over_comes_where_there_is_room_and_the_other_keeps_its_media(world: World) -> None:
    call = await spread(world)
    call, grant = await world.service.take_over(call.call_id, BOB, LAPTOP)
    assert grant
    stored = await found(world, call)
    leg = stored.leg_of(BOB)
    assert leg
    assert (leg.worker, leg.former_worker, leg.former_device_id) == (OTHER_WORKER, WORKER, TABLET)
    assert not world.closer.removed
    await connect(world, call, BOB, LAPTOP, OTHER_WORKER)
    assert (WORKER, BOB, TABLET) in world.closer.removed
    leg = (await found(world, call)).leg_of(BOB)
    assert leg
    assert (leg.former_worker, leg.former_device_id) == (None, None)


async def test_who_was_put_out_leaves_no_place_behind(world: World) -> None:
    call = await spread(world)
    await world.service.remove_participant(call.call_id, ALICE, CAROL)
    after = await found(world, call)
    leg = after.past_leg_of(CAROL)
    assert leg
    assert (leg.state, leg.worker) == (LegState.REMOVED, None)
    assert (OTHER_WORKER, CAROL, TABLET) in world.closer.removed


async def test_what_is_told_is_told_once_however_often_it_is_looked_at(world: World) -> None:
    call = await spread(world)
    shifted = replace(
        call,
        media_epoch=3,
        legs=tuple(replace(leg, epoch_offset=-1) if leg.user_id == BOB else leg for leg in call.legs),
    )
    assert shifted.told_to(BOB).told_to(BOB).media_epoch == 2
    assert shifted.told_to(ALICE) is shifted
    assert shifted.create_time == START


async def test_a_former_worker_that_others_have_come_to_since_goes_on_for_these(world: World) -> None:
    call = await spread(world)
    hear(world, THIRD_WORKER, cpu_ratio=0.5)
    await world.moves.move_on_request(call.call_id, THIRD_WORKER.worker_id)
    hear(world, THIRD_WORKER, OTHER_WORKER, participants=2)
    await world.service.join_call(call.call_id, DAVE, TABLET)
    assert places(await found(world, call))[DAVE] == WORKER
    for user_id, device in ((ALICE, PHONE), (BOB, TABLET)):
        await connect(world, call, user_id, device, THIRD_WORKER)
    world.clock.advance(TIMEOUTS.handoff_s)
    await world.upkeep.tick(call.call_id)
    assert (await found(world, call)).former is None
    assert world.closer.closed == []
    assert {user_id for worker, user_id, _ in world.closer.removed if worker == WORKER} == {ALICE, BOB, CAROL}


async def test_who_was_placed_elsewhere_counts_there_for_other_calls_at_once(world: World) -> None:
    await spread(world)
    assert world.workers.choose(2, world.clock.now(), exclude=WORKER) is None
    assert world.workers.choose(1, world.clock.now(), exclude=WORKER) == OTHER_WORKER
