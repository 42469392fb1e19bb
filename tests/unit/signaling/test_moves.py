"""Calls go to another worker: who notices, where to, and what is left behind."""

from contextlib import nullcontext
from dataclasses import replace

import pytest

from services.runtime.errors import StoreUnavailable
from services.signaling import moves
from services.signaling.core.errors import CallEnded, MediaUnavailable, NoMediaWorker, WorkerNotFound
from services.signaling.core.inputs import MediaConnected
from services.signaling.core.model import Call, CallId, CallState, ConversationId, MoveReason, UserId, WorkerId
from tests.support.cut_off import cut_off
from tests.unit.signaling.fakes import ALICE, BOB, OTHER_WORKER, PHONE, START, TABLET, TIMEOUTS, WORKER, World


async def connect(world: World, call: Call, worker_id: WorkerId = WORKER.worker_id) -> Call:
    """Both sides have media on that worker."""
    for user_id, device in ((ALICE, PHONE), (BOB, TABLET)):
        await world.service.note_media(call.call_id, MediaConnected(user_id, device, worker_id))
    return await world.service.get_call(call.call_id, ALICE)


async def connected(world: World) -> Call:
    return await connect(world, await world.answered())


async def find(world: World, call: Call) -> Call:
    return await world.service.get_call(call.call_id, ALICE)


async def test_a_draining_workers_calls_move_and_keep_their_media_until_all_have_followed(world: World) -> None:
    call = await connected(world)
    world.hear(WORKER, draining=True)
    world.hear(OTHER_WORKER)
    await world.moves.inspect_workers()
    await world.moves.inspect_workers()
    moved = await find(world, call)
    assert (moved.worker, moved.media_epoch, moved.move_reason) == (OTHER_WORKER, 1, MoveReason.DRAIN)
    assert world.told()[-1].startswith(f"{moved.version} active")
    assert world.closer.closed == []
    world.clock.advance(0.5)
    await connect(world, call, OTHER_WORKER.worker_id)
    await world.upkeep.tick(call.call_id)
    # A moment more, for the first key frames.
    assert world.closer.closed == []
    world.clock.advance(TIMEOUTS.handoff_overlap_s)
    await world.upkeep.tick(call.call_id)
    assert world.closer.closed == [(WORKER, call.call_id)]
    settled = await find(world, call)
    assert (settled.former, settled.due_time, settled.state) == (None, None, CallState.ACTIVE)
    assert (world.metrics.moves, world.metrics.handoffs) == ({"drain": 1}, (1, 0.5))


async def test_an_operator_sets_a_worker_aside_and_its_calls_move_as_in_a_drain(world: World) -> None:
    call = await connected(world)
    assert await world.moves.drain(WORKER.worker_id) == 1
    assert await find(world, call) == call
    world.hear(OTHER_WORKER)
    assert await world.moves.drain(WORKER.worker_id) == 0
    moved = await find(world, call)
    assert (moved.worker, moved.move_reason) == (OTHER_WORKER, MoveReason.DRAIN)
    assert moved.former is not None
    assert world.media.draining == {WORKER.worker_id: True}
    assert world.workers.choose(1, world.clock.now(), exclude=OTHER_WORKER) is None
    await world.moves.undrain(WORKER.worker_id)
    assert world.media.draining == {WORKER.worker_id: False}
    assert world.workers.choose(1, world.clock.now(), exclude=OTHER_WORKER) == WORKER


async def test_a_worker_that_nobody_heard_of_or_that_does_not_answer_cannot_be_set_aside(world: World) -> None:
    with pytest.raises(WorkerNotFound):
        await world.moves.drain(WorkerId("unknown"))
    with pytest.raises(WorkerNotFound):
        await world.moves.undrain(WorkerId("unknown"))
    world.media.refusal = MediaUnavailable()
    with pytest.raises(MediaUnavailable):
        await world.moves.drain(WORKER.worker_id)
    assert world.workers.choose(1, world.clock.now()) == WORKER


async def test_a_device_that_does_not_follow_keeps_its_old_media_for_a_bounded_time(world: World) -> None:
    call = await connected(world)
    world.hear(WORKER, draining=True)
    world.hear(OTHER_WORKER)
    await world.moves.inspect_workers()
    await world.service.note_media(call.call_id, MediaConnected(ALICE, PHONE, OTHER_WORKER.worker_id))
    world.clock.advance(TIMEOUTS.handoff_s)
    await world.upkeep.sweep()
    assert world.closer.closed == [(WORKER, call.call_id)]
    assert (await find(world, call)).state is CallState.ACTIVE


async def test_without_another_worker_a_drained_call_stays_where_it_is(world: World) -> None:
    call = await connected(world)
    world.hear(WORKER, draining=True)
    await world.moves.inspect_workers()
    assert await find(world, call) == call


async def test_a_worker_that_breaks_off_is_dead_at_once_and_its_calls_move(world: World) -> None:
    call = await connected(world)
    world.hear(OTHER_WORKER)
    world.media.unreachable.add(WORKER.worker_id)
    await world.moves.check_worker(WORKER)
    moved = await find(world, call)
    assert (moved.worker, moved.move_reason, moved.former) == (OTHER_WORKER, MoveReason.WORKER_LOST, None)
    assert world.workers.find(WORKER.worker_id, world.clock.now()) is None


