"""A user with one device: its API, its event stream and its calls, opened and closed together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from parley_client.calls import Phone, Reroute
from parley_client.client import Device, Edge, TokenSource
from parley_client.entries import CallRecord
from parley_client.history import History
from parley_client.stream import EventStream
from parley_client.tracks import SourceOptions


@dataclass
class Session:
    """A user, the user's device, its stream and its phone."""

    device: Device
    stream: EventStream
    phone: Phone

    @property
    def user_id(self) -> str:
        """The social network's id."""
        return self.device.user_id

    def history(self, conversation_id: str) -> History:
        """The conversation as this side has it."""
        return self.stream.inbox.conversations.history(conversation_id)

    def call_record(self, conversation_id: str, call_id: str) -> CallRecord | None:
        """The record of the call in the conversation."""
        records = (entry.call for entry in self.history(conversation_id).shown)
        return next((record for record in records if record and record.call_id == call_id), None)


@asynccontextmanager
async def open_session(
    edge: Edge,
    user_id: str,
    source: SourceOptions | None = None,
    expected_hz: float = 440.0,
    deadline_s: float = 15.0,
    *,
    tokens: TokenSource | None = None,
    device_id: str = "",
    relay: str = "",
    reroute: Reroute = lambda answer: answer,
    reconnects: bool = False,
) -> AsyncIterator[Session]:
    """A user with one device whose stream is current within the deadline. Everything is closed in the end.

    `tokens`: of your network; without them the development issuer is asked. `source`: the test tone and the test
    picture that calls send; `expected_hz`: the tone that the other side sends.
    `relay`: the device's media goes through a TURN relay under this scheme, "turn" or "turns", or not at all.
    `reroute` changes the SDP answer. `reconnects`: it rejoins when its media is lost, as the web client does.
    """
    device = Device(edge, user_id, device_id or f"{user_id}-device", tokens)
    try:
        async with EventStream(device) as stream:
            phone = Phone(
                device,
                stream,
                source,
                expected_hz,
                relay=relay,
                reroute=reroute,
                reconnects=reconnects,
            )
            try:
                await stream.until_current(deadline_s)
                yield Session(device, stream, phone)
            finally:
                await phone.close()
    finally:
        await device.close()
