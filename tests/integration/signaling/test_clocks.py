"""Replicas on hosts whose clocks are an hour apart, and are set by an hour while calls ring and run."""

from parley.calls.v1 import messages_pb2
from parley.calls.v1 import service_pb2 as api

from tests.integration.signaling.test_signaling import ends
from tests.integration.signaling.town import TABLET, Town
from tests.support.clock import HostClock
from tests.support.waiting import eventually

HOUR_S = 3600.0
# Three replicas share one process: however slow they are, no call ends for want of media meanwhile.
SIGNALING_ENV = {"PARLEY_MEDIA_LOST_TIMEOUT_S": "600", "PARLEY_WORKER_LOST_S": "600"}


async def test_a_call_is_placed_answered_joined_and_ended_by_replicas_two_hours_apart(town: Town) -> None:
    pair = town.pair()
    one, other = HostClock(-HOUR_S), HostClock(HOUR_S)
    async with town.another(one) as first, town.another(other) as second:
        await eventually(first.is_ready)
        await eventually(second.is_ready)
        # Tokens of the network and of neighbours, made on hosts that are right, are taken on both.
        start = await pair.ring(first)
        one.off_s += 2 * HOUR_S
        bob = town.user(pair.bob, second)
        accept = await bob.call("AcceptCall", api.AcceptCallRequest(call_id=start.call.call_id, device_id=TABLET))
        other.off_s -= 2 * HOUR_S
        # What was granted is taken by the media worker, and by the replica that did not grant it.
        await town.user(pair.alice, second).join(start.grant)
        await town.user(pair.bob, first).join(accept.grant)
        call = (await bob.call("GetCall", api.GetCallRequest(call_id=start.call.call_id))).call
        times = [call.create_time.ToDatetime(), call.answer_time.ToDatetime()]
        assert times == sorted(times)
        assert (times[1] - times[0]).total_seconds() < HOUR_S
        ended = await bob.call("LeaveCall", api.LeaveCallRequest(call_id=call.call_id, device_id=TABLET))
        assert ended.call.end_reason == messages_pb2.END_REASON_HUNG_UP


async def test_a_ring_lasts_as_long_as_it_lasts_whatever_is_done_to_the_clock(town: Town) -> None:
    clock = HostClock()
    async with town.another(clock, PARLEY_RING_TIMEOUT_S="600") as patient:
        await eventually(patient.is_ready)
        pair = town.pair()
        start = await pair.ring(patient)
        clock.off_s = HOUR_S
        # The replica's upkeep has looked at all calls by the time that this one is missed.
        async with town.another(clock, PARLEY_RING_TIMEOUT_S="0.3") as brisk:
            await eventually(brisk.is_ready)
            caller = town.pair()
            missed = await caller.ring(brisk)
            clock.off_s = -HOUR_S
            await ends(town.user(caller.alice, brisk), missed.call.call_id, messages_pb2.END_REASON_MISSED)
        assert await town.user(pair.alice, patient).state(start.call.call_id) == (
            messages_pb2.CALL_STATE_RINGING,
            messages_pb2.END_REASON_UNSPECIFIED,
        )
