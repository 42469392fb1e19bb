"""Two people who write to each other, and the proof that each has all of it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from parley.messaging.v1 import service_pb2 as messaging

from deploy.embedded.record import StackRecord
from parley_client.client import Device, Edge
from parley_client.delivery_checks import delivery_faults
from parley_client.stream import EventStream
from tests.support.sender import SteadySender
from tests.support.waiting import PATIENCE_S

Acknowledged = list[tuple[str, int]]


class Pair:
    """Two people who write to each other, each by the messaging replica that the edge chose."""

    def __init__(self, record: StackRecord) -> None:
        edge = Edge(record.edge_address, record.issuer_url)
        self.devices = [Device(edge, f"user-{secrets.token_hex(6)}", f"device-{secrets.token_hex(4)}") for _ in "ab"]
        self.streams: list[EventStream] = []
        self.conversation_id = ""

    async def meet(self, cleanup: AsyncExitStack) -> None:
        """Opens the conversation, and both streams."""
        for device in self.devices:
            cleanup.push_async_callback(device.close)
        one, other = self.devices
        request = messaging.CreateDirectConversationRequest(peer_user_id=other.user_id)
        created = await one.messaging.CreateDirectConversation(request)
        self.conversation_id = created.conversation.conversation_id
        for device in self.devices:
            stream = await cleanup.enter_async_context(EventStream(device))
            await stream.until_current(PATIENCE_S)
            self.streams.append(stream)

    @asynccontextmanager
    async def writing(self, acknowledged: Acknowledged) -> AsyncIterator[list[SteadySender]]:
        """Both write at the same time, for the length of the block. What was acknowledged is added in the end."""
        async with AsyncExitStack() as sending:
            senders = [
                await sending.enter_async_context(SteadySender(device, self.conversation_id, secrets.token_hex(4)))
                for device in self.devices
            ]
            try:
                yield senders
            finally:
                for sender in senders:
                    await sender.stop()
                    acknowledged += sender.acknowledged

    async def write(self, count: int) -> Acknowledged:
        """Both write so many at least, at the same time. What was acknowledged."""
        acknowledged: Acknowledged = []
        async with self.writing(acknowledged) as senders:
            for sender in senders:
                await sender.until_acknowledged(count, PATIENCE_S)
        return acknowledged

    async def until_read(self, acknowledged: Acknowledged) -> None:
        """Waits until both have all of it, and by their streams. Raises AssertionError for what is wrong with it."""
        await self._until(acknowledged, self._live)

    async def until_known(self, acknowledged: Acknowledged) -> None:
        """As `until_read`, also by Sync."""
        await self._until(acknowledged, self._known)

    async def _until(self, acknowledged: Acknowledged, found: Callable[[EventStream], set[int]]) -> None:
        wanted = {seq for _, seq in acknowledged}
        for stream in self.streams:
            await stream.until(
                lambda stream=stream: wanted <= found(stream),  # type: ignore[misc]
                PATIENCE_S,
                "all that was acknowledged",
                lambda stream=stream: len(found(stream)),  # type: ignore[misc]
            )
            assert delivery_faults(stream.inbox.conversations.history(self.conversation_id), acknowledged) == []

    def _live(self, stream: EventStream) -> set[int]:
        """What the stream itself has brought, and not Sync."""
        return {seq for id_, seq in stream.inbox.message_arrived_s if id_ == self.conversation_id}

    def _known(self, stream: EventStream) -> set[int]:
        history = stream.inbox.conversations.history(self.conversation_id)
        return {entry.seq for entry in history.shown}
