"""Calls that move to another SFU worker while people talk: on a drain, on a crash, and by an operator's command.

The gaps are measured (build/reports/handoff_gaps.json), not judged here: they are this machine's as much as ours. What
is judged is the order, which makes them small: nobody is let go of before the new worker brings media.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from parley.calls.v1 import operations_pb2, operations_pb2_grpc

from deploy.embedded.record import ROOT
from deploy.embedded.settings import PARTS
from parley_client.session import Session
from services.runtime.grpc.channels import connect
from tests.support.admins import admin_of
from tests.support.stack import RunningStack, run_stack
from tests.support.talk import Talk, talking
from tests.support.waiting import PATIENCE_S

pytestmark = pytest.mark.restarts

AFTER_MS = 2000
GAPS = ROOT / "build" / "reports" / "handoff_gaps.json"


@pytest.fixture(scope="module")
def farm() -> Iterator[RunningStack]:
    """A stack with two media workers, which wait for their calls when they are asked to stop."""
    parts = tuple(part for part in PARTS if part not in ("web", "push", "webhooks"))
    # The former worker goes on until all have moved, and not only for as long as that takes on a fast machine.
    env = {"PARLEY_SFU_DRAIN_S": "90", "PARLEY_HANDOFF_S": "60"}
    with run_stack("faults-handoff", parts=parts, env=env, replicas={"sfu": 2}) as running:
        yield running


@dataclass
class MovingTalk:
    """A call on a farm of workers, and its operator."""

    farm: RunningStack
    talk: Talk

    @property
    def call_id(self) -> str:
        return self.talk.call_id

    @property
    def sides(self) -> tuple[Session, Session]:
        return self.talk.sides

    async def operations(self, name: str, request: Any) -> Any:
        """What an operator asks of signaling."""
        record = self.farm.record
        async with connect(record.admin_addresses["signaling"], admin_of(record, "operator")) as channel:
            stub: Any = operations_pb2_grpc.CallOperationsServiceStub(channel)
            return await getattr(stub, name)(request, timeout=PATIENCE_S)

    async def worker(self) -> str:
        """Which worker carries the call."""
        answer = await self.operations("LocateCall", operations_pb2.LocateCallRequest(call_id=self.call_id))
        return str(answer.worker_id)

    async def until_moved(self, from_worker: str) -> None:
        """Waits until both sides have media on another worker, and hear each other there."""
        for side in self.sides:
            await side.stream.until(
                lambda side=side: side.phone.media_epoch > 0,  # type: ignore[misc]
                PATIENCE_S,
                f"the move of {side.user_id}",
            )
        assert await self.worker() != from_worker
        await self.talk.until_more_media(AFTER_MS)

    async def until_let_go(self) -> None:
        """Waits until the former worker has closed both connections, and holds that the new ones had media by then."""
        for side in self.sides:
            await side.stream.until(
                lambda side=side: bool(side.phone.overlaps),  # type: ignore[misc]
                PATIENCE_S,
                f"the end of the former connection of {side.user_id}",
            )
        assert [side.phone.overlaps for side in self.sides] == [[True], [True]]

    def gaps(self) -> dict[str, float]:
        """The longest time in which a side heard or saw nothing, in seconds."""
        return {
            "tone_s": max(side.phone.continuity.tone.longest_gap_s for side in self.sides),
            "picture_s": max(side.phone.continuity.picture.longest_gap_s for side in self.sides),
        }


def report(what: str, gaps: dict[str, float]) -> None:
    """Keeps the figures of this run beside those of the other moves."""
    GAPS.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(GAPS.read_text()) if GAPS.exists() else {}
    GAPS.write_text(json.dumps({**known, what: {name: round(gap, 3) for name, gap in gaps.items()}}, indent=2))


@pytest.fixture
async def talk(farm: RunningStack) -> AsyncIterator[MovingTalk]:
    async with talking(farm.record) as made:
        await made.until_more_media(1000)
        yield MovingTalk(farm, made)


async def test_an_operator_moves_a_call_and_nobody_is_interrupted(talk: MovingTalk) -> None:
    former = await talk.worker()
    moved = await talk.operations("MoveCall", operations_pb2.MoveCallRequest(call_id=talk.call_id))
    assert moved.worker_id != former
    again = await talk.operations(
        "MoveCall", operations_pb2.MoveCallRequest(call_id=talk.call_id, worker_id=moved.worker_id)
    )
    assert again == moved
    await talk.until_moved(former)
    await talk.until_let_go()
    report("operator", talk.gaps())


async def test_an_operator_sets_a_worker_aside_and_nobody_is_interrupted(talk: MovingTalk) -> None:
    former = await talk.worker()
    drained = await talk.operations("DrainWorker", operations_pb2.DrainWorkerRequest(worker_id=former))
    assert drained.calls_left == 0
    await talk.until_moved(former)
    await talk.until_let_go()
    await talk.operations("DrainWorker", operations_pb2.DrainWorkerRequest(worker_id=former, undo=True))
    report("operator_drain", talk.gaps())


async def test_a_worker_that_stops_hands_its_calls_over_and_then_goes(farm: RunningStack, talk: MovingTalk) -> None:
    former = await talk.worker()
    pid = farm.kill(former, signal.SIGTERM)
    await talk.until_moved(former)
    # It waited for its calls alone, not for its deadline.
    await asyncio.to_thread(farm.wait_for_restart, former, pid, PATIENCE_S)
    await talk.until_let_go()
    report("drain", talk.gaps())


async def test_a_worker_that_is_killed_loses_its_calls_for_a_moment_only(farm: RunningStack, talk: MovingTalk) -> None:
    former = await talk.worker()
    pid = farm.kill(former)
    await talk.until_moved(former)
    report("crash", talk.gaps())
    await asyncio.to_thread(farm.wait_for_restart, former, pid, PATIENCE_S)


async def test_a_worker_that_hangs_loses_its_calls_for_some_seconds_only(farm: RunningStack, talk: MovingTalk) -> None:
    former = await talk.worker()
    pid = farm.kill(former, signal.SIGSTOP)
    try:
        # Nothing breaks off, and it was heard of just now: its silence alone tells.
        await talk.until_moved(former)
    finally:
        farm.kill(former, signal.SIGCONT)
    assert farm.record.pids[former] == pid
    report("hang", talk.gaps())


async def test_a_call_that_does_not_run_cannot_be_moved(talk: MovingTalk) -> None:
    await talk.sides[0].phone.hang_up()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await talk.operations("MoveCall", operations_pb2.MoveCallRequest(call_id=talk.call_id))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
