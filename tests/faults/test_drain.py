"""SIGTERM of a gateway with devices on it: each is told when to come again, and the process ends within its grace."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from parley.gateway.v1 import service_pb2 as gateway

from parley_client.client import Device, Edge
from parley_client.delivery_checks import delivery_faults
from parley_client.error_details import reason_of, retry_delay_s
from parley_client.stream import EventStream
from tests.integration.api.conftest import open_direct, read_to_the_end, send
from tests.support.stack import RunningStack
from tests.support.waiting import PATIENCE_S

pytestmark = pytest.mark.outages

DEVICES = 10


async def test_a_gateway_that_is_told_to_stop_tells_each_device_its_own_delay_and_loses_nothing(
    faulty: RunningStack,
) -> None:
    record = faulty.record
    edge = Edge(record.edge_address, record.issuer_url)
    async with AsyncExitStack() as cleanup:
        devices = [Device(edge, f"drain-{secrets.token_hex(6)}", "drain-phone") for _ in range(DEVICES)]
        for device in devices:
            cleanup.push_async_callback(device.close)
        follower = await cleanup.enter_async_context(EventStream(devices[0]))
        await follower.until_current(PATIENCE_S)
        conversation_id = await open_direct(devices[1], devices[0].user_id)
        calls = [await _subscribe(device) for device in devices[1:]]
        pid = record.pids["gateway"]
        os.kill(pid, signal.SIGTERM)
        message = await send(devices[1], conversation_id, "sent meanwhile")
        delays = [await _told(call) for call in calls]
        assert len(set(delays)) == len(delays)
        assert max(delays) > 3
        await asyncio.to_thread(faulty.wait_for_restart, "gateway", pid, PATIENCE_S)
        conversations = follower.inbox.conversations
        await follower.until(
            lambda: conversations.history(conversation_id).cursor >= message.seq, PATIENCE_S, "the message"
        )
        acknowledged = [(message.client_message_id, message.seq)]
        assert delivery_faults(conversations.history(conversation_id), acknowledged) == []


async def _subscribe(device: Device) -> Any:
    call = device.gateway.Subscribe(gateway.SubscribeRequest(device_id=device.device_id))
    async with asyncio.timeout(PATIENCE_S):
        await call.read()
    return call


async def _told(call: Any) -> float:
    """The delay that a device is told, in seconds."""
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        async with asyncio.timeout(PATIENCE_S):
            await read_to_the_end(call)
    assert (ended.value.code(), reason_of(ended.value)) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    return retry_delay_s(ended.value)
