"""Calls that move to another SFU worker while people talk: on a drain, on a crash, and by an operator's command.

The gaps are measured (build/reports/handoff_gaps.json), not judged here: they are this machine's as much as ours. What
is judged is the order, which makes them small: nobody is let go of before the new worker brings media.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from parley.calls.v1 import operations_pb2, operations_pb2_grpc
from parley.messaging.v1 import service_pb2 as messaging

from deploy.embedded.record import ROOT
from deploy.embedded.settings import PARTS
from loadtests.headless.client import Edge
from loadtests.headless.person import Person, person
from loadtests.headless.tracks import SourceOptions
from services.runtime.auth import ServiceTokens
from services.runtime.clock import SystemClock
from services.runtime.rpc import connect
from tests.support.stack import RunningStack, run_stack

DEADLINE_S = 60.0
AFTER_MS = 2000
GAPS = ROOT / "build" / "reports" / "handoff_gaps.json"


@pytest.fixture(scope="module")
def farm() -> Iterator[RunningStack]:
    """A stack with two media workers, which wait for their calls when they are asked to stop."""
    parts = tuple(part for part in PARTS if part != "web")
    with run_stack("faults-handoff", parts=parts, env={"PARLEY_SFU_DRAIN_S": "30"}, replicas={"sfu": 2}) as running:
        yield running


@dataclass
class Talk:
    """A call in which both sides hear and see each other."""

    farm: RunningStack
    call_id: str
    sides: tuple[Person, Person]

    async def until_more(self, tone_ms: float) -> None:
        """Waits until both have heard this much more on the connection that they have now."""

        async def hears_more(side: Person) -> None:
            media = side.phone.media
            goal, frames = media.tone_ms_decoded + tone_ms, media.video_frames_decoded
            await media.until(
                lambda: media.tone_ms_decoded >= goal and media.video_frames_decoded > frames,
                DEADLINE_S,
                f"{tone_ms:g} ms more at {side.user_id}",
            )

        await asyncio.gather(*map(hears_more, self.sides))

    async def operations(self, name: str, request: Any) -> Any:
        """What an operator asks of signaling."""
        record = self.farm.record
        tokens = ServiceTokens(base64.b64decode(record.service_key), "ops", SystemClock())
        async with connect(record.grpc_addresses["signaling"], tokens) as channel:
            stub: Any = operations_pb2_grpc.CallOperationsServiceStub(channel)
            return await getattr(stub, name)(request, timeout=10)

    async def worker(self) -> str:
        """Which worker carries the call."""
        answer = await self.operations("LocateCall", operations_pb2.LocateCallRequest(call_id=self.call_id))
        return str(answer.worker_id)

    async def until_moved(self, from_worker: str) -> None:
        """Waits until both sides have media on another worker, and hear each other there."""
        for side in self.sides:
            await side.stream.until(
                lambda side=side: side.phone.media_epoch > 0,  # type: ignore[misc]
                DEADLINE_S,
                f"the move of {side.user_id}",
            )
        assert await self.worker() != from_worker
        await self.until_more(AFTER_MS)

    async def until_let_go(self) -> None:
        """Waits until the former worker has closed both connections, and holds that the new ones had media by then."""
        for side in self.sides:
            await side.stream.until(
                lambda side=side: bool(side.phone.overlaps),  # type: ignore[misc]
                DEADLINE_S,
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
async def talk(farm: RunningStack) -> AsyncIterator[Talk]:
    edge = Edge(farm.record.edge_address, farm.record.issuer_url)
    source = SourceOptions(width=160, height=90, pictures_per_s=10)
    async with AsyncExitStack() as cleanup:
        caller, callee = [
            await cleanup.enter_async_context(
                person(edge, f"{name}-{secrets.token_hex(4)}", source, source.tone_hz, DEADLINE_S)
            )
            for name in ("caller", "callee")
        ]
        request = messaging.CreateDirectConversationRequest(peer_user_id=callee.user_id)
        conversation = (await caller.device.messaging.CreateDirectConversation(request)).conversation
        call = await caller.phone.start(conversation.conversation_id)
        await caller.phone.join_media()
        await callee.phone.until_ring(DEADLINE_S)
        await callee.phone.accept(call.call_id)
        await callee.phone.join_media()
        await asyncio.gather(*(side.phone.media.until_media(DEADLINE_S) for side in (caller, callee)))
        made = Talk(farm, call.call_id, (caller, callee))
        await made.until_more(1000)
        yield made


async def test_an_operator_moves_a_call_and_nobody_is_interrupted(talk: Talk) -> None:
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


async def test_an_operator_sets_a_worker_aside_and_nobody_is_interrupted(talk: Talk) -> None:
    former = await talk.worker()
    drained = await talk.operations("DrainWorker", operations_pb2.DrainWorkerRequest(worker_id=former))
    assert drained.calls_left == 0
    await talk.until_moved(former)
    await talk.until_let_go()
    await talk.operations("DrainWorker", operations_pb2.DrainWorkerRequest(worker_id=former, undo=True))
    report("operator_drain", talk.gaps())


async def test_a_worker_that_stops_hands_its_calls_over_and_then_goes(farm: RunningStack, talk: Talk) -> None:
    former = await talk.worker()
    pid = farm.kill(former, signal.SIGTERM)
    await talk.until_moved(former)
    # It waited for its calls alone, not for its deadline.
    await asyncio.to_thread(farm.wait_for_restart, former, pid, DEADLINE_S)
    await talk.until_let_go()
    report("drain", talk.gaps())


async def test_a_worker_that_is_killed_loses_its_calls_for_a_moment_only(farm: RunningStack, talk: Talk) -> None:
    former = await talk.worker()
    pid = farm.kill(former)
    await talk.until_moved(former)
    report("crash", talk.gaps())
    await asyncio.to_thread(farm.wait_for_restart, former, pid, DEADLINE_S)


async def test_a_worker_that_hangs_loses_its_calls_for_some_seconds_only(farm: RunningStack, talk: Talk) -> None:
    former = await talk.worker()
    pid = farm.kill(former, signal.SIGSTOP)
    try:
        # Nothing breaks off, and it was heard of just now: its silence alone tells.
        await talk.until_moved(former)
    finally:
        farm.kill(former, signal.SIGCONT)
    assert farm.record.pids[former] == pid
    report("hang", talk.gaps())


async def test_a_call_that_does_not_run_cannot_be_moved(talk: Talk) -> None:
    await talk.sides[0].phone.hang_up()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await talk.operations("MoveCall", operations_pb2.MoveCallRequest(call_id=talk.call_id))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
