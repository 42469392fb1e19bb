"""The worker's one UDP socket: drained until it is empty, and written to in batches by sendmmsg (Linux) or sendto."""

import errno
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, Protocol

import cffi

from services.sfu.core.ids import Address
from services.sfu.srtp import PacketBuffer

# Packets a system call. Higher: fewer calls under load. Lower: less memory; idle traffic never fills it.
BATCH_SIZE = 64
# Encoded addresses kept. Higher: memory for clients long gone. Lower: encoding again.
MAX_DESTINATIONS = 4096
# Room for bursts of key frames while the process is busy elsewhere.
SOCKET_BUFFER_BYTES = 4 * 1024 * 1024

_CDEF = """
struct iovec { void *iov_base; size_t iov_len; };
struct msghdr {
    void *msg_name; unsigned int msg_namelen;
    struct iovec *msg_iov; size_t msg_iovlen;
    void *msg_control; size_t msg_controllen;
    int msg_flags;
};
struct mmsghdr { struct msghdr msg_hdr; unsigned int msg_len; };
int sendmmsg(int sockfd, struct mmsghdr *msgvec, unsigned int vlen, int flags);
"""


def open_socket(address: Address) -> socket.socket:
    """A bound, non-blocking UDP socket. Raises OSError when the port is taken."""
    host, port = address
    family, _, _, _, resolved = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)[0]
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
        if family == socket.AF_INET6:
            # One socket for both families: IPv4 comes as ::ffff:a.b.c.d.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(resolved)
    except OSError:
        sock.close()
        raise
    return sock


class Batch(Protocol):
    """Packets on their way out. `reserve` gives a buffer to fill, `commit` sends it with the next `flush`.

    `flush` gives the packets and bytes that were committed since the last one.
    """

    def reserve(self) -> PacketBuffer: ...

    def commit(self, size: int, destination: Address) -> None: ...

    def flush(self) -> tuple[int, int]: ...


class SendtoBatch:
    """One system call a packet: works everywhere."""

    def __init__(self, sock: socket.socket, count_dropped: Callable[[int], None]) -> None:
        self._socket = sock
        self._count_dropped = count_dropped
        self._buffer = PacketBuffer()
        self._packets = self._bytes = 0

    def reserve(self) -> PacketBuffer:
        return self._buffer

    def commit(self, size: int, destination: Address) -> None:
        self._packets += 1
        self._bytes += size
        try:
            self._socket.sendto(self._buffer.view[:size], destination)
        except OSError:
            # Full, or the address cannot be reached: media is never queued without bound.
            self._count_dropped(1)

    def flush(self) -> tuple[int, int]:
        counted = self._packets, self._bytes
        self._packets = self._bytes = 0
        return counted


class SendmmsgBatch:
    """Many packets a system call, through cffi in ABI mode."""

    def __init__(self, sock: socket.socket, count_dropped: Callable[[int], None]) -> None:
        self._socket = sock
        self._count_dropped = count_dropped
        self._ffi = cffi.FFI()
        self._ffi.cdef(_CDEF)
        self._libc: Any = self._ffi.dlopen(None)
        self._buffers = [PacketBuffer() for _ in range(BATCH_SIZE)]
        self._messages: Any = self._ffi.new("struct mmsghdr[]", BATCH_SIZE)
        self._vectors: Any = self._ffi.new("struct iovec[]", BATCH_SIZE)
        self._destinations: dict[Address, Any] = {}
        # Keeps the addresses of the batch alive, whatever becomes of the table.
        self._names: list[Any] = [None] * BATCH_SIZE
        self._count = 0
        self._packets = self._bytes = 0
        for place, buffer in enumerate(self._buffers):
            self._vectors[place].iov_base = self._ffi.from_buffer(buffer.view)
            self._messages[place].msg_hdr.msg_iov = self._vectors + place
            self._messages[place].msg_hdr.msg_iovlen = 1

    def reserve(self) -> PacketBuffer:
        if self._count == BATCH_SIZE:
            self._send()
        return self._buffers[self._count]

    def commit(self, size: int, destination: Address) -> None:
        name = self._destinations.get(destination)
        if name is None:
            name = self._encode(destination)
        place = self._count
        self._vectors[place].iov_len = size
        if self._names[place] is not name:
            self._names[place] = name
            header = self._messages[place].msg_hdr
            header.msg_name = name
            header.msg_namelen = len(name)
        self._count = place + 1
        self._bytes += size

    def flush(self) -> tuple[int, int]:
        self._send()
        counted = self._packets, self._bytes
        self._packets = self._bytes = 0
        return counted

    def _send(self) -> None:
        self._packets += self._count
        done = 0
        while done < self._count:
            sent = self._libc.sendmmsg(self._socket.fileno(), self._messages + done, self._count - done, 0)
            if sent > 0:
                done += sent
            elif self._ffi.errno in (errno.EAGAIN, errno.ENOBUFS):
                self._count_dropped(self._count - done)
                break
            elif self._ffi.errno != errno.EINTR:
                self._count_dropped(1)
                done += 1
        self._count = 0

    def _encode(self, destination: Address) -> Any:
        if len(self._destinations) >= MAX_DESTINATIONS:
            self._destinations.clear()
        encoded = encode_sockaddr(self._socket.family, destination)
        name = self._ffi.new("char[]", len(encoded))
        self._ffi.buffer(name)[:] = encoded
        self._destinations[destination] = name
        return name


def encode_sockaddr(family: int, address: Address) -> bytes:
    """The C `sockaddr_in` or `sockaddr_in6` of a numeric address."""
    host, port = address
    if family == socket.AF_INET:
        return struct.pack("=H", family) + struct.pack("!H4s8x", port, socket.inet_aton(host))
    return struct.pack("=H", family) + struct.pack("!HI16sI", port, 0, socket.inet_pton(family, host), 0)


def open_batch(sock: socket.socket, count_dropped: Callable[[int], None]) -> Batch:
    """The fastest batch that this machine has."""
    if sys.platform == "linux":
        return SendmmsgBatch(sock, count_dropped)
    return SendtoBatch(sock, count_dropped)
