"""A client's path over ICE-TCP: datagrams on its side, RFC 4571 frames in a TCP connection to the worker."""

import asyncio

from services.sfu.core.ids import Address
from services.sfu.core.wire.framing import Deframer, frame
from tests.integration.sfu.relay import Relay


class FramedPath(Relay):
    """As a Relay, but its way to the worker is TCP. `received` counts the frames that came."""

    def __init__(self, worker: Address) -> None:
        super().__init__(worker)
        self.received = 0
        self._reading: asyncio.Task[None] | None = None

    async def move(self) -> None:
        """Connect."""
        reader, self._writer = await asyncio.open_connection(*self.worker)
        self._reading = asyncio.create_task(self._read(reader))

    def inject(self, datagram: bytes) -> None:
        self._writer.write(frame(datagram))

    def close(self) -> None:
        self._inner.close()
        self._writer.close()
        if self._reading is not None:
            self._reading.cancel()

    def _from_client(self, data: bytes, addr: Address) -> None:
        self._client = addr
        self.inject(data)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        deframer = Deframer()
        while data := await reader.read(65536):
            for datagram in deframer.feed(data):
                self.received += 1
                self._from_worker(datagram, self.worker)
