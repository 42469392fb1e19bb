"""PostgreSQL, the broker and replicas of the services are stopped and killed in turn while a group writes: whatever was
acknowledged stands once, at one place, on every device."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise

import pytest
from parley.messaging.v1 import service_pb2 as messaging

from parley_client.client import Device, Edge
from parley_client.conversations import delivery_faults, order_differences
from parley_client.stream import EventStream
from tests.support.sender import SteadySender
from tests.support.stack import RunningStack, run_stack
from tests.support.waiting import PATIENCE_S

pytestmark = pytest.mark.restarts

# Two of those whose consumers share the partitions: each end of one gives its part to the other.
REPLICAS = {"messaging": 2, "presence": 2}
PARTS = ("postgres", "broker", "issuer", "messaging", "presence", "gateway", "signaling", "edge")
# Each with the signal that stops it in good order.
STOPS = {
    "postgres": signal.SIGINT,
    "broker": signal.SIGTERM,
    "messaging-1": signal.SIGTERM,
    "presence-1": signal.SIGTERM,
}
KILLS = dict.fromkeys(["postgres", "broker", "messaging-2", "presence-2"], signal.SIGKILL)
PEOPLE = 3
SENT_BETWEEN = 5


@dataclass
class Group:
    """People in one group, each online with one device."""

    edge: Edge
    conversation_id: str
    devices: Sequence[Device]
    streams: Sequence[EventStream]


@pytest.fixture(scope="module")
def replicated() -> Iterator[RunningStack]:
    with run_stack("faults-restarts", parts=PARTS, replicas=REPLICAS) as running:
        yield running


@pytest.fixture
async def group(replicated: RunningStack) -> AsyncIterator[Group]:
    edge = Edge(replicated.record.edge_address, replicated.record.issuer_url)
    async with AsyncExitStack() as cleanup:
        devices, streams = [], []
        for number in range(PEOPLE):
            device = Device(edge, f"person-{number}-{secrets.token_hex(4)}", "the-phone")
            cleanup.push_async_callback(device.close)
            stream = await cleanup.enter_async_context(EventStream(device))
            await stream.until_current(PATIENCE_S)
            devices.append(device)
            streams.append(stream)
        request = messaging.CreateGroupRequest(
            client_conversation_id="g", title="Faults", user_ids=[device.user_id for device in devices[1:]]
        )
        made = (await devices[0].messaging.CreateGroup(request)).conversation
        yield Group(edge, made.conversation_id, devices, streams)


@pytest.mark.parametrize("faults", [STOPS, KILLS], ids=["stopped", "killed"])
async def test_what_was_acknowledged_stands_once_in_one_order_on_every_device_after_each_of_them_was(
    replicated: RunningStack, group: Group, faults: dict[str, signal.Signals]
) -> None:
    async with AsyncExitStack() as sending:
        senders = [
            await sending.enter_async_context(SteadySender(device, group.conversation_id)) for device in group.devices
        ]
        await _until_each_sent(senders)
        for name, how in faults.items():
            old_pid = replicated.kill(name, how)
            await asyncio.to_thread(replicated.wait_for_restart, name, old_pid, PATIENCE_S)
            await _until_each_sent(senders)
        for sender in senders:
            await sender.stop()
    acknowledged = [entry for sender in senders for entry in sender.acknowledged]
    # Nothing is sent that is not acknowledged in the end, so that nothing else may stand; 1 is the line of the start.
    assert sorted(seq for _, seq in acknowledged) == list(range(2, len(acknowledged) + 2))
    await _assert_every_device_has(group, acknowledged)
    assert sorted(await _stored(group)) == sorted((key, seq) for key, seq in acknowledged)


async def _until_each_sent(senders: Sequence[SteadySender]) -> None:
    await asyncio.gather(*(sender.until_acknowledged(SENT_BETWEEN, PATIENCE_S) for sender in senders))


async def _assert_every_device_has(group: Group, acknowledged: Sequence[tuple[str, int]]) -> None:
    """Those that were online all the time, and one that only comes now."""
    late = Device(group.edge, group.devices[0].user_id, "the-tablet", group.devices[0].tokens)
    last = max(seq for _, seq in acknowledged)
    async with AsyncExitStack() as cleanup:
        cleanup.push_async_callback(late.close)
        streams = [*group.streams, await cleanup.enter_async_context(EventStream(late))]
        histories = []
        for stream in streams:
            known = stream.inbox.conversations
            await stream.until(
                lambda known=known: known.history(group.conversation_id).cursor >= last,  # type: ignore[misc]
                PATIENCE_S,
                f"seq {last}",
            )
            histories.append(known.history(group.conversation_id))
    for history in histories:
        assert delivery_faults(history, acknowledged) == []
    assert [order_differences(one, other) for one, other in pairwise(histories)] == [[]] * (len(histories) - 1)


async def _stored(group: Group) -> list[tuple[str, int]]:
    """(client_message_id, seq) of each text that stands."""
    found: list[tuple[str, int]] = []
    before = 0
    while True:
        request = messaging.ListMessagesRequest(conversation_id=group.conversation_id, before_seq=before, page_size=200)
        page = await group.devices[0].messaging.ListMessages(request)
        found += [(message.client_message_id, message.seq) for message in page.messages if message.HasField("text")]
        if not page.has_more:
            return found
        before = page.messages[-1].seq
