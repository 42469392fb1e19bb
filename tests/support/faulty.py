"""A TCP server that is reached and is no help: it hangs, resets, trickles, answers wrongly or without an end."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum

HOST = "127.0.0.1"
_TRICKLE_S = 0.02
_CHUNK = b"[" * 65_536
_SENT_AT_ONCE = {
    "error": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
    "garbage": b"\x00\xff\xfe HTTP/9.9 no status\r\n\x00\r\n" * 8,
    "wrong": b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n["no keys", 1',
}


class Fault(Enum):
    """What the server does with a connection."""

    HANG = "hang"
    RESET = "reset"
    # One byte after the other: each read succeeds, and the answer never ends.
    TRICKLE = "trickle"
    ERROR = "error"
    GARBAGE = "garbage"
    # Well-formed HTTP whose body is not what was asked for.
    WRONG = "wrong"
    # An answer of status 200 whose body never ends.
    HUGE = "huge"


class FaultyServer:
    """Has `fault` now; without one it passes everything on to `upstream`. A change also counts for what is open."""

    def __init__(self, fault: Fault | None, upstream: tuple[str, int] | None = None) -> None:
        self.fault = fault
        self.upstream = upstream
        self.port = 0
        self.connections = 0
        # The most that one connection took of an endless answer.
        self.most_taken = 0
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> str:
        """As `host:port`."""
        return f"{HOST}:{self.port}"

    def break_all(self) -> None:
        """Reset every connection that is open."""
        for writer in self._writers:
            _reset(writer)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until its end."""
        self.connections += 1
        self._writers.add(writer)
        with suppress(OSError):
            if self.fault is None:
                await self._pass_on(reader, writer)
            else:
                await self._fail(self.fault, reader, writer)
        self._writers.discard(writer)
        writer.close()

    async def _fail(self, fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Who is asked nothing has nothing to answer.
        await reader.read(65_536)
        match fault:
            case Fault.HANG:
                await self._wait_for_end(reader)
            case Fault.RESET:
                _reset(writer)
            case Fault.TRICKLE:
                for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b" " * 1_000_000:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(_TRICKLE_S)
            case Fault.HUGE:
                await self._pour(writer)
            case _:
                writer.write(_SENT_AT_ONCE[fault.value])
                await writer.drain()

    async def _pour(self, writer: asyncio.StreamWriter) -> None:
        taken = 0
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
        while True:
            writer.write(_CHUNK)
            await writer.drain()
            taken += len(_CHUNK)
            self.most_taken = max(self.most_taken, taken)

    async def _wait_for_end(self, reader: asyncio.StreamReader) -> None:
        while await reader.read(65_536):
            pass

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self.upstream
        up_reader, up_writer = await asyncio.open_connection(*self.upstream)
        self._writers.add(up_writer)
        both = [asyncio.create_task(self._carry(*way)) for way in ((reader, up_writer), (up_reader, writer))]
        try:
            # An end of one side is the end of both, and so is the end of this server.
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            self._writers.discard(up_writer)
            up_writer.close()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await source.read(65_536):
                if self.fault is Fault.HANG:
                    continue
                if self.fault is Fault.RESET:
                    _reset(sink)
                    return
                sink.write(chunk)
                await sink.drain()


@asynccontextmanager
async def faulty_server(
    fault: Fault | None, upstream: tuple[str, int] | None = None, port: int = 0
) -> AsyncIterator[FaultyServer]:
    """A server for the length of the block; nothing of it is left then."""
    server = FaultyServer(fault, upstream)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        with suppress(asyncio.CancelledError):
            await server.serve(reader, writer)
        tasks.discard(task)

    listener = await asyncio.start_server(serve, HOST, port)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _reset(writer: asyncio.StreamWriter) -> None:
    """RST in place of FIN."""
    sock = writer.get_extra_info("socket")
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
