"""Loss repair: asking publishers for what is missing, and giving receivers what they ask for (RFC 4585)."""

from dataclasses import dataclass
from typing import Final

from services.sfu.core.wire.rtp import MediaPacket

# Time for reordered packets to come by themselves. Raising it repairs later; lowering it asks for packets that are on
# their way.
FIRST_NACK_S: Final = 0.010
# Between requests for the same packet. Raising it makes a lost request stall the picture for longer; lowering it makes
# duplicates on long paths.
NACK_INTERVAL_S: Final = 0.040
# After this many requests a packet is given up. Raising it asks for what no player waits for; lowering it asks for
# needless key frames.
MAX_NACKS: Final = 12
# More missing packets than this at once are not worth asking for: a key frame is cheaper.
MAX_MISSING: Final = 256


@dataclass(slots=True)
class _Missing:
    due: float
    requests: int = 0


class GapTracker:
    """Which packets of one stream are missing, and when to ask for them again. Works on extended sequence numbers."""

    def __init__(self) -> None:
        self._highest: int | None = None
        self.missing: dict[int, _Missing] = {}

    def add_packet(self, index: int, now: float) -> bool:
        """Note a packet that came. False when the gap before it is too wide to be repaired."""
        if self._highest is None:
            self._highest = index
            return True
        if index == self._highest + 1:
            self._highest = index
            return True
        if index <= self._highest:
            self.missing.pop(index, None)
            return True
        first, self._highest = self._highest + 1, index
        if index - first + len(self.missing) > MAX_MISSING:
            self.missing.clear()
            return False
        for number in range(first, index):
            self.missing[number] = _Missing(now + FIRST_NACK_S)
        return True

    def due(self, now: float, round_trip_s: float) -> tuple[list[int], int]:
        """The 16-bit sequence numbers to ask for at `now`, rising, and how many were given up."""
        wanted, given_up = [], []
        interval = max(NACK_INTERVAL_S, min(round_trip_s, 0.25))
        for index, missing in self.missing.items():
            if missing.due > now:
                continue
            if missing.requests == MAX_NACKS:
                given_up.append(index)
                continue
            missing.requests += 1
            missing.due = now + interval
            wanted.append(index & 0xFFFF)
        for index in given_up:
            del self.missing[index]
        return wanted, len(given_up)


class RetransmissionRing:
    """The last packets of one stream, by sequence number."""

    def __init__(self, size: int) -> None:
        """`size` must be a power of two. Raising it repairs longer outages; lowering it takes less memory."""
        self._mask = size - 1
        self._packets: list[MediaPacket | None] = [None] * size

    def put(self, packet: MediaPacket) -> bool:
        """Keep a packet instead of one `size` numbers older; False when it, or a newer one, stands there."""
        index = packet.extended
        at = index & self._mask
        held = self._packets[at]
        if held is not None and held.extended >= index:
            return False
        self._packets[at] = packet
        return True

    def get(self, sequence_number: int) -> MediaPacket | None:
        """The packet with this 16-bit sequence number, if it is still there."""
        packet = self._packets[sequence_number & self._mask]
        return packet if packet is not None and packet.sequence_number == sequence_number else None
