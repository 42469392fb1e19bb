"""Providers of notices that speak the real protocols, check what they are sent as the real ones do, and can fail.

Each has devices, of which it knows what their screens show: by what collapses, the newest takes the place of the older.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import serialization

from deploy.certificates import Pem
from tests.support.http2_server import HOST, Http2Server, Reply, Request


def pem_of(key: Any) -> str:
    """As files of providers hold it."""
    encoded: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return encoded.decode()


@dataclass(frozen=True)
class Arrival:
    """One notice that a device was given."""

    token: str
    # What collapses.
    key: str
    fields: dict[str, Any]
    headers: dict[str, str]


class Refused(Exception):
    """What is answered to a request that is wrong."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply)
        self.reply = reply


@dataclass
class Provider(ABC):
    """What all of them have: devices, arrivals, and faults that a test orders."""

    certificate: Pem
    arrivals: list[Arrival] = field(default_factory=list)
    # Requests that came, whatever became of them.
    asked: int = 0
    # Tokens that reach nothing any more.
    gone: set[str] = field(default_factory=set)
    # The next requests are answered by these, in order, and do nothing.
    next_replies: list[Reply] = field(default_factory=list)
    # After it has taken a notice, the answer is lost for so many.
    lose_answers: int = 0
    is_down: bool = False
    # While it is not set, requests hang.
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()
        self.server = Http2Server(self.handle, self.certificate)

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.server.port}"

    def screen(self, token: str) -> dict[str, dict[str, Any]]:
        """What a device shows, by thread."""
        shown: dict[str, dict[str, Any]] = {}
        for one in self.arrivals:
            if one.token == token:
                shown.pop(one.fields["thread"], None)
                if one.fields["type"] == "notice":
                    shown[one.fields["thread"]] = one.fields
        return shown

    def of(self, token: str) -> list[dict[str, Any]]:
        """All that a device was sent."""
        return [one.fields for one in self.arrivals if one.token == token]

    async def handle(self, request: Request) -> Reply:
        self.asked += 1
        await self.open.wait()
        if self.is_down:
            return Reply(503)
        if self.next_replies:
            return self.next_replies.pop(0)
        before = len(self.arrivals)
        try:
            reply = self.take(request)
        except Refused as refused:
            return refused.reply
        if self.lose_answers and len(self.arrivals) > before:
            self.lose_answers -= 1
            await asyncio.Event().wait()
        return reply

    @abstractmethod
    def take(self, request: Request) -> Reply:
        """What this provider says to a request. Raises Refused."""


def require(is_right: bool, reply: Reply) -> None:
    """Raises Refused."""
    if not is_right:
        raise Refused(reply)
