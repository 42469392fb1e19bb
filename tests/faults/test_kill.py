"""kill -9 of each process of the stack while a client sends: it is restarted, clients reconnect, nothing is missing."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
from parley.messaging.v1 import service_pb2 as messaging

from parley_client.client import Device, Edge
from parley_client.delivery_checks import delivery_faults, order_differences
from parley_client.stream import EventStream
from tests.support.sender import SteadySender
from tests.support.stack import RunningStack
from tests.support.waiting import PATIENCE_S

SERVICES = ["messaging", "presence", "gateway", "signaling", "webhooks", "push", "sfu", "web"]
# What the services stand on. The broker comes back with nothing of what it held.
FOUNDATIONS = ["postgres", "broker", "edge", "issuer"]
SENT_BEFORE = 10
SENT_AFTER = 20


@dataclass
class Pair:
    """Two people in one conversation, both online."""

    conversation_id: str
    devices: tuple[Device, Device]
    streams: tuple[EventStream, EventStream]


@pytest.fixture
async def pair(faulty: RunningStack) -> AsyncIterator[Pair]:
    record = faulty.record
    edge = Edge(record.edge_address, record.issuer_url)
    async with AsyncExitStack() as cleanup:
        devices, streams = [], []
        for name in ("alice", "bob"):
            device = Device(edge, f"{name}-{secrets.token_hex(4)}", f"{name}-phone")
            cleanup.push_async_callback(device.close)
            stream = await cleanup.enter_async_context(EventStream(device))
            await stream.until_current(PATIENCE_S)
            devices.append(device)
            streams.append(stream)
        request = messaging.CreateDirectConversationRequest(peer_user_id=devices[1].user_id)
        conversation = (await devices[0].messaging.CreateDirectConversation(request)).conversation
        yield Pair(conversation.conversation_id, (devices[0], devices[1]), (streams[0], streams[1]))


@pytest.mark.parametrize("name", [*SERVICES, *FOUNDATIONS])
async def test_after_a_kill_messages_come_live_again_and_none_that_was_acknowledged_is_missing(
    faulty: RunningStack, pair: Pair, name: str
) -> None:
    receiver = pair.streams[1]
    async with SteadySender(pair.devices[0], pair.conversation_id) as sender:
        await sender.until_acknowledged(SENT_BEFORE, PATIENCE_S)
        old_pid = faulty.kill(name)
        await asyncio.to_thread(faulty.wait_for_restart, name, old_pid, PATIENCE_S)
        sent_before = len(sender.acknowledged)
        await sender.until_acknowledged(SENT_AFTER, PATIENCE_S)
        # What comes by the event stream has a time of arrival; what Sync brings has none.
        await receiver.until(
            lambda: any(seq > sent_before for _, seq in receiver.inbox.message_arrived_s),
            PATIENCE_S,
            "a message by the event stream",
        )
        await sender.stop()
    await _until_all_have(pair, len(sender.acknowledged))
    histories = [stream.inbox.conversations.history(pair.conversation_id) for stream in pair.streams]
    for history in histories:
        assert delivery_faults(history, sender.acknowledged) == []
    assert order_differences(*histories) == []
    assert [seq for _, seq in sender.acknowledged] == list(range(1, len(sender.acknowledged) + 1))


async def _until_all_have(pair: Pair, seq: int) -> None:
    for stream in pair.streams:
        known = stream.inbox.conversations
        await stream.until(
            lambda known=known: known.history(pair.conversation_id).cursor >= seq,  # type: ignore[misc]
            PATIENCE_S,
            f"seq {seq}",
        )
