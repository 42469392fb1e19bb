"""Connections that no library of ours watches end when their peer is gone: the kernel is told to find out."""

import asyncio
import socket
from asyncio import BaseTransport
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import asyncpg
import grpc
import pytest
from aiokafka import conn

from services.runtime import sockets
from services.runtime.grpc import channels
from services.runtime.kafka import connection as _kafka_connection  # noqa: F401 - it replaces the client's protocol
from services.runtime.postgres import connections
from services.runtime.postgres.connections import PooledConnection


@asynccontextmanager
async def connected(factory: Any = asyncio.Protocol) -> AsyncIterator[BaseTransport]:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(factory, *server.sockets[0].getsockname()[:2])
        yield transport
        transport.close()
    finally:
        server.close()


def is_watched(transport: BaseTransport) -> bool:
    its = transport.get_extra_info("socket")
    wanted = {
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): sockets.IDLE_S,
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): sockets.INTERVAL_S,
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): sockets.QUESTIONS,
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): sockets.UNACKNOWLEDGED_MS,
    }
    return {name: its.getsockopt(*name) for name in wanted} == wanted


async def test_a_connection_of_tcp_finds_out_that_its_peer_is_gone() -> None:
    async with connected() as transport:
        assert not is_watched(transport)
        sockets.find_dead_peer(transport)
        assert is_watched(transport)


async def test_a_unix_socket_is_left_as_it_is() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        transport: Any = SimpleNamespace(get_extra_info={"socket": ours}.get)
        sockets.find_dead_peer(transport)
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0


async def test_connections_to_the_broker_are_watched() -> None:
    closed = asyncio.get_running_loop().create_future()
    reader = asyncio.StreamReader()

    def protocol() -> Any:
        # As the client makes it, from the name in its own module.
        return conn.AIOKafkaProtocol(closed, reader, loop=asyncio.get_running_loop())

    async with connected(protocol) as transport:
        assert is_watched(transport)
    await closed


async def test_connections_to_postgresql_are_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("__init__", "__del__"):
        # What the library does with a session that there is not.
        monkeypatch.setattr(asyncpg.Connection, name, lambda *_: None)
    async with connected() as transport:
        PooledConnection(None, transport, asyncio.get_running_loop(), None, None, None)
        assert is_watched(transport)


async def test_a_statement_that_is_closed_on_the_way_to_another_one_has_its_limit_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The library waits for it without end: a connection whose server is gone would hold its user for good."""
    given_up: list[object] = []
    monkeypatch.setattr(connections, "STATEMENT_WITHIN_S", 0.01)
    monkeypatch.setattr(asyncpg.Connection, "terminate", lambda its: given_up.append(its))

    async def never(*_: Any) -> None:
        await asyncio.get_running_loop().create_future()

    connection = PooledConnection.__new__(PooledConnection)
    connection._stmts_to_close = {"evicted"}
    connection._protocol = SimpleNamespace(close_statement=never, is_connected=lambda: False)
    connection._aborted = True
    with pytest.raises(TimeoutError):
        await connection._cleanup_stmts()
    assert given_up == [connection]


def test_a_channel_asks_for_its_peer_also_while_nobody_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(grpc.aio, "insecure_channel", lambda _, options, **__: made.append(dict(options)))
    channels.connect("127.0.0.1:1", None)
    assert made[0]["grpc.keepalive_permit_without_calls"] == 1
    assert made[0]["grpc.keepalive_time_ms"] == channels.KEEPALIVE_MS
    # Of the two the first alone does not end a connection whose other end is behind a proxy.
    assert made[0]["grpc.keepalive_timeout_ms"] == made[0]["grpc.http2.ping_timeout_ms"] < channels.KEEPALIVE_MS
