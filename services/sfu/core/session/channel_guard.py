"""What one participant's data channel may cost the worker, judged before SCTP reads a datagram (RFC 9260).

The SCTP that we use trusts its peer: it follows a parameter of no length for ever, walks each acknowledged range number
by number, sorts all gaps for each chunk that comes, and enforces no window. What is judged here is far above what a
client of this channel does, and bounds what one datagram can cost by counted work.
"""

from typing import Final

from services.sfu.core.session.budgets import Budget

# Chunks of one datagram, and parameters of a chunk. Raising these makes a datagram cost more; lowering them cuts off
# clients that bundle many small messages.
MAX_CHUNKS: Final = 32
MAX_PARAMETERS: Final = 16
# What a peer may say that it lacks of ours, in blocks, and has got beyond them, in chunks: we leave no more than 64 KiB
# unacknowledged, which is some hundred chunks.
MAX_SACK_GAPS: Final = 64
MAX_SACKED: Final = 1024
# The channel is stream 0; what else a client opens is its own affair, within this.
MAX_STREAMS: Final = 16
# What may wait for chunks that did not come. Beyond it the association ends. SCTP walks all parts for each chunk: 256
# of them made 70,000 lines of one datagram.
MAX_GAPS: Final = 64
MAX_PARTS: Final = 48
MAX_HELD_BYTES: Final = 128 * 1024
# A second. A client says some messages a second, and acknowledges ours.
DATAGRAMS_PER_S: Final = 256
CHUNKS_PER_S: Final = 512
BYTES_PER_S: Final = 256 * 1024

_HEADER_BYTES: Final = 12
_DATA, _INIT, _INIT_ACK, _SACK, _RECONFIG, _FORWARD_TSN = 0, 1, 2, 3, 130, 192
# Where a chunk's parameters begin in its body, of those that have some.
_PARAMETERS_AT: Final = {_INIT: 16, _INIT_ACK: 16, 4: 0, 5: 0, 6: 0, 9: 0, _RECONFIG: 0}


class ChannelGuard:
    """Judges the datagrams of one association."""

    def __init__(self) -> None:
        self._datagrams = Budget(DATAGRAMS_PER_S)
        self._chunks = Budget(CHUNKS_PER_S)
        self._bytes = Budget(BYTES_PER_S)

    def admit(self, datagram: bytes, now: float) -> str:
        """Why SCTP must not read the datagram, in a word; empty when it may. What is dropped is sent again."""
        if not (self._datagrams.spend(1, now) and self._bytes.spend(len(datagram), now)):
            return "flood"
        chunks = 0
        at, end = _HEADER_BYTES, len(datagram)
        while at + 4 <= end:
            chunks += 1
            length = int.from_bytes(datagram[at + 2 : at + 4], "big")
            if length < 4 or at + length > end or chunks > MAX_CHUNKS:
                return "chunks"
            reason = _judge(datagram[at], datagram[at + 4 : at + length])
            if reason:
                return reason
            at += length + -length % 4
        return "" if self._chunks.spend(chunks, now) else "flood"


def is_too_much(gaps: int, parts: int, held_bytes: int) -> bool:
    """Whether what an association holds for chunks that did not come is more than a client causes."""
    return gaps > MAX_GAPS or parts > MAX_PARTS or held_bytes > MAX_HELD_BYTES


def _judge(kind: int, body: bytes) -> str:
    if kind == _DATA:
        return "" if len(body) >= 12 and _number(body, 4) < MAX_STREAMS else "data"
    if kind == _SACK:
        return "" if _is_sack(body) else "sack"
    if kind == _FORWARD_TSN:
        return "" if _is_forward(body) else "forward_tsn"
    begin = _PARAMETERS_AT.get(kind)
    return "" if begin is None or _are_parameters(body, begin) else "parameters"


def _is_sack(body: bytes) -> bool:
    if len(body) < 12:
        return False
    gaps, duplicates = _number(body, 8), _number(body, 10)
    if gaps > MAX_SACK_GAPS or 12 + 4 * (gaps + duplicates) > len(body):
        return False
    sacked = 0
    for at in range(12, 12 + 4 * gaps, 4):
        sacked += max(0, _number(body, at + 2) - _number(body, at) + 1)
    return sacked <= MAX_SACKED


def _is_forward(body: bytes) -> bool:
    streams = (len(body) - 4) // 4
    if len(body) < 4 or len(body) % 4 or streams > MAX_STREAMS:
        return False
    return all(_number(body, 4 + 4 * index) < MAX_STREAMS for index in range(streams))


def _are_parameters(body: bytes, at: int) -> bool:
    if at and len(body) < at:
        return False
    count = 0
    while at + 4 <= len(body):
        length = _number(body, at + 2)
        count += 1
        # Of none at all it would never come to an end.
        if length < 4 or count > MAX_PARAMETERS:
            return False
        at += length + -length % 4
    return True


def _number(body: bytes, at: int) -> int:
    return body[at] << 8 | body[at + 1]
