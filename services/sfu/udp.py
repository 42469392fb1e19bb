"""The worker's one UDP socket: many datagrams a system call both ways (Linux), or one (elsewhere).

Addresses are raw here, as the kernel gives and takes them (`sockaddr_in`, `sockaddr_in6`): nothing is made of them
packet by packet.
"""

import errno
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import cffi

from services.sfu.core.ids import Address
from services.sfu.srtp import PacketBuffer

# Datagrams a system call. Higher: fewer calls under load. Lower: less memory; idle traffic never fills it.
BATCH_SIZE = 128
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
int recvmmsg(int sockfd, struct mmsghdr *msgvec, unsigned int vlen, int flags, void *timeout);
"""
_ffi = cffi.FFI()
_ffi.cdef(_CDEF)


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
    """Packets on their way out. `claim` gives buffers to fill, at least one; `commit` sends one with the next `flush`.

    A buffer that was claimed and not committed is dropped. `flush` gives the packets and bytes that were committed
    since the last one.
    """

    def claim(self, wanted: int) -> Sequence[PacketBuffer]: ...

    def commit(self, buffer: PacketBuffer, size: int, destination: bytes) -> None: ...

    def flush(self) -> tuple[int, int]: ...


class SendtoBatch:
    """One system call a packet: works everywhere."""

    def __init__(self, sock: socket.socket, count_dropped: Callable[[int], None]) -> None:
        self._socket = sock
        self._count_dropped = count_dropped
        self._buffers = [PacketBuffer()]
        self._packets = self._bytes = 0

    def claim(self, wanted: int) -> Sequence[PacketBuffer]:
        return self._buffers[:wanted]

    def commit(self, buffer: PacketBuffer, size: int, destination: bytes) -> None:
        self._packets += 1
        self._bytes += size
        try:
            self._socket.sendto(buffer.view[:size], decode_sockaddr(destination))
        except OSError:
            # Full, or the address cannot be reached: media is never queued without bound.
            self._count_dropped(1)

    def flush(self) -> tuple[int, int]:
        counted = self._packets, self._bytes
        self._packets = self._bytes = 0
        return counted


class _Messages:
    """An array of `mmsghdr`, each with one vector and room for an address, read and written through memoryviews."""

    def __init__(self, family: int) -> None:
        self.name_size = 16 if family == socket.AF_INET else 28
        self.buffers = [PacketBuffer() for _ in range(BATCH_SIZE)]
        self.headers: Any = _ffi.new("struct mmsghdr[]", BATCH_SIZE)
        self._vectors: Any = _ffi.new("struct iovec[]", BATCH_SIZE)
        self._names = bytearray(BATCH_SIZE * self.name_size)
        self._pinned: Any = _ffi.from_buffer(self._names)
        # A vector is a pointer and a length: two words, on every Linux.
        self.vectors = memoryview(_ffi.buffer(self._vectors)).cast("P")
        view = memoryview(self._names)
        self.names = [view[at : at + self.name_size] for at in range(0, len(view), self.name_size)]
        for place in range(BATCH_SIZE):
            header = self.headers[place].msg_hdr
            header.msg_iov, header.msg_iovlen = self._vectors + place, 1
            header.msg_name, header.msg_namelen = self._pinned + place * self.name_size, self.name_size
            self.vectors[2 * place] = self.buffers[place].address
            self.vectors[2 * place + 1] = PacketBuffer.SIZE


class SendmmsgBatch:
    """Many packets a system call, through cffi in ABI mode."""

    def __init__(self, sock: socket.socket, count_dropped: Callable[[int], None]) -> None:
        self._socket = sock
        self._count_dropped = count_dropped
        self._libc: Any = _ffi.dlopen(None)
        self._messages = _Messages(sock.family)
        self._vectors, self._names = self._messages.vectors, self._messages.names
        self._claimed = self._count = 0
        self._packets = self._bytes = 0

    def claim(self, wanted: int) -> Sequence[PacketBuffer]:
        if self._claimed == BATCH_SIZE:
            self._send()
        begin = self._claimed
        buffers = self._messages.buffers[begin : begin + wanted]
        self._claimed = begin + len(buffers)
        return buffers

    def commit(self, buffer: PacketBuffer, size: int, destination: bytes) -> None:
        place = self._count
        self._vectors[2 * place] = buffer.address
        self._vectors[2 * place + 1] = size
        self._names[place][:] = destination
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
            headers = self._messages.headers + done
            sent = self._libc.sendmmsg(self._socket.fileno(), headers, self._count - done, 0)
            if sent > 0:
                done += sent
            elif _ffi.errno in (errno.EAGAIN, errno.ENOBUFS):
                self._count_dropped(self._count - done)
                break
            elif _ffi.errno != errno.EINTR:
                self._count_dropped(1)
                done += 1
        self._claimed = self._count = 0


# A datagram that has come: the buffer it is in until the next are received, its bytes, and its raw source.
Datagram = tuple[PacketBuffer, int, bytes]


class Inbox(Protocol):
    """Datagrams that have come, as many as one call gives; none when the socket is empty."""

    def receive(self) -> Sequence[Datagram]: ...


class RecvfromInbox:
    """One system call a datagram: works everywhere."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = PacketBuffer()

    def receive(self) -> Sequence[Datagram]:
        while True:
            try:
                size, source = self._socket.recvfrom_into(self._buffer.view)
            except BlockingIOError:
                return ()
            except OSError:
                # An ICMP error of an earlier send; it says nothing about this socket.
                continue
            return ((self._buffer, size, encode_sockaddr(self._socket.family, source[:2])),)


