"""Limits of new streams, and delays. `now` is monotonic seconds; `chance` is a random number from 0 to 1."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address

from services.gateway.core.errors import TooManyDevices, TooManyStreams

# The longest delay that a device is told. Raising it spreads a larger herd thinner; lowering it brings devices back too
# early, again.
MAX_RETRY_S = 60.0


class SharedStreamRate:
    """A token bucket for the new streams of all users. Each user has a rate, too (rates.py).

    A refused device gets a delay by which the devices that were refused before it will have come.
    """

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._tokens = burst
        self._refused = 0.0
        self._at = 0.0

    def admit(self, now: float, chance: float) -> None:
        """Let a stream in. Raises TooManyStreams."""
        gained = max(0.0, now - self._at) * self._per_s
        self._at = now
        self._tokens = min(self._burst, self._tokens + gained)
        self._refused = max(0.0, self._refused - gained)
        if self._tokens >= 1:
            self._tokens -= 1
            return
        self._refused += 1
        delay_s = min(self._refused / self._per_s, MAX_RETRY_S) * (1 + chance / 2)
        raise TooManyStreams("too many devices come at once", delay_s)


class StreamsPerAddress:
    """How many streams each address has open: no address can take more than its share of the process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    def enter(self, address: str) -> str:
        """Count a stream, and give what `leave` takes; streams without an address are not counted. Raises
        TooManyDevices."""
        network = network_of(address)
        if network and self._open[network] >= self._most:
            raise TooManyDevices("this address has as many streams as one may")
        self._open[network] += 1
        return network

    def leave(self, network: str) -> None:
        """A stream has ended."""
        self._open[network] -= 1
        if self._open[network] <= 0:
            del self._open[network]


def network_of(address: str) -> str:
    """What one customer of a network has: an IPv4 address, or the /64 of an IPv6 address; empty for anything else."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(IPv6Network((int(found), 64), strict=False))
    return str(found)


@dataclass(frozen=True)
class DrainStep:
    """When a stream ends, seconds from now, and how long its device is to stay away after that."""

    after_s: float
    retry_delay_s: float


def spread_drain(
    session_ids: Sequence[int], spread_s: float, within_s: float, chances: Iterable[float]
) -> list[tuple[float, int, DrainStep]]:
    """A drain: the devices reconnect evenly over `spread_s`, and all streams have ended after `within_s`.

    Until its moment a device goes on reading here; a device whose moment is later waits without a stream. Gives
    (after_s, session id, step), the earliest first.
    """
    count = len(session_ids)
    plan = []
    for index, (session_id, chance) in enumerate(zip(session_ids, chances, strict=False)):
        moment = spread_s * (index + chance) / count
        plan.append((min(moment, within_s), session_id, DrainStep(min(moment, within_s), max(0.0, moment - within_s))))
    return plan
