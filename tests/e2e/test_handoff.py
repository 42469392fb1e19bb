"""A call between two browsers moves to another media worker, and nobody has to reconnect.

The gaps are measured and reported (the test's output, build/e2e/handoff-facts.json), not judged: they are this
machine's as much as ours, so that the gaps before the move stand beside them.
"""

from __future__ import annotations

import asyncio
import base64
import signal
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from parley.calls.v1 import operations_pb2, operations_pb2_grpc

from deploy.embedded.record import StackRecord
from services.runtime.auth import ServiceTokens
from services.runtime.clock import SystemClock
from services.runtime.rpc import connect
from tests.e2e.conftest import Farm, run_script, whole

MOVES = ("operator", "drain")


async def operate(record: StackRecord, method: str, request: type[Any]) -> Any:
    """Asks signaling about the newest call that runs, as an operator does."""
    database = await asyncpg.connect(record.database_urls["parley_signaling"])
    call_id = await database.fetchval("SELECT call_id FROM calls WHERE state = 'active' ORDER BY call_id DESC")
    await database.close()
    tokens = ServiceTokens(base64.b64decode(record.service_key), "ops", SystemClock())
    async with connect(record.grpc_addresses["signaling"], tokens) as channel:
        stub: Any = operations_pb2_grpc.CallOperationsServiceStub(channel)
        return await getattr(stub, method)(request(call_id=str(call_id)), timeout=10)


def move(farm: Farm) -> None:
    """An operator says so."""
    moved = asyncio.run(operate(farm.stack.record, "MoveCall", operations_pb2.MoveCallRequest))
    assert moved.media_epoch == 1


def drain(farm: Farm) -> None:
    """The worker that carries the call is asked to stop, as a rolling update does."""
    located = asyncio.run(operate(farm.stack.record, "LocateCall", operations_pb2.LocateCallRequest))
    farm.stack.kill(str(located.worker_id), signal.SIGTERM)


@pytest.mark.timeout(400)
def test_handoff_during_a_call_goes_on_without_a_word_of_reconnecting(farm: Farm, say: Callable[[str], None]) -> None:
    coming = iter((move, drain))
    facts = whole(run_script("handoff.mjs", farm.web_url, *MOVES, cue=lambda: next(coming)(farm)))
    for name in MOVES:
        gaps, usual = ([side[which] for side in facts[name]] for which in ("gapMs", "usualMs"))
        say(f"handoff by {name}: longest gap between pictures {gaps} ms, as long before the move {usual} ms")
        assert [side["reconnecting"] for side in facts[name]] == [False, False]
    assert facts["faults"] == []
