"""A UDP relay between one client and the worker: it loses packets, keeps copies, and changes its address."""

import asyncio
import random
import re
import socket
from collections import Counter
from collections.abc import Callable

from services.sfu.udp import SOCKET_BUFFER_BYTES

Address = tuple[str, int]


class _Side(asyncio.DatagramProtocol):
    def __init__(self, handle: Callable[[bytes, Address], None]) -> None:
        self._handle = handle

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._handle(data, addr)


async def _open(handle: Callable[[bytes, Address], None]) -> asyncio.DatagramTransport:
    loop = asyncio.get_running_loop()
    side, _ = await loop.create_datagram_endpoint(lambda: _Side(handle), ("127.0.0.1", 0))
    # By default it holds two seconds of a call: on a busy machine more than `loss` would be lost.
    side.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
    return side


class Relay:
    """Loss is the share of packets dropped each way; `sent` and `answered` keep what came last from either side."""

    def __init__(self, worker: Address, loss: float = 0.0, seed: int = 1) -> None:
        self.worker = worker
        self.loss = loss
        self._random = random.Random(seed)
        self._client: Address | None = None
        self.sent: list[bytes] = []
        self.answered: list[bytes] = []
        # What it has carried since it has its address, by way and kind.
        self.carried: Counter[str] = Counter()

    async def start(self) -> Address:
        """The address that the client is to send to."""
        self._inner = await _open(self._from_client)
        await self.move()
        host, port = self._inner.get_extra_info("sockname")
        return host, port

    async def move(self) -> None:
        """Take a new address towards the worker, as a NAT or a change of network does; the old one is dead."""
        former = getattr(self, "_outer", None)
        self.carried.clear()
        self._outer = await _open(self._from_worker)
        if former is not None:
            former.close()

    def inject(self, datagram: bytes) -> None:
        """Send something to the worker from the client's address."""
        self._outer.sendto(datagram, self.worker)

    def close(self) -> None:
        self._inner.close()
        self._outer.close()

    def _from_client(self, data: bytes, addr: Address) -> None:
        self._client = addr
        self.carried[f"sent {kind_of(data)}"] += 1
        self.sent = [*self.sent[-200:], data]
        if self._random.random() >= self.loss:
            self._outer.sendto(data, self.worker)

    def _from_worker(self, data: bytes, addr: Address) -> None:
        self.carried[f"answered {kind_of(data)}"] += 1
        self.answered = [*self.answered[-200:], data]
        if self._client is not None and self._random.random() >= self.loss:
            self._inner.sendto(data, self._client)


def kind_of(datagram: bytes) -> str:
    """What it is by its first bytes (RFC 7983)."""
    first, second = datagram[0], datagram[1]
    if first < 4:
        return "check" if first == 0 else "response"
    if 20 <= first <= 63:
        return "DTLS"
    return "RTCP" if 192 <= second <= 223 else "RTP"


def worker_of(answer: str) -> Address:
    """Where the SFU that gave this answer takes UDP."""
    found = re.search(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+)", answer)
    assert found, "the answer names no address for UDP"
    return found[1], int(found[2])


def through(answer: str, relay: Address) -> str:
    """The answer with the relay's address as its only candidate: nothing goes round it."""
    host, port = relay
    answer = re.sub(r"a=candidate:\S+ 1 tcp .*\r\n", "", answer)
    return re.sub(r"(a=candidate:\S+ 1 udp \d+) \S+ \d+", rf"\1 {host} {port}", answer)