class RecvmmsgInbox:
    """Many datagrams a system call."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._libc: Any = _ffi.dlopen(None)
        self._messages = _Messages(sock.family)
        words = memoryview(_ffi.buffer(self._messages.headers)).cast("I")
        step = _ffi.sizeof("struct mmsghdr") // 4
        self._sizes = words[_ffi.offsetof("struct mmsghdr", "msg_len") // 4 :: step]

    def receive(self) -> Sequence[Datagram]:
        messages = self._messages
        while True:
            count = self._libc.recvmmsg(
                self._socket.fileno(), messages.headers, BATCH_SIZE, socket.MSG_DONTWAIT, _ffi.NULL
            )
            if count > 0:
                sources = map(bytes, messages.names[:count])
                return list(zip(messages.buffers, self._sizes[:count].tolist(), sources, strict=False))
            # Any other is an ICMP error of an earlier send; it says nothing about this socket.
            if count == 0 or _ffi.errno in (errno.EAGAIN, errno.EBADF, errno.ENOTSOCK, errno.EINVAL):
                return ()


def encode_sockaddr(family: int, address: Address) -> bytes:
    """The C `sockaddr_in` or `sockaddr_in6` of a numeric address."""
    host, port = address
    if family == socket.AF_INET:
        return struct.pack("=H", family) + struct.pack("!H4s8x", port, socket.inet_aton(host))
    return struct.pack("=H", family) + struct.pack("!HI16sI", port, 0, socket.inet_pton(family, host), 0)


def decode_sockaddr(raw: bytes) -> Address:
    """The numeric address in a C `sockaddr_in` or `sockaddr_in6`."""
    port = int.from_bytes(raw[2:4], "big")
    if len(raw) == 16:
        return socket.inet_ntoa(raw[4:8]), port
    return socket.inet_ntop(socket.AF_INET6, raw[8:24]), port


def open_batch(sock: socket.socket, count_dropped: Callable[[int], None]) -> Batch:
    """The fastest batch that this machine has."""
    if sys.platform == "linux":
        return SendmmsgBatch(sock, count_dropped)
    return SendtoBatch(sock, count_dropped)


def open_inbox(sock: socket.socket) -> Inbox:
    """The fastest inbox that this machine has."""
    return RecvmmsgInbox(sock) if sys.platform == "linux" else RecvfromInbox(sock)
