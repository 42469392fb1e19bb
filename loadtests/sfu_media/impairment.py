"""A bad network between one client and the SFU: loss, bursts of loss, delay, jitter, reordering and a rate limit."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

Address = tuple[str, int]
# What waits before a rate limit, in time: a home router's buffer. Raising it adds delay; lowering it adds loss.
QUEUE_S = 0.3


@dataclass(frozen=True)
class Condition:
    """One way of a path. Shares 0 to 1, times in seconds, rate in bit/s (0: no limit).

    A burst loses `burst_packets` in a row and begins with probability `burst`. Jitter reorders only where `reorders`.
    """

    loss: float = 0.0
    burst: float = 0.0
    burst_packets: int = 5
    delay_s: float = 0.0
    jitter_s: float = 0.0
    reorders: bool = False
    rate_bps: float = 0.0


class Direction:
    """Packets of one direction: decides when each goes on, if at all. Pure but for the randomness given."""

    def __init__(self, condition: Condition, rng: random.Random) -> None:
        self.condition = condition
        self._rng = rng
        self._free_at = self._last_at = 0.0
        self._burst_left = 0

    def delivered_at(self, size: int, now: float) -> float | None:
        """When a packet of `size` bytes comes out, or None when it is lost."""
        condition = self.condition
        if self._is_lost():
            return None
        at = now
        if condition.rate_bps:
            begins = max(now, self._free_at)
            if begins - now > QUEUE_S:
                return None
            self._free_at = at = begins + size * 8 / condition.rate_bps
        at += condition.delay_s + self._rng.uniform(-condition.jitter_s, condition.jitter_s)
        if not condition.reorders:
            at = max(at, self._last_at)
        self._last_at = max(at, self._last_at)
        return max(at, now)

    def _is_lost(self) -> bool:
        if self._burst_left:
            self._burst_left -= 1
            return True
        if self._rng.random() < self.condition.burst:
            self._burst_left = self.condition.burst_packets - 1
            return True
        return self._rng.random() < self.condition.loss


class _Side(asyncio.DatagramProtocol):
    def __init__(self, handle: Callable[[bytes, Address], None]) -> None:
        self._handle = handle

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._handle(data, addr)


class ImpairedRelay:
    """One client's way to the worker and back."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self._up, self._down = Direction(Condition(), rng), Direction(Condition(), rng)
        self._client: Address | None = None
        self._worker: Address | None = None

    async def start(self) -> Address:
        """The address that the client is to send to."""
        loop = asyncio.get_running_loop()
        self._inner, _ = await loop.create_datagram_endpoint(lambda: _Side(self._from_client), ("127.0.0.1", 0))
        self._outer, _ = await loop.create_datagram_endpoint(lambda: _Side(self._from_worker), ("127.0.0.1", 0))
        host, port = self._inner.get_extra_info("sockname")
        return host, port

    def impair(self, up: Condition, down: Condition) -> None:
        """From now on."""
        self._up.condition, self._down.condition = up, down

    def reroute(self, answer: str, relay: Address) -> str:
        """The answer with the relay's address as its only candidate; the worker's is remembered."""
        answer = re.sub(r"a=candidate:\S+ 1 tcp .*\r\n", "", answer)
        pattern = r"(a=candidate:\S+ 1 udp \d+) (\S+) (\d+)"
        found = re.search(pattern, answer)
        assert found is not None
        self._worker = (found[2], int(found[3]))
        return re.sub(pattern, rf"\1 {relay[0]} {relay[1]}", answer)

    def close(self) -> None:
        """Ends it."""
        self._inner.close()
        self._outer.close()

    def _from_client(self, data: bytes, addr: Address) -> None:
        self._client = addr
        if self._worker is not None:
            self._pass(self._up, self._outer, data, self._worker)

    def _from_worker(self, data: bytes, _addr: Address) -> None:
        if self._client is not None:
            self._pass(self._down, self._inner, data, self._client)

    def _pass(self, way: Direction, transport: asyncio.DatagramTransport, data: bytes, to: Address) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        at = way.delivered_at(len(data), now)
        if at is None:
            return
        if at <= now:
            transport.sendto(data, to)
        else:
            loop.call_at(at, _send, transport, data, to)


def _send(transport: asyncio.DatagramTransport, data: bytes, to: Address) -> None:
    if not transport.is_closing():
        transport.sendto(data, to)
