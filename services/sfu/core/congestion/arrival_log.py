"""What a publisher's numbered packets arrive at, and the transport-wide feedback that is made of it."""

from typing import Final

from services.sfu.core.wire.transport_cc import MAX_STATUSES, build_feedback

# Between two feedback packets. Raising it makes the publisher react later; lowering it costs more RTCP and wake-ups.
FEEDBACK_INTERVAL_S: Final = 0.1
# How long arrivals are kept for packets that come late. Raising it costs memory; lowering it makes reordered packets
# count as lost.
KEPT_S: Final = 0.5


class ArrivalLog:
    """What came of a publisher's numbered packets."""

    def __init__(self) -> None:
        self._arrivals: dict[int, float] = {}
        self._highest: int | None = None
        self._next_base = 0
        self._feedback_count = 0
        self._due = 0.0

    def add_arrival(self, number: int, now: float) -> None:
        """Note a packet with this 16-bit number."""
        if self._highest is None:
            index = self._next_base = number + 0x10000
        else:
            distance = (number - self._highest) & 0xFFFF
            index = self._highest + (distance if distance < 0x8000 else distance - 0x10000)
        if self._highest is None or index > self._highest:
            self._highest = index
        elif index < self._highest - MAX_STATUSES or index in self._arrivals:
            return
        self._arrivals[index] = now
        if index < self._next_base:
            # The next feedback goes back to it: else a packet that was merely late would stay lost.
            self._next_base = index

    def take_feedback(self, now: float) -> bytes | None:
        """The feedback control information that is due at `now`, or None."""
        if self._highest is None or now < self._due or self._highest < self._next_base:
            return None
        self._due = now + FEEDBACK_INTERVAL_S
        base = max(self._next_base, self._highest + 1 - MAX_STATUSES)
        arrivals = [self._arrivals.get(index) for index in range(base, self._highest + 1)]
        while arrivals and arrivals[0] is None:
            base += 1
            del arrivals[0]
        self._next_base = self._highest + 1
        fci = build_feedback(base, arrivals, self._feedback_count)
        self._feedback_count = (self._feedback_count + 1) & 0xFF
        self._arrivals = {index: at for index, at in self._arrivals.items() if now - at < KEPT_S}
        return fci
