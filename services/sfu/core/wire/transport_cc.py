"""Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01), read and written."""

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
        for index, symbol in enumerate(symbols[at : at + 7]):
            chunk |= symbol << (12 - 2 * index)
        yield chunk
        at += 7
