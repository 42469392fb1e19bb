"""DTLS and its data channel between two ends in memory."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from services.sfu.core.wire.answer import SCTP_PORT
from services.sfu.dtls import Certificate, Channel, DtlsConnection, Role
from tests.support.waiting import until

CERTIFICATE = Certificate.generateCertificate()


class End:
    """One end: its connection, its channel, what came; until it is cut off, it delivers to the other."""

    def __init__(self, role: Role) -> None:
        self.other: End | None = None
        self.is_cut = self.is_up = self.is_open = False
        self.received: list[bytes] = []
        self.refused: list[str] = []
        self.now_s = 0.0
        self.channel: Channel | None = None
        self.connection = DtlsConnection(
            CERTIFICATE, CERTIFICATE.fingerprint(), self._send, lambda _: setattr(self, "is_up", True), _ignore, role
        )

    def _send(self, datagram: bytes) -> None:
        if self.other is not None and not self.is_cut:
            self.other.connection.receive(datagram)

    async def open_channel(self) -> None:
        self.channel = self.connection.open_channel(
            lambda: setattr(self, "is_open", True), self.received.append, self.refused.append, lambda: self.now_s
        )
        await self.channel.start(SCTP_PORT)

    def send(self, message: bytes) -> bool:
        assert self.channel is not None
        return self.channel.send(message)

    async def close(self) -> None:
        if self.channel is not None:
            await self.channel.stop()
        await self.connection.close()


def _ignore() -> None:
    """Nobody waits for the end."""


async def connected() -> tuple[End, End]:
    """Server and client, with their channels open."""
    server, client = End("server"), End("client")
    await connect(server, client)
    return server, client


async def connect(server: End, client: End) -> None:
    server.other, client.other = client, server
    await until(lambda: server.is_up and client.is_up, what="DTLS")
    for end in (server, client):
        await end.open_channel()
    await until(lambda: server.is_open and client.is_open, what="the channel")


async def talk_and_close() -> "weakref.ref[End]":
    """What is left of a server that closed after it had spoken."""
    server, client = await connected()
    assert server.send(b"map")
    await until(lambda: client.received == [b"map"], what="the message")
    await server.close()
    await client.close()
    return weakref.ref(server)


async def close_before_sending_again() -> "weakref.ref[End]":
    """What is left of a server that closed in the turn of the loop in which it was to send again."""
    server, client = await connected()
    closing: list[asyncio.Task[None]] = []

    def close_first(
        loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        if getattr(coroutine, "__name__", "") == "_transmit" and not closing:
            closing.append(asyncio.Task(server.close(), loop=loop))
        return asyncio.Task(coroutine, loop=loop, **options)

    # Nothing is acknowledged any more.
    server.is_cut = client.is_cut = True
    loop = asyncio.get_running_loop()
    # That of the tests' ledger, which sees nothing more without it.
    factory = loop.get_task_factory()
    loop.set_task_factory(close_first)  # type: ignore[arg-type]
    assert server.send(b"lost")
    await until(lambda: closing and closing[0].done(), what="the time to send again")
    loop.set_task_factory(factory)
    await client.close()
    return weakref.ref(server)


@pytest.mark.parametrize("live", [talk_and_close, close_before_sending_again])
async def test_an_end_that_is_closed_is_forgotten_with_all_that_it_held(
    live: Callable[[], Awaitable["weakref.ref[End]"]],
) -> None:
    remains = await live()
    await until(lambda: gc.collect() >= 0 and remains() is None, what="the end of all that refers to it")


class Bundling(End):
    """An end that keeps its records back, to send many in one datagram."""

    is_bundling = False

    def __init__(self, role: Role) -> None:
        self.kept: list[bytes] = []
        super().__init__(role)

    def _send(self, datagram: bytes) -> None:
        if self.is_bundling:
            self.kept.append(datagram)
        else:
            super()._send(datagram)


async def test_all_records_of_a_datagram_are_read_and_none_is_left_to_pile_up() -> None:
    """OpenSSL is asked for one record at a time: the rest of a datagram would wait for ever."""
    server, client = End("server"), Bundling("client")
    await connect(server, client)
    client.is_bundling = True
    for turn in range(20):
        client.now_s = server.now_s = float(turn)
        for number in range(10):
            assert client.send(b"%d" % (10 * turn + number))
        await until(lambda: len(client.kept) >= 10, what="a record for each")
        # What the client sends again meanwhile stays with it.
        datagram, client.kept = b"".join(client.kept), []
        server.connection.receive(datagram)
        await until(lambda turn=turn: len(server.received) == 10 * (turn + 1), what="all records are read")  # type: ignore[misc]
    assert server.received == [b"%d" % number for number in range(200)]
    client.is_bundling = False
    await asyncio.gather(server.close(), client.close())
