"""A TLS front before something that speaks in clear; its certificates are of an authority of the test's own."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc

from deploy.certificates import Authority, Pem

__all__ = ["HOST", "Authority", "Pem", "overheard", "postgres_front", "tls_front"]

HOST = "127.0.0.1"
_SSL_REQUEST = struct.pack(">II", 8, 80877103)
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def tls_front(port: int, to_port: int, server: Pem, clients: Path) -> AsyncIterator[None]:
    """Takes TLS connections whose certificates `clients` has signed, and passes what they say on in clear."""
    context = _context(server)
    context.load_verify_locations(clients)
    context.verify_mode = ssl.CERT_REQUIRED

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _carry_both_ways((reader, writer), await asyncio.open_connection(HOST, to_port))

    listener = await asyncio.start_server(serve, HOST, port, ssl=context)
    try:
        yield
    finally:
        listener.close()


@asynccontextmanager
async def postgres_front(port: int, socket: Path, server: Pem) -> AsyncIterator[ssl.SSLContext]:
    """Agrees to TLS as PostgreSQL does (SSLRequest), and passes what is said on to its socket in clear.

    What is loaded into the context later is shown to later connections, as after PostgreSQL's reload.
    """
    context = _context(server)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            if await reader.readexactly(8) == _SSL_REQUEST:
                writer.write(b"S")
                await writer.start_tls(context)
                await _carry_both_ways((reader, writer), await asyncio.open_unix_connection(socket))
        writer.close()

    listener = await asyncio.start_server(serve, HOST, port)
    try:
        yield context
    finally:
        listener.close()


def _context(server: Pem) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.key)
    return context


async def _carry_both_ways(one: _Streams, other: _Streams) -> None:
    await asyncio.gather(_carry(one[0], other[1]), _carry(other[0], one[1]))


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await source.read(65536):
            sink.write(chunk)
            await sink.drain()
    sink.close()


@asynccontextmanager
async def overheard(
    credentials: grpc.ServerCredentials | None, *adds: Callable[[grpc.aio.Server], None]
) -> AsyncIterator[tuple[str, list[str]]]:
    """A server of these services, its address, and the calls that reached it. None: it listens in clear text."""
    heard: list[str] = []

    class Ear(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Callable[..., Any], details: Any) -> Any:
            heard.append(details.method)
            return await continuation(details)

    server = grpc.aio.server(interceptors=[Ear()])
    for add in adds:
        add(server)
    address = f"{HOST}:0"
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    await server.start()
    try:
        yield f"{HOST}:{port}", heard
    finally:
        await server.stop(0)
