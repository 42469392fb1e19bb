"""ICE-TCP (RFC 6544, passive): a way in for clients whose network lets no UDP out.

Each connection has a UDP socket of its own to the worker's port, and what comes on one side goes out on the other. To
the worker it is one more address: nothing on the path of the other packets knows of TCP.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import cast

from services.runtime import tasks
from services.sfu.core.errors import PacketError
from services.sfu.core.ids import Address
from services.sfu.core.wire.framing import Deframer, frame
from services.sfu.ports import Metrics

# What one read of the inner socket may be.
_MAX_DATAGRAM = 2048
# Datagrams taken in one turn of the loop, so that one connection leaves time for the rest.
_MAX_DRAIN = 64
_BACKLOG_CONNECTIONS = 128
_CHECK_INTERVAL_S = 0.5


@dataclass(frozen=True)
class TcpLimits:
    """What connections may cost. One is proven when the worker has answered its check with the right password."""

    # All of them. Raising it costs memory and sockets for unauthenticated clients; lowering it turns clients away.
    connections: int = 500
    # Of one remote address (of IPv6 one /64), all and unproven ones. Raising them lets a few addresses take all;
    # lowering them refuses offices behind one address.
    per_address: int = 64
    unproven_per_address: int = 8
    # What may come on an unproven one, and how long it stays. Raising them costs memory for unauthenticated clients;
    # lowering them fails clients on slow networks.
    unproven_bytes: int = 16 * 1024
    unproven_s: float = 10.0
    # Without a byte for this long it is closed. Raising it keeps dead connections; lowering it closes slow ones.
    silent_s: float = 30.0
    # What waits for a slow reader, beyond which packets are dropped, and how long that may last before the connection
    # is closed. Raising them sends old media and costs memory; lowering them drops media at short stalls.
    backlog_bytes: int = 256 * 1024
    slow_s: float = 5.0


class TcpPort:
    """A part of the service: the worker's TCP port. `target` gives the worker's UDP address on this machine."""

    name = "ice-tcp"

    def __init__(
        self, bind: Address, target: Callable[[], Address], metrics: Metrics, limits: TcpLimits = TcpLimits()
    ) -> None:
        """Takes the port. Raises OSError when it is taken."""
        self._target = target
        self._metrics = metrics
        self._limits = limits
        self._socket = _listen(bind)
        self._server: asyncio.Server | None = None
        self._checks: asyncio.Task[None] | None = None
        self._connections: set[_Connection] = set()
        # Set while there is a connection to check.
        self._occupied = asyncio.Event()

    @property
    def port(self) -> int:
        """The port for the candidate."""
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def connection_count(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def start(self) -> None:
        """Begin to accept."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connect, sock=self._socket)
        self._checks = tasks.keep("ice-tcp", self._check)

    async def stop(self) -> None:
        """Close the port and all connections."""
        await tasks.stop(self._checks)
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.abort()
        self._socket.close()

    def _connect(self) -> asyncio.Protocol:
        return _Connection(self._target(), self._limits, self._metrics, self._enter, self._leave)

    def _enter(self, connection: "_Connection") -> bool:
        if len(self._connections) >= self._limits.connections:
            return False
        alike = [other for other in self._connections if other.holder == connection.holder]
        if len(alike) >= self._limits.per_address:
            return False
        if sum(not other.is_proven for other in alike) >= self._limits.unproven_per_address:
            return False
        self._connections.add(connection)
        self._occupied.set()
        return True

    def _leave(self, connection: "_Connection") -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._occupied.clear()

    async def _check(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            await self._occupied.wait()
            await asyncio.sleep(_CHECK_INTERVAL_S)
            for connection in list(self._connections):
                connection.check(now())


class _Connection(asyncio.Protocol):
    """One TCP connection and its UDP socket."""

    def __init__(
        self,
        target: Address,
        limits: TcpLimits,
        metrics: Metrics,
        enter: Callable[["_Connection"], bool],
        leave: Callable[["_Connection"], None],
    ) -> None:
        self._target = target
        self._limits = limits
        self._metrics = metrics
        self._enter = enter
        self._leave = leave
        self._deframer = Deframer()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._inner: socket.socket | None = None
        self._began = self._heard_at = self._loop.time()
        self._received = 0
        # The address that it counts for (holder_of), and whether the worker has answered it.
        self.holder = ""
        self.is_proven = False
        self._slow_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.holder = holder_of(transport.get_extra_info("peername"))
        if not self._enter(self):
            self._refuse("tcp_full")
            return
        family = socket.AF_INET6 if ":" in self._target[0] else socket.AF_INET
        try:
            self._inner = socket.socket(family, socket.SOCK_DGRAM)
            self._inner.setblocking(False)
            self._inner.connect(self._target)
        except OSError:
            self._refuse("tcp_full")
            return
        self._loop.add_reader(self._inner.fileno(), self._handle_readable)

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        self._received += len(data)
        if not self.is_proven and self._received > self._limits.unproven_bytes:
            self._refuse("tcp_unproven")
            return
        try:
            datagrams = self._deframer.feed(data)
        except PacketError as error:
            self._refuse(error.reason)
            return
        for datagram in datagrams:
            # Full: the worker has more to do than it can; as on the network, packets are lost then.
            with suppress(OSError):
                if self._inner is not None:
                    self._inner.send(datagram)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._leave(self)
        if self._inner is not None:
            self._loop.remove_reader(self._inner.fileno())
            self._inner.close()
            self._inner = None

    def check(self, now: float) -> None:
        """Close it when it is nobody's, silent, or reads too slowly."""
        limits = self._limits
        if not self.is_proven and now - self._began >= limits.unproven_s:
            self._refuse("tcp_unproven")
        elif now - self._heard_at >= limits.silent_s:
            self._refuse("tcp_silent")
        elif self._slow_since is not None and self._backlog() < limits.backlog_bytes:
            self._slow_since = None
        elif self._slow_since is not None and now - self._slow_since >= limits.slow_s:
            self._refuse("tcp_slow")

    def abort(self) -> None:
        """Close it at once; what waits is dropped."""
        if self._transport is not None:
            self._transport.abort()

    def _refuse(self, reason: str) -> None:
        self._metrics.dropped(reason)
        self.abort()

    def _handle_readable(self) -> None:
        """One write for all that has come: a system call costs more than a packet."""
        framed: list[bytes] = []
        for _ in range(_MAX_DRAIN):
            try:
                framed.append(frame(self._inner.recv(_MAX_DATAGRAM)) if self._inner is not None else b"")
            except OSError:
                # Empty, or an ICMP error of an earlier packet.
                break
        if not framed or self._transport is None:
            return
        self.is_proven = True
        if self._backlog() < self._limits.backlog_bytes:
            self._transport.write(b"".join(framed))
        else:
            self._slow_since = self._slow_since if self._slow_since is not None else self._loop.time()
            self._metrics.dropped("tcp_backlog", len(framed))

    def _backlog(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0


def holder_of(peer: tuple[str, int] | tuple[str, int, int, int] | None) -> str:
    """What a connection from this address counts for: an IPv4 address, or an IPv6 /64, which is one network's."""
    if not peer:
        return ""
    address = ip_address(peer[0].partition("%")[0])
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped is not None else str(ip_network((address, 64), strict=False))
    return str(address)


def _listen(bind: Address) -> socket.socket:
    host, port = bind
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    is_any = host == "::"
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG_CONNECTIONS, dualstack_ipv6=is_any)
    listener.setblocking(False)
    return listener
