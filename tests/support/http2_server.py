"""A small HTTPS server that speaks HTTP/2 alone, as Apple's and Google's do: by h2, over TLS with ALPN."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError, StreamClosedError

from deploy.certificates import Pem

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Request:
    """One request, as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What is answered."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Http2Server:
    """`answer` gives the reply; while it waits, the request hangs, and the others of its connection do not."""

    def __init__(self, answer: Callable[[Request], Awaitable[Reply]], certificate: Pem) -> None:
        self._answer = answer
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificate.certificate, certificate.key)
        # Whoever does not speak HTTP/2 is turned away.
        self._context.set_alpn_protocols(["h2"])
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self.connections = 0
        self.port = 0

    async def start(self) -> None:
        """Listen; after a stop at the same port again."""
        self._server = await asyncio.start_server(self._serve, HOST, self.port, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections, and cut those that there are. Idempotent."""
        if self._server:
            self._server.close()
        for connection in list(self._connections):
            await connection.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tls = writer.get_extra_info("ssl_object")
        if tls is None or tls.selected_alpn_protocol() != "h2":
            writer.close()
            return
        self.connections += 1
        connection = _Connection(reader, writer, self._answer)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)


class _Connection:
    """One client."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: Callable[[Request], Awaitable[Reply]],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._heads: dict[int, dict[str, str]] = {}
        self._bodies: dict[int, bytes] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until the client goes."""
        self._h2.initiate_connection()
        self._flush()
        with suppress(OSError, ProtocolError, asyncio.IncompleteReadError):
            while data := await self._reader.read(65_536):
                for event in self._h2.receive_data(data):
                    if isinstance(event, ConnectionTerminated):
                        return
                    self._take(event)
                self._flush()
        await self.close()

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._writer.close()

    def _take(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            assert event.stream_id is not None
            assert event.headers is not None
            self._heads[event.stream_id] = {_text(name): _text(value) for name, value in event.headers}
            self._bodies[event.stream_id] = b""
        elif isinstance(event, DataReceived):
            assert event.stream_id is not None
            self._bodies[event.stream_id] += event.data or b""
            self._h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
        elif isinstance(event, StreamEnded):
            assert event.stream_id is not None
            self._tasks[event.stream_id] = asyncio.ensure_future(self._respond(event.stream_id))
        elif isinstance(event, StreamReset) and event.stream_id in self._tasks:
            self._tasks[event.stream_id].cancel()

    async def _respond(self, stream: int) -> None:
        head = self._heads.pop(stream)
        headers = {name: value for name, value in head.items() if not name.startswith(":")}
        reply = await self._answer(Request(head[":method"], head[":path"], headers, self._bodies.pop(stream)))
        with suppress(StreamClosedError, ProtocolError, OSError):
            self._h2.send_headers(
                stream, [(":status", str(reply.status)), *reply.headers.items()], end_stream=not reply.body
            )
            if reply.body:
                self._h2.send_data(stream, reply.body, end_stream=True)
            self._flush()

    def _flush(self) -> None:
        self._writer.write(self._h2.data_to_send())


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
