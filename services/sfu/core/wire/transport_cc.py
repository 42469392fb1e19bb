"""Transport-wide congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01): both ends of its feedback.

ArrivalLog notes what a publisher's packets arrive at, and writes the feedback. SendHistory numbers what is sent to a
receiver and turns its feedback into facts for the estimator.
"""

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Final, NamedTuple

_HEAD: Final = Struct("!HHI")
# Units of the wire: the reference time counts 64 ms, a delta 0.25 ms.
_REFERENCE_S: Final = 0.064
_DELTA_S: Final = 0.00025
_REFERENCE_SPAN: Final = 1 << 24
_SMALL: Final = 1
_LARGE: Final = 2
_MAX_RUN: Final = 0x1FFF

# Feedback is sent this often. Higher: later reactions of the publisher. Lower: more RTCP and wake-ups.
FEEDBACK_INTERVAL_S: Final = 0.1
# Arrivals kept for packets that come late. Higher: memory. Lower: reordered packets count as lost.
KEPT_S: Final = 0.5
# Packets that one feedback speaks of. A wider gap is skipped: its packets are lost for good.
MAX_STATUSES: Final = 1024


class Feedback(NamedTuple):
    """One feedback packet: `arrivals[i]` is when packet `base + i` came, in seconds of the receiver's clock, or None.

    The clock begins anywhere and rolls over after 12 days.
    """

    base: int
    arrivals: list[float | None]


def parse_feedback(fci: bytes, most: int = MAX_STATUSES) -> Feedback | None:
    """The feedback control information of an RTPFB packet of format 15, `most` packets of it; None when it does not add
    up."""
    if len(fci) < _HEAD.size:
        return None
    head: tuple[int, int, int] = _HEAD.unpack_from(fci)
    base, count, reference = head
    statuses = _read_statuses(fci, min(count, most))
    if statuses is None:
        return None
    symbols, at = statuses
    clock = (reference >> 8) * _REFERENCE_S
    arrivals: list[float | None] = []
    append = arrivals.append
    size = len(fci)
    for symbol in symbols:
        if symbol == _SMALL:
            if at >= size:
                return None
            clock += fci[at] * _DELTA_S
            at += 1
            append(clock)
        elif symbol == _LARGE:
            if at + 2 > size:
                return None
            delta = fci[at] << 8 | fci[at + 1]
            clock += (delta - 65536 if delta & 0x8000 else delta) * _DELTA_S
            at += 2
            append(clock)
        else:
            append(None)
    return Feedback(base, arrivals)


def _read_statuses(fci: bytes, count: int) -> tuple[list[int], int] | None:
    """The status symbols, and where the deltas begin."""
    symbols: list[int] = []
    at = _HEAD.size
    while len(symbols) < count:
        if at + 2 > len(fci):
            return None
        chunk = fci[at] << 8 | fci[at + 1]
        at += 2
        if not chunk & 0x8000:
            symbols += [chunk >> 13 & 3] * min(chunk & _MAX_RUN, count)
            if not chunk & _MAX_RUN:
                return None
        elif chunk & 0x4000:
            symbols += [chunk >> shift & 3 for shift in (12, 10, 8, 6, 4, 2, 0)]
        else:
            symbols += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    del symbols[count:]
    return symbols, at


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


def build_feedback(base: int, arrivals: Sequence[float | None], feedback_count: int) -> bytes:
    """Feedback control information, padded to whole words; the first arrival must be known."""
    assert arrivals[0] is not None
    reference = int(arrivals[0] / _REFERENCE_S)
    clock = reference * round(_REFERENCE_S / _DELTA_S)
    symbols: list[int] = []
    deltas = bytearray()
    for at in arrivals:
        if at is None:
            symbols.append(0)
            continue
        delta = round(at / _DELTA_S) - clock
        delta = min(max(delta, -0x8000), 0x7FFF)
        clock += delta
        if 0 <= delta <= 255:
            symbols.append(_SMALL)
            deltas.append(delta)
        else:
            symbols.append(_LARGE)
            deltas += delta.to_bytes(2, "big", signed=True)
    head = _HEAD.pack(base & 0xFFFF, len(arrivals), (reference % _REFERENCE_SPAN) << 8 | feedback_count)
    body = head + b"".join(chunk.to_bytes(2, "big") for chunk in _chunks(symbols)) + deltas
    return body + bytes(-len(body) % 4)


def _chunks(symbols: Sequence[int]) -> Iterator[int]:
    at = 0
    while at < len(symbols):
        run = 1
        while at + run < len(symbols) and run < _MAX_RUN and symbols[at + run] == symbols[at]:
            run += 1
        if run >= 7 or at + run == len(symbols):
            yield symbols[at] << 13 | run
            at += run
            continue
        chunk = 0xC000
        for place, symbol in enumerate(symbols[at : at + 7]):
            chunk |= symbol << (12 - 2 * place)
        yield chunk
        at += 7


# A packet that the receiver told of: when it was sent, when it arrived (None: lost), each in seconds of its own end's
# clock, and its bytes. A plain tuple, because one is made for each packet that is forwarded.
Sent = tuple[float, float | None, int]


# A power of two: packets under way at 4 Mbit/s over 2 s. Higher: memory a receiver. Lower: late feedback is lost.
HISTORY_SIZE: Final = 1024
_MASK: Final = HISTORY_SIZE - 1


class SendHistory:
    """Numbers the packets to one receiver, and remembers when they were sent and how large they were."""

    def __init__(self) -> None:
        self.next_number = 0
        self._sent: list[tuple[float, int] | None] = [None] * HISTORY_SIZE
        self._heard = -1

    @property
    def waiting_since(self) -> float | None:
        """When the first packet was sent after the last that was told of; None while there is none."""
        index = self._heard + 1
        if index >= self.next_number:
            return None
        sent = self._sent[max(index, self.next_number - HISTORY_SIZE) & _MASK]
        return None if sent is None else sent[0]

    def note(self, sent: tuple[float, int]) -> int:
        """The next 16-bit number, for a packet: when it is sent, and its bytes."""
        number = self.next_number
        self.next_number = number + 1
        self._sent[number & _MASK] = sent
        return number & 0xFFFF

    def resolve(self, feedback: Feedback) -> list[Sent]:
        """What the feedback says of packets that are still remembered, in their order.

        A packet is told of as arrived once; one that was told of as lost may be told of as arrived later.
        """
        mask = _MASK
        last = self.next_number - 1
        first = last - ((last - feedback.base) & 0xFFFF)
        oldest = self.next_number - HISTORY_SIZE
        results: list[Sent] = []
        for index, arrived_at in enumerate(feedback.arrivals, start=first):
            if index > last:
                break
            sent = self._sent[index & mask]
            if index < oldest or sent is None:
                continue
            if arrived_at is not None:
                self._sent[index & mask] = None
            elif index <= self._heard:
                continue
            results.append((sent[0], arrived_at, sent[1]))
            if index > self._heard:
                self._heard = index
        return results
