"""The worker's one UDP socket: many datagrams a system call both ways (Linux), or one (elsewhere).

Addresses are raw here, as the kernel gives and takes them (`sockaddr_in`, `sockaddr_in6`): nothing is made of them
packet by packet.
"""

import errno
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Any, ClassVar, Final, Protocol

import cffi

from services.sfu.core.ids import Address
from services.sfu.srtp import PacketBuffer

# Datagrams a system call. Raising it makes fewer calls under load; lowering it takes less memory. Idle traffic never
# fills it.
BATCH_SIZE: Final = 128
# Holds bursts of key frames while the process is busy elsewhere.
SOCKET_BUFFER_BYTES: Final = 4 * 1024 * 1024

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
# Words of a `mmsghdr` (pointers, and lengths with their padding) and offsets in it, on every 64-bit Linux.
WORDS: Final = 8
VECTORS: Final = 2
VECTOR_COUNT: Final = 3
CONTROL_SIZE: Final = 5
VECTOR_BYTES: Final = 16
ffi: Final = cffi.FFI()
ffi.cdef(_CDEF)


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


class Messages:
    """An array of `mmsghdr`, each with one vector and space for an address, read and written through memoryviews."""

    def __init__(self, family: int) -> None:
        self.name_size = 16 if family == socket.AF_INET else 28
        self.buffers = [PacketBuffer() for _ in range(BATCH_SIZE)]
        self.headers: Any = ffi.new("struct mmsghdr[]", BATCH_SIZE)
        self._vectors: Any = ffi.new("struct iovec[]", BATCH_SIZE)
        self._names = bytearray(BATCH_SIZE * self.name_size)
        self._pinned: Any = ffi.from_buffer(self._names)
        self.words = memoryview(ffi.buffer(self.headers)).cast("P")
        self.vectors_address = int(ffi.cast("uintptr_t", self._vectors))
        # A vector is a pointer and a length: two words, on every Linux.
        vectors = memoryview(ffi.buffer(self._vectors)).cast("P")
        self.lengths = vectors[1::2]
        view = memoryview(self._names)
        self.names = [view[at : at + self.name_size] for at in range(0, len(view), self.name_size)]
        for index in range(BATCH_SIZE):
            header = self.headers[index].msg_hdr
            header.msg_iov, header.msg_iovlen = self._vectors + index, 1
            header.msg_name, header.msg_namelen = self._pinned + index * self.name_size, self.name_size
            vectors[2 * index] = self.buffers[index].address
            vectors[2 * index + 1] = PacketBuffer.SIZE


# A datagram that has come: the buffer it is in until the next are received, its bytes, and its raw source.
Datagram = tuple[PacketBuffer, int, bytes]


class Inbox(Protocol):
    """Datagrams that have come, as many as one call gives; none when the socket is empty.

    After fewer than FEW the next call finds hardly any.
    """

    # With fewer datagrams than this the socket is taken for empty. Raising it lets those that came meanwhile wait for
    # the next look; lowering it makes calls that give nothing, each at the cost of two packets.
    FEW: ClassVar[int]

    def receive(self) -> Sequence[Datagram]: ...


class RecvfromInbox:
    """One system call a datagram: works everywhere."""

    FEW: ClassVar[int] = 1

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

    # With fewer datagrams than this the socket is taken for empty. Raising it lets those that came meanwhile wait for
    # the next look; lowering it makes calls that give nothing, each at the cost of two packets.
    FEW: ClassVar[int] = 6

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._libc: Any = ffi.dlopen(None)
        self._messages = Messages(sock.family)
        words = memoryview(ffi.buffer(self._messages.headers)).cast("I")
        step = ffi.sizeof("struct mmsghdr") // 4
        self._sizes = words[ffi.offsetof("struct mmsghdr", "msg_len") // 4 :: step]

    def receive(self) -> Sequence[Datagram]:
        messages = self._messages
        while True:
            count = self._libc.recvmmsg(
                self._socket.fileno(), messages.headers, BATCH_SIZE, socket.MSG_DONTWAIT, ffi.NULL
            )
            if count > 0:
                sources = map(bytes, messages.names[:count])
                return list(zip(messages.buffers, self._sizes[:count].tolist(), sources, strict=False))
            # Any other is an ICMP error of an earlier send; it says nothing about this socket.
            if count == 0 or ffi.errno in (errno.EAGAIN, errno.EBADF, errno.ENOTSOCK, errno.EINVAL):
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


def open_inbox(sock: socket.socket) -> Inbox:
    """The fastest inbox that this machine has."""
    return RecvmmsgInbox(sock) if sys.platform == "linux" else RecvfromInbox(sock)
