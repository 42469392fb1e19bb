"""Users, devices and refusals for the black-box tests of the API. Every test brings users of its own."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from parley.messaging.v1 import messages_pb2 as messages
from parley.messaging.v1 import service_pb2 as messaging

from deploy.embedded.record import StackRecord
from parley_client.calls import Phone
from parley_client.client import Device, Edge
from parley_client.error_details import fields_of, reason_of
from parley_client.stream import EventStream
from parley_client.tracks import SourceOptions
from tests.support.stack import RunningStack
from tests.support.waiting import PATIENCE_S

DEADLINE_S = PATIENCE_S
TINY = SourceOptions(width=160, height=90, pictures_per_s=10)


@pytest.fixture
def record(stack: RunningStack) -> StackRecord:
    """Where everything listens."""
    return stack.record


@pytest.fixture
def edge(record: StackRecord) -> Edge:
    """The address that clients know."""
    return Edge(record.edge_address, record.issuer_url)


def new_user() -> str:
    """A user id that no other test has."""
    return f"api-{secrets.token_hex(6)}"


@dataclass
class Online:
    """A device whose event stream runs."""

    device: Device
    stream: EventStream
    phone: Phone

    @property
    def user_id(self) -> str:
        return self.device.user_id

    async def until_seq(self, conversation_id: str, seq: int) -> None:
        """Waits until the device has everything up to this seq."""
        conversations = self.stream.inbox.conversations
        await self.stream.until(
            lambda: conversations.history(conversation_id).cursor >= seq,
            DEADLINE_S,
            f"seq {seq} at {self.device.device_id}",
        )


class World:
    """Makes devices and closes them at the end of the test."""

    def __init__(self, edge: Edge, cleanup: AsyncExitStack) -> None:
        self.edge = edge
        self._cleanup = cleanup

    def device(self, user_id: str = "", name: str = "") -> Device:
        """A device of a user, of a new one when none is given."""
        user_id = user_id or new_user()
        device = Device(self.edge, user_id, name or f"device-{secrets.token_hex(4)}")
        self._cleanup.push_async_callback(device.close)
        return device

    async def online(self, user_id: str = "", name: str = "", *, reconnects: bool = False) -> Online:
        """A device whose stream is ready and synced; `reconnects`: see `Phone`."""
        device = self.device(user_id, name)
        stream = await self._cleanup.enter_async_context(EventStream(device))
        phone = Phone(device, stream, TINY, reconnects=reconnects)
        self._cleanup.push_async_callback(phone.close)
        await stream.until_current(DEADLINE_S)
        return Online(device, stream, phone)

    async def pair(self) -> tuple[Device, Device, str]:
        """Two users and their conversation."""
        one, other = self.device(), self.device()
        return one, other, await open_direct(one, other.user_id)

    async def pair_online(self, *, reconnects: bool = False) -> tuple[Online, Online, str]:
        """Two users with their streams running, and their conversation."""
        one, other = await self.online(reconnects=reconnects), await self.online(reconnects=reconnects)
        return one, other, await open_direct(one.device, other.user_id)


@pytest.fixture
async def world(edge: Edge) -> AsyncIterator[World]:
    """The devices of this test."""
    async with AsyncExitStack() as cleanup:
        yield World(edge, cleanup)


async def open_direct(device: Device, peer_user_id: str) -> str:
    """The conversation of a device's user and a peer."""
    request = messaging.CreateDirectConversationRequest(peer_user_id=peer_user_id)
    return (await device.messaging.CreateDirectConversation(request)).conversation.conversation_id


async def send(device: Device, conversation_id: str, text: str, client_message_id: str = "") -> messages.Message:
    """Sends a text and returns the stored message. Without an answer in time it is sent again, as clients do."""
    request = messaging.SendMessageRequest(
        conversation_id=conversation_id, client_message_id=client_message_id or secrets.token_hex(8)
    )
    request.text.text = text
    while True:
        try:
            return (await device.messaging.SendMessage(request)).message
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise


@dataclass
class Refusal:
    """What a refused call said; filled when the block ends."""

    reason: str = ""
    fields: tuple[str, ...] = ()


@contextmanager
def refused(code: grpc.StatusCode, reason: str = "") -> Iterator[Refusal]:
    """The block must be refused with this code, and with this reason if one is given."""
    refusal = Refusal()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        yield refusal
    error = raised.value
    refusal.reason, refusal.fields = reason_of(error), tuple(fields_of(error))
    assert (error.code(), refusal.reason if reason else "") == (code, reason), error.details()


async def read_to_the_end(call: Any) -> None:
    """Reads a stream until it ends; raises what ends it."""
    while await call.read() is not grpc.aio.EOF:
        pass
