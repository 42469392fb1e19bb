"""What comes in: when the socket is looked at, and to whom each datagram goes."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import structlog

from services.runtime.clock import Clock
from services.sfu.core.errors import PacketError
from services.sfu.ports import Metrics
from services.sfu.srtp import PacketBuffer
from services.sfu.udp import Inbox, open_inbox

log: Final = structlog.get_logger()

# While packets come often, the socket is looked at this often. Raising it adds delay, half as much on average; lowering
# it makes wake-ups, of 50 to 300 us of CPU each.
DRAIN_PAUSE_S: Final = 0.002
# From this rate on the socket is drained on a timer. Raising it makes a wake-up for nearly each packet; lowering it
# makes wake-ups that find nothing.
BUSY_PACKETS_PER_S: Final = 300
BUSY_WINDOW_S: Final = 0.05
# Datagrams handled in one turn of the loop, so that a flood leaves time for the rest.
MAX_DRAIN: Final = 512

# Takes a datagram: its buffer, size and raw source, and the time. Raises PacketError with the reason for a drop.
Handle = Callable[[PacketBuffer, int, bytes, float], None]


class Ingress:
    """Drains the socket: on its readiness while little comes, on a timer while much does.

    `handle` takes each datagram, `flush` is called after those of one look at the socket.
    """

    def __init__(
        self, sock: socket.socket, handle: Handle, flush: Callable[[], None], metrics: Metrics, clock: Clock
    ) -> None:
        self._socket = sock
        self._inbox: Inbox = open_inbox(sock)
        self._handle, self._flush = handle, flush
        self._metrics = metrics
        self._clock = clock
        self._packets = self._bytes = 0
        self._is_busy = self._is_watched = False
        self._window_packets, self._window_began = 0, 0.0
        self._pause: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to receive."""
        self._watch()

    def stop(self) -> None:
        """Receive no more."""
        if self._pause is not None:
            self._pause.cancel()
        asyncio.get_running_loop().remove_reader(self._socket.fileno())

    def count(self) -> None:
        """Tell the metrics what has come since the last time."""
        if self._packets:
            self._metrics.packets_in(self._packets, self._bytes)
            self._packets = self._bytes = 0

    def _watch(self) -> None:
        if not self._is_watched:
            asyncio.get_running_loop().add_reader(self._socket.fileno(), self._wake)
            self._is_watched = True

    def _wake(self) -> None:
        try:
            self._drain()
        finally:
            # Whatever happened: a worker that does not look at its socket again is dead.
            self._look_again()

    def _look_again(self) -> None:
        if not self._is_busy:
            self._watch()
            return
        loop = asyncio.get_running_loop()
        if self._is_watched:
            loop.remove_reader(self._socket.fileno())
            self._is_watched = False
        self._pause = loop.call_later(DRAIN_PAUSE_S, self._wake)

    def _drain(self) -> None:
        handle = self._handle
        packets = total = 0
        while packets < MAX_DRAIN:
            datagrams = self._inbox.receive()
            packets += len(datagrams)
            now = self._clock.monotonic()
            for buffer, size, source in datagrams:
                total += size
                try:
                    handle(buffer, size, source, now)
                except PacketError as error:
                    self._metrics.dropped(error.reason)
                except Exception:
                    # A bug; loud, but no sender's packet may end the calls of the others.
                    log.exception("datagram_failed")
                    self._metrics.dropped("internal_error")
            self._flush()
            if len(datagrams) < self._inbox.FEW:
                break
        self._packets += packets
        self._bytes += total
        self._count_window(packets)

    def _count_window(self, packets: int) -> None:
        """Whether packets come so often that each wake-up would find few; counted in windows."""
        now = self._clock.monotonic()
        self._window_packets += packets
        elapsed = now - self._window_began
        if elapsed >= BUSY_WINDOW_S:
            self._is_busy = self._window_packets >= BUSY_PACKETS_PER_S * elapsed
            self._window_packets, self._window_began = 0, now
