"""A call outlives its control plane, and comes back when its media worker was lost."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from parley.calls.v1 import messages_pb2 as calls_messages
from parley.calls.v1 import service_pb2 as calls

from parley_client.calls import ACTIVE, ENDED
from tests.support.stack import RunningStack
from tests.support.talk import Talk, talking
from tests.support.waiting import PATIENCE_S

pytestmark = pytest.mark.outages

CONTROL_PLANE = ["postgres", "broker", "messaging", "presence", "gateway", "signaling", "edge", "issuer"]
# How much of the other side's tone must come while nothing but the SFU runs.
OUTAGE_MS = 4000
# And while the stores alone are away: long enough for each timeout, lease and session of ours to run out.
MINUTE_MS = 60_000
SILENCE_MS = 8000


@pytest.fixture
async def talk(faulty: RunningStack) -> AsyncIterator[Talk]:
    async with talking(faulty.record) as talk:
        yield talk


@contextmanager
def halted(stack: RunningStack, names: list[str]) -> Iterator[None]:
    """The processes stand still for the length of the block: they neither answer nor end, the worst kind of outage."""
    stopped: list[int] = []
    try:
        for name in names:
            # The parent first, so that it makes no more of those that serve its connections.
            for pid in _with_children(stack.record.pids[name]):
                os.kill(pid, signal.SIGSTOP)
                stopped.append(pid)
        yield
    finally:
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)


def _with_children(pid: int) -> Iterator[int]:
    """A process and, once it has been dealt with, its children."""
    yield pid
    yield from map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


async def until_ready(stack: RunningStack, name: str) -> None:
    """Waits until the service says so itself: of several that were killed, one may have a pid before it is ready."""
    async with (
        asyncio.timeout(PATIENCE_S),
        grpc.aio.insecure_channel(stack.record.grpc_addresses[name]) as channel,
    ):
        stub: Any = health_pb2_grpc.HealthStub(channel)
        async for answer in stub.Watch(health_pb2.HealthCheckRequest(service="readiness"), wait_for_ready=True):
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return


async def hang_up_and_find_the_record(talk: Talk) -> None:
    """The call can be ended in order, and stands in the conversation of both."""
    await talk.sides[0].phone.hang_up()
    await find_the_record(talk)


async def find_the_record(talk: Talk) -> None:
    """Both are told that it has ended, and it stands in the conversation of both."""
    for side in talk.sides:
        await side.phone.until_state(ENDED, PATIENCE_S)
        await side.stream.until(
            lambda side=side: side.call_record(talk.conversation_id, talk.call_id) is not None,  # type: ignore[misc]
            PATIENCE_S,
            "the record of the call",
        )
        record = side.call_record(talk.conversation_id, talk.call_id)
        assert record is not None
        assert record.outcome == "COMPLETED"


async def test_a_call_keeps_its_media_while_everything_but_the_sfu_stands_still(
    faulty: RunningStack, talk: Talk
) -> None:
    with halted(faulty, CONTROL_PLANE):
        await talk.until_more_media(OUTAGE_MS)
    assert [side.phone.media.state for side in talk.sides] == ["connected", "connected"]
    await hang_up_and_find_the_record(talk)


async def test_a_call_keeps_its_media_and_ends_in_order_after_a_minute_without_postgresql_and_the_broker(
    faulty: RunningStack, talk: Talk
) -> None:
    with halted(faulty, ["postgres", "broker"]):
        await talk.until_more_media(MINUTE_MS)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await talk.sides[0].device.calls.GetCall(calls.GetCallRequest(call_id=talk.call_id))
        assert refused.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    assert [side.phone.media.state for side in talk.sides] == ["connected", "connected"]
    await until_ready(faulty, "signaling")
    # The worker, of which nothing was heard, was not taken for dead, nor its media for lost.
    assert [(side.phone.state, side.phone.media_epoch) for side in talk.sides] == [(ACTIVE, 0)] * 2
    await hang_up_and_find_the_record(talk)
    listed = (await talk.sides[1].device.calls.ListCalls(calls.ListCallsRequest())).calls
    (found,) = [entry for entry in listed if entry.call.call_id == talk.call_id]
    assert found.call.end_reason == calls_messages.END_REASON_HUNG_UP
    for side in talk.sides:
        records = [entry.call for entry in side.history(talk.conversation_id).shown if entry.call]
        assert [record.call_id for record in records] == [talk.call_id]
        assert records[0].length_ms >= MINUTE_MS


async def test_a_new_call_rings_is_taken_and_heard_while_the_broker_is_away(faulty: RunningStack, talk: Talk) -> None:
    caller, callee = talk.sides
    with halted(faulty, ["broker"]):
        # Longer than a worker counts as live of which nothing is heard.
        await talk.until_more_media(SILENCE_MS)
        await caller.phone.hang_up()
        await callee.phone.until_state(ENDED, PATIENCE_S)
        call = await caller.phone.start(talk.conversation_id)
        await caller.phone.join_media()
        await callee.phone.until_ring(PATIENCE_S)
        await callee.phone.accept(call.call_id)
        await callee.phone.join_media()
        await replace(talk, call_id=call.call_id).until_more_media(1000)
    await hang_up_and_find_the_record(replace(talk, call_id=call.call_id))


async def test_a_call_keeps_its_media_while_the_control_plane_is_killed(faulty: RunningStack, talk: Talk) -> None:
    old_pids = {name: faulty.kill(name) for name in ("signaling", "messaging", "presence", "gateway", "broker")}
    await talk.until_more_media(1000)
    for name, pid in old_pids.items():
        await asyncio.to_thread(faulty.wait_for_restart, name, pid, PATIENCE_S)
    await until_ready(faulty, "signaling")
    assert [side.phone.state for side in talk.sides] == [ACTIVE, ACTIVE]
    await hang_up_and_find_the_record(talk)


async def test_a_call_that_ended_as_signaling_was_killed_is_told_and_recorded(faulty: RunningStack, talk: Talk) -> None:
    await talk.sides[0].phone.hang_up()
    old_pid = faulty.kill("signaling")
    await asyncio.to_thread(faulty.wait_for_restart, "signaling", old_pid, PATIENCE_S)
    await until_ready(faulty, "signaling")
    await find_the_record(talk)


async def test_both_sides_come_back_when_the_sfu_was_killed(faulty: RunningStack, talk: Talk) -> None:
    old_pid = faulty.kill("sfu")
    await asyncio.to_thread(faulty.wait_for_restart, "sfu", old_pid, PATIENCE_S)
    for side in talk.sides:
        await side.phone.rejoin()
    # Signaling has moved the call to the new worker, or is about to: what was just joined may be replaced.
    await talk.until_more_media(500)
    await hang_up_and_find_the_record(talk)
