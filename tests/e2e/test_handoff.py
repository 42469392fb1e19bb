"""A call between two browsers moves to another media worker, and nobody has to reconnect."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from parley.calls.v1 import operations_pb2, operations_pb2_grpc

from deploy.embedded.record import StackRecord
from services.runtime.auth import ServiceTokens
from services.runtime.clock import SystemClock
from services.runtime.rpc import connect
from tests.e2e.conftest import SCREENSHOTS, find_chromium
from tests.support.stack import RunningStack, run_stack

SCRIPT_TIMEOUT_S = 150.0


@pytest.fixture(scope="module")
def farm() -> Iterator[RunningStack]:
    """A stack with two media workers."""
    with run_stack("e2e-handoff", replicas={"sfu": 2}) as running:
        yield running


async def move_the_call(record: StackRecord) -> None:
    """As an operator does it."""
    database = await asyncpg.connect(record.database_urls["parley_signaling"])
    call_id = await database.fetchval("SELECT call_id FROM calls WHERE state = 'active'")
    await database.close()
    tokens = ServiceTokens(base64.b64decode(record.service_key), "ops", SystemClock())
    async with connect(record.grpc_addresses["signaling"], tokens) as channel:
        stub: Any = operations_pb2_grpc.CallOperationsServiceStub(channel)
        moved = await stub.MoveCall(operations_pb2.MoveCallRequest(call_id=str(call_id)), timeout=10)
    assert moved.media_epoch == 1


@pytest.mark.timeout(400)
def test_both_screens_go_on_without_a_word_of_reconnecting(farm: RunningStack) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    command = ["node", str(Path(__file__).with_name("handoff.mjs")), farm.record.web_url, find_chromium()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as browsers:
        assert browsers.stdout
        first_line = browsers.stdout.readline()
        if first_line.strip() == "in call":
            asyncio.run(move_the_call(farm.record))
        rest, _ = browsers.communicate("moved\n", timeout=SCRIPT_TIMEOUT_S)
    facts = json.loads(rest or first_line)
    (SCREENSHOTS / "handoff-facts.json").write_text(json.dumps(facts, indent=2))
    assert "failure" not in facts, facts["failure"]
    assert [side["reconnecting"] for side in facts["sides"]] == [False, False]
    assert facts["faults"] == []