async def start_many(world: World, count: int) -> list[Call]:
    """Each of two people of its own."""
    calls = []
    for number in range(count):
        talk = ConversationId(f"talk-{number}")
        caller, callee = UserId(f"caller-{number}"), UserId(f"callee-{number}")
        world.members.conversations[talk] = [caller, callee]
        calls.append(await world.start(caller, key="first", talk=talk))
    return calls


async def test_a_full_workers_calls_all_move_in_one_look(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves, "MOVE_LIMIT", 2)
    calls = await start_many(world, 5)
    world.hear(OTHER_WORKER)
    world.media.unreachable.add(WORKER.worker_id)
    await world.moves.check_worker(WORKER)
    found = [await world.store.find(call.call_id) for call in calls]
    assert [call.worker for call in found if call] == [OTHER_WORKER] * 5
    assert world.metrics.moves == {"worker_lost": 5}


@pytest.mark.parametrize("others_pass", [True, False])
async def test_a_call_whose_statement_is_cut_off_does_not_keep_the_others_on_a_lost_worker(
    world: World, monkeypatch: pytest.MonkeyPatch, others_pass: bool
) -> None:
    calls = await start_many(world, 3)
    find_one = world.store.find

    async def find_some(call_id: CallId) -> Call | None:
        if call_id == calls[0].call_id:
            raise cut_off(others_pass=others_pass)
        return await find_one(call_id)

    monkeypatch.setattr(world.store, "find", find_some)
    world.hear(OTHER_WORKER)
    world.media.unreachable.add(WORKER.worker_id)
    with nullcontext() if others_pass else pytest.raises(StoreUnavailable):
        await world.moves.check_worker(WORKER)
    if others_pass:
        found = [await find_one(call.call_id) for call in calls]
        assert [call.worker for call in found if call] == [WORKER, OTHER_WORKER, OTHER_WORKER]


async def test_without_another_worker_a_look_at_a_lost_full_worker_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "MOVE_LIMIT", 1)
    call = await connected(world)
    world.media.unreachable.add(WORKER.worker_id)
    await world.moves.check_worker(WORKER)
    assert (await find(world, call)).worker == WORKER


async def test_a_worker_that_answers_after_its_stream_broke_keeps_its_calls(world: World) -> None:
    call = await connected(world)
    world.hear(OTHER_WORKER)
    await world.moves.check_worker(WORKER)
    assert await find(world, call) == call


async def test_a_worker_that_is_back_under_its_name_has_lost_its_calls(world: World) -> None:
    first = replace(WORKER, start_time=START)
    world.hear(first)
    call = await connected(world)
    assert call.worker == first
    world.clock.advance(1)
    second = replace(WORKER, start_time=world.clock.now())
    world.hear(second)
    await world.moves.inspect_workers()
    moved = await find(world, call)
    assert (moved.worker, moved.media_epoch, moved.former) == (second, 1, None)
    await connect(world, call)
    assert world.closer.closed == []
    assert world.metrics.handoffs == (1, 0.0)


async def test_calls_of_a_lost_worker_wait_for_another_one_and_then_move(world: World) -> None:
    call = await connected(world)
    world.clock.advance(6)
    world.media.unreachable.add(WORKER.worker_id)
    await world.moves.inspect_workers()
    waiting = await find(world, call)
    assert waiting.due_time is not None
    world.hear(OTHER_WORKER)
    await world.moves.inspect_workers()
    assert (await find(world, call)).worker == OTHER_WORKER


async def test_an_operator_moves_a_call_to_the_best_other_worker_or_to_a_named_one(world: World) -> None:
    call = await connected(world)
    with pytest.raises(NoMediaWorker):
        await world.moves.move_on_request(call.call_id, None)
    world.hear(OTHER_WORKER)
    moved = await world.moves.move_on_request(call.call_id, None)
    assert (moved.worker, moved.media_epoch) == (OTHER_WORKER, 1)
    assert await world.moves.move_on_request(call.call_id, OTHER_WORKER.worker_id) == moved
    back = await world.moves.move_on_request(call.call_id, WORKER.worker_id)
    # Nobody needs the one between any more.
    assert (back.worker, back.media_epoch, world.closer.closed[-1]) == (WORKER, 2, (WORKER, call.call_id))
    with pytest.raises(NoMediaWorker):
        await world.moves.move_on_request(call.call_id, WorkerId("unknown"))
    await world.service.leave_call(call.call_id, ALICE, PHONE)
    with pytest.raises(CallEnded):
        await world.moves.move_on_request(call.call_id, None)


async def test_a_grant_says_of_which_epoch_it_is(world: World) -> None:
    call = await connected(world)
    world.hear(OTHER_WORKER)
    await world.moves.move_on_request(call.call_id, None)
    grant = await world.service.access.renew_grant(call.call_id, BOB, TABLET)
    assert (grant.media_epoch, world.read(grant.join_token).worker_id) == (1, OTHER_WORKER.worker_id)


async def test_the_end_of_a_call_that_moves_closes_both_workers(world: World) -> None:
    call = await connected(world)
    world.hear(OTHER_WORKER)
    await world.moves.move_on_request(call.call_id, None)
    await world.service.leave_call(call.call_id, ALICE, PHONE)
    assert sorted(worker.worker_id for worker, _ in world.closer.closed) == ["sfu-1", "sfu-2"]
