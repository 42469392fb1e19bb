"""What happens to calls without anybody asking."""

from contextlib import nullcontext

import pytest
from prometheus_client import REGISTRY

from services.runtime.errors import StoreUnavailable
from services.signaling.core.inputs import MediaConnected, MediaDisconnected
from services.signaling.core.model import Call, CallId, CallState, ConversationId, EndReason, UserId
from services.signaling.upkeep import CLAIM_LEASE
from tests.support.cut_off import cut_off
from tests.unit.signaling.fakes import ALICE, BOB, PHONE, TABLET, TIMEOUTS, WORKER, World


async def connect(world: World) -> Call:
    """A call with media on both sides."""
    call = await world.answered()
    await world.service.note_media(call.call_id, MediaConnected(ALICE, PHONE, WORKER.worker_id))
    await world.service.note_media(call.call_id, MediaConnected(BOB, TABLET, WORKER.worker_id))
    return call


async def state_of(world: World, call: Call) -> tuple[CallState, EndReason | None]:
    found = await world.service.get_call(call.call_id, ALICE)
    return found.state, found.end_reason


async def test_nobody_answers_and_the_call_is_missed(world: World) -> None:
    call = await world.start()
    world.clock.advance(TIMEOUTS.ring_s - 1)
    await world.upkeep.tick(call.call_id)
    assert await state_of(world, call) == (CallState.RINGING, None)
    world.clock.advance(1)
    await world.upkeep.tick(call.call_id)
    assert await state_of(world, call) == (CallState.ENDED, EndReason.MISSED)
    assert world.told() == ["1 ringing", "2 ended missed"]
    await world.upkeep.tick(call.call_id)
    assert world.metrics.ended == {"missed": 1}


async def test_the_sweep_ends_what_a_crashed_replica_left(world: World) -> None:
    call = await world.start()
    await world.upkeep.sweep()
    assert await state_of(world, call) == (CallState.RINGING, None)
    world.clock.advance(TIMEOUTS.ring_s)
    await world.upkeep.sweep()
    assert await state_of(world, call) == (CallState.ENDED, EndReason.MISSED)


async def test_media_that_never_came_ends_the_call(world: World) -> None:
    call = await world.answered()
    world.advance_with(WORKER, int(TIMEOUTS.media_lost_s))
    await world.upkeep.sweep()
    assert await state_of(world, call) == (CallState.ENDED, EndReason.MEDIA_LOST)
    assert world.metrics.failures == {"media": 1}


async def test_media_that_was_lost_and_stays_away_ends_the_call(world: World) -> None:
    call = await connect(world)
    world.advance_with(WORKER, 300)
    await world.upkeep.sweep()
    assert await state_of(world, call) == (CallState.ACTIVE, None)
    await world.service.note_media(call.call_id, MediaDisconnected(BOB, TABLET, WORKER.worker_id))
    world.advance_with(WORKER, int(TIMEOUTS.media_lost_s))
    await world.upkeep.sweep()
    assert await state_of(world, call) == (CallState.ENDED, EndReason.MEDIA_LOST)
    assert world.metrics.failures == {}


async def test_a_silent_and_unreachable_worker_is_dead_and_its_calls_end_if_nobody_renews(world: World) -> None:
    call = await connect(world)
    world.clock.advance(6)
    world.media.unreachable.add(WORKER.worker_id)
    await world.moves.inspect_workers()
    await world.moves.inspect_workers()
    world.clock.advance(TIMEOUTS.media_lost_s)
    await world.upkeep.sweep()
    assert await state_of(world, call) == (CallState.ENDED, EndReason.MEDIA_LOST)


async def test_a_worker_that_stalled_and_answers_again_keeps_its_calls_although_no_other_one_was_free(
    world: World,
) -> None:
    call = await connect(world)
    world.media.unreachable.add(WORKER.worker_id)
    await world.moves.check_worker(WORKER)
    world.media.unreachable.clear()
    world.advance_with(WORKER, int(TIMEOUTS.media_lost_s) + 1)
    await world.upkeep.sweep()
    assert await state_of(world, call) == (CallState.ACTIVE, None)
    assert (await world.service.get_call(call.call_id, ALICE)).due_time is None


async def test_a_silent_but_reachable_worker_keeps_its_calls(world: World) -> None:
    call = await connect(world)
    world.clock.advance(600)
    await world.moves.inspect_workers()
    found = await world.service.get_call(call.call_id, ALICE)
    assert all(leg.media_up for leg in found.legs)


async def test_an_outage_of_the_broker_is_not_taken_for_missing_media(world: World) -> None:
    call = await world.answered()
    # Neither announcements nor reports come through, while the worker is well.
    world.clock.advance(TIMEOUTS.media_lost_s + 5)
    await world.upkeep.sweep()
    assert await state_of(world, call) == (CallState.ACTIVE, None)
    # The broker is back, and the reports follow the first announcements.
    world.advance_with(WORKER, 5)
    await world.upkeep.sweep()
    assert await state_of(world, call) == (CallState.ACTIVE, None)
    await world.service.note_media(call.call_id, MediaConnected(ALICE, PHONE, WORKER.worker_id))
    world.advance_with(WORKER, 10)
    await world.upkeep.sweep()
    assert await state_of(world, call) == (CallState.ENDED, EndReason.MEDIA_LOST)


async def test_a_call_that_must_wait_is_looked_at_again_after_the_lease(world: World) -> None:
    call = await world.answered()
    world.clock.advance(TIMEOUTS.media_lost_s)
    await world.upkeep.sweep()
    assert await world.store.claim_due(world.clock.now(), CLAIM_LEASE, 10) == []
    world.clock.advance(CLAIM_LEASE.total_seconds())
    world.media.unreachable.add(WORKER.worker_id)
    await world.upkeep.sweep()
    assert await state_of(world, call) == (CallState.ENDED, EndReason.MEDIA_LOST)


async def test_calls_are_counted_by_state(world: World) -> None:
    await world.answered()
    await world.upkeep.count()
    shown = {state: REGISTRY.get_sample_value("signaling_calls", {"state": state}) for state in ("ringing", "active")}
    assert shown == {"ringing": 0, "active": 1}


async def test_a_tick_for_an_unknown_call_is_nothing_and_an_outage_is_reported(world: World) -> None:
    await world.upkeep.tick(CallId("gone"))
    world.store.down = True
    with pytest.raises(StoreUnavailable):
        await world.upkeep.sweep()


@pytest.mark.parametrize("others_pass", [True, False])
async def test_a_call_whose_statement_is_cut_off_does_not_keep_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch, others_pass: bool
) -> None:
    talk, caller, callee = ConversationId("other-talk"), UserId("caller"), UserId("callee")
    world.members.conversations[talk] = [caller, callee]
    bad, good = await world.start(), await world.start(caller, talk=talk)
    world.clock.advance(TIMEOUTS.ring_s)
    find = world.store.find

    async def find_some(call_id: CallId) -> Call | None:
        if call_id == bad.call_id:
            raise cut_off(others_pass=others_pass)
        return await find(call_id)

    monkeypatch.setattr(world.store, "find", find_some)
    monkeypatch.setattr(world.store, "claim_due", lambda *_: _these([bad.call_id, good.call_id]))
    with nullcontext() if others_pass else pytest.raises(StoreUnavailable):
        await world.upkeep.sweep()
    ended = await find(good.call_id)
    assert ended
    assert (ended.state is CallState.ENDED) == others_pass


async def _these(call_ids: list[CallId]) -> list[CallId]:
    return call_ids
