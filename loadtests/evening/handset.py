"""A person's devices: each a connection of its own through the edge, with its event stream, as a phone has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from parley.gateway.v1 import messages_pb2 as events
from parley.messaging.v1 import messages_pb2, service_pb2

from loadtests.evening.tally import StreamCheck
from parley_client.client import Device, Edge, TokenSource, http_login
from parley_client.stream import EventStream

# From the moment at which the app is opened. Raising it waits longer for a stack that is overloaded; lowering it counts
# slow sessions as failed ones.
CURRENT_WITHIN_S = 30.0
# What one request may name.
_MOST_CURSORS = 100

Heard = Callable[["Handset", events.DeviceEvent, float], None]


class Handset:
    """One device of a person, for one session: it begins with nothing, as a page in a browser does."""

    def __init__(self, edge: Edge, user_id: str, device_id: str, tokens: TokenSource, hear: Heard) -> None:
        self.user_id = user_id
        self.name = f"{user_id}/{device_id}"
        self.device = Device(edge, user_id, device_id, tokens)
        self.stream = EventStream(self.device, on_event=lambda event, now_s: hear(self, event, now_s))
        self.check = StreamCheck()
        # What has come and was not yet said to have come: the highest seq by conversation.
        self.delivered: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        await self.stream.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stream.__aexit__(None, None, None)
        await self.device.close()

    @property
    def is_current(self) -> bool:
        """Whether it is told of everything now."""
        return self.stream.is_current

    async def tell_delivered(self) -> None:
        """Says what has come, in one request."""
        taken = dict(list(self.delivered.items())[:_MOST_CURSORS])
        for key in taken:
            del self.delivered[key]
        cursors = [messages_pb2.Cursor(conversation_id=key, seq=seq) for key, seq in taken.items()]
        await self.device.messaging.MarkDelivered(service_pb2.MarkDeliveredRequest(cursors=cursors))


@dataclass
class Person:
    """One of the town, and where their phone is."""

    number: int
    user_id: str
    tokens: TokenSource
    handsets: list[Handset] = field(default_factory=list)
    # There is a session, or one is being opened; `has_opened` is set once its devices are current, or have failed.
    is_open: bool = False
    has_opened: asyncio.Event = field(default_factory=asyncio.Event)
    is_closing: bool = False
    # After the call.
    wants_to_close: bool = False
    # Of opening and closing.
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    # When the next session is due; an earlier plan is passed over.
    next_open_s: float = 0.0
    # What is being done in the session.
    doings: set[asyncio.Task[None]] = field(default_factory=set)
    in_call: bool = False
    # By place: the seq that is to be read, while somebody reads.
    reading: dict[int, int] = field(default_factory=dict)

    @property
    def phone(self) -> Handset:
        """The first device. Only while somebody `is_there`."""
        return self.handsets[0]

    @property
    def is_there(self) -> bool:
        """Whether there is a device that is told of everything."""
        return bool(self.handsets)


def new_person(edge: Edge, number: int, mark: str) -> Person:
    """Somebody whom no other run has."""
    user_id = f"eve-{mark}-{number}"
    return Person(number, user_id, TokenSource(user_id, http_login(edge.issuer_url, ttl_s=86_400)))
