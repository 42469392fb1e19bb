"""What a test leaves behind in the loop that all tests share is found, named and ended."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2_grpc

from tests.support.leftovers import Ledger, own

SOON_S = 0.05


class Careless:
    """Makes things for a test that is not this one, and never ends them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def make(self, owner: str) -> None:
        # In a task of its own, so that what this test makes itself stays its own.
        await asyncio.create_task(self._make(owner))

    async def _make(self, owner: str) -> None:
        own(owner)
        self.server = grpc.aio.server()
        health_pb2_grpc.add_HealthServicer_to_server(health_pb2_grpc.HealthServicer(), self.server)
        port = self.server.add_insecure_port("127.0.0.1:0")
        await self.server.start()
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self.task = asyncio.create_task(asyncio.Event().wait())


async def test_a_task_a_server_and_a_channel_are_found_and_ended(ledger: Ledger) -> None:
    careless = Careless(ledger)
    await careless.make("careless")
    left = await ledger.settle("careless", SOON_S)
    assert any("_server_main_loop" in each for each in left), left
    assert any("Event.wait" in each for each in left)
    assert any("a channel that is not closed" in each for each in left)
    assert careless.task.cancelled()
    assert careless.channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN
    timed_out = await careless.server.wait_for_termination(SOON_S)
    assert not timed_out
    assert await ledger.settle("careless", SOON_S) == []


async def test_what_ends_by_itself_and_what_is_anothers_is_not_left_behind(ledger: Ledger) -> None:
    careless = Careless(ledger)
    await careless.make("careless")
    asyncio.get_running_loop().call_soon(careless.task.cancel)
    await careless.channel.close()
    await careless.server.stop(None)
    assert await ledger.settle("careful", SOON_S) == []
    assert await ledger.settle("careless") == []


@pytest.mark.parametrize("kept", [True, False])
async def test_a_channel_counts_whether_or_not_somebody_keeps_it(ledger: Ledger, kept: bool) -> None:
    async def open_one() -> grpc.aio.Channel | None:
        own("careless")
        channel = grpc.aio.insecure_channel("127.0.0.1:9")
        return channel if kept else None

    _ = await asyncio.create_task(open_one())
    assert len(await ledger.settle("careless", SOON_S)) == 1
