"""RTCP: the few packets an SFU reads and writes.

Sources: RFC 3550 section 6 (SR, RR, SDES, BYE), RFC 4585 (NACK, PLI), RFC 5104 (FIR),
draft-alvestrand-rmcat-remb-03 (REMB), draft-holmer-rmcat-transport-wide-cc-extensions-01 (carried, read in
transport_cc.py). Packets of other types are skipped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from struct import Struct
from typing import Final

from services.sfu.core.errors import PacketError

_SR: Final = 200
_RR: Final = 201
_SDES: Final = 202
_BYE: Final = 203
_RTPFB: Final = 205
_PSFB: Final = 206
_NACK: Final = 1
_TRANSPORT_CC: Final = 15
_PLI: Final = 1
_FIR: Final = 4
_APPLICATION: Final = 15

# What is read of one compound packet: numbers in NACKs, statuses in transport-wide feedback, and entries of all kinds.
# More cannot be repaired in time, or comes from no real client: 224 statuses are 50 ms at 35 Mbit/s. Raising these
# makes one packet cost more; lowering them leaves losses on bad paths unrepaired.
MAX_NACKED: Final = 128
MAX_STATUSES: Final = 224
MAX_REPORTS: Final = 128

_COMMON: Final = Struct("!BBH")
_SENDER_INFO: Final = Struct("!IQIII")
_REPORT_BLOCK: Final = Struct("!IIIIII")
_FEEDBACK: Final = Struct("!II")
_NACK_ITEM: Final = Struct("!HH")

_MAX_REMB_MANTISSA: Final = 0x3FFFF


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What one side received of one stream (RFC 3550 section 6.4.1). Jitter in timestamp units, delays in 1/65536 s."""

    ssrc: int
    fraction_lost: int
    packets_lost: int
    highest_sequence: int
    jitter: int
    last_sr: int
    delay_since_last_sr: int


@dataclass(frozen=True, slots=True)
class SenderReport:
    """The sender's clock against its timestamps; `ntp` is 64 bits of NTP time."""

    ssrc: int
    ntp: int
    rtp_timestamp: int
    packet_count: int
    octet_count: int


@dataclass(frozen=True, slots=True)
class Nack:
    """Sequence numbers of one stream that are missing."""

    media_ssrc: int
    sequence_numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeyFrameRequest:
    """A PLI, or one entry of a FIR."""

    media_ssrc: int


@dataclass(frozen=True, slots=True)
class Remb:
    """The receiver's estimate of what reaches it, for all the streams together."""

    bitrate_bps: int


@dataclass(frozen=True, slots=True)
class Bye:
    """Streams that have ended."""

    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TransportFeedback:
    """Transport-wide feedback, unread: transport_cc.parse_feedback. `most`: how many of its statuses are to be read."""

    fci: bytes
    most: int = field(default=MAX_STATUSES, compare=False)


Report = TransportFeedback | ReportBlock | SenderReport | Nack | KeyFrameRequest | Remb | Bye


def parse_compound(data: bytes) -> list[Report]:
    """What a compound packet in clear text says, as far as it is read.

    PacketError("rtcp_malformed") when its lengths do not add up.
    """
    reports: list[Report] = []
    numbers, statuses = MAX_NACKED, MAX_STATUSES
    at = 0
    while at < len(data):
        if len(data) - at < _COMMON.size:
            raise PacketError("rtcp_malformed")
        common: tuple[int, int, int] = _COMMON.unpack_from(data, at)
        first, packet_type, words = common
        end = at + 4 * (words + 1)
        if first >> 6 != 2 or end > len(data):
            raise PacketError("rtcp_malformed")
        body = data[at + 4 : end]
        if first & 0x20:
            body = _without_padding(body)
        for report in _parse_one(packet_type, first & 0x1F, body, numbers):
            if isinstance(report, Nack):
                numbers -= len(report.sequence_numbers)
            elif isinstance(report, TransportFeedback):
                report = TransportFeedback(report.fci, statuses)
                statuses -= min(int.from_bytes(report.fci[2:4], "big"), statuses)
            reports.append(report)
            if len(reports) == MAX_REPORTS:
                return reports
        at = end
    return reports


def _without_padding(body: bytes) -> bytes:
    if not body or not 0 < body[-1] <= len(body):
        raise PacketError("rtcp_malformed")
    return body[: -body[-1]]


def _parse_one(packet_type: int, count: int, body: bytes, numbers: int) -> Iterable[Report]:
    if packet_type == _SR:
        if len(body) < _SENDER_INFO.size:
            raise PacketError("rtcp_malformed")
        return [SenderReport(*_SENDER_INFO.unpack_from(body)), *_report_blocks(body[_SENDER_INFO.size :], count)]
    if packet_type == _RR:
        return _report_blocks(body[4:], count)
    if packet_type == _BYE:
        ends = range(4, min(4 * count, len(body)) + 1, 4)
        return [Bye(tuple(int.from_bytes(body[end - 4 : end], "big") for end in ends))]
    if packet_type in (_RTPFB, _PSFB):
        if len(body) < _FEEDBACK.size:
            raise PacketError("rtcp_malformed")
        _, media_ssrc = _FEEDBACK.unpack_from(body)
        return _parse_feedback(packet_type, count, media_ssrc, body[_FEEDBACK.size :], numbers)
    return []


def _report_blocks(body: bytes, count: int) -> list[ReportBlock]:
    if len(body) < count * _REPORT_BLOCK.size:
        raise PacketError("rtcp_malformed")
    blocks = []
    for at in range(0, count * _REPORT_BLOCK.size, _REPORT_BLOCK.size):
        ssrc, loss, highest, jitter, last_sr, delay = _REPORT_BLOCK.unpack_from(body, at)
        lost = loss & 0xFFFFFF
        if lost >= 1 << 23:
            lost -= 1 << 24
        blocks.append(ReportBlock(ssrc, loss >> 24, lost, highest, jitter, last_sr, delay))
    return blocks


def _parse_feedback(packet_type: int, fmt: int, media_ssrc: int, fci: bytes, numbers: int) -> list[Report]:
    if packet_type == _RTPFB:
        if fmt == _TRANSPORT_CC:
            return [TransportFeedback(fci)]
        return [Nack(media_ssrc, tuple(islice(_nack_numbers(fci), numbers)))] if fmt == _NACK and numbers else []
    if fmt == _PLI:
        return [KeyFrameRequest(media_ssrc)]
    if fmt == _FIR:
        return [
            KeyFrameRequest(int.from_bytes(fci[at : at + 4], "big"))
            for at in range(0, min(len(fci) - 7, 8 * MAX_REPORTS), 8)
        ]
    if fmt == _APPLICATION and fci[:4] == b"REMB" and len(fci) >= 8:
        mantissa = int.from_bytes(fci[5:8], "big")
        return [Remb((mantissa & _MAX_REMB_MANTISSA) << (mantissa >> 18))]
    return []


def _nack_numbers(fci: bytes) -> Iterable[int]:
    for at in range(0, len(fci) - 3, 4):
        first, mask = _NACK_ITEM.unpack_from(fci, at)
        yield first
        while mask:
            first += 1
            if mask & 1:
                yield first & 0xFFFF
            mask >>= 1


def _packet(packet_type: int, count: int, body: bytes) -> bytes:
    return _COMMON.pack(0x80 | count, packet_type, len(body) // 4) + body


def _blocks(blocks: Sequence[ReportBlock]) -> bytes:
    return b"".join(
        _REPORT_BLOCK.pack(
            block.ssrc,
            block.fraction_lost << 24 | min(max(block.packets_lost, -(1 << 23)), (1 << 23) - 1) & 0xFFFFFF,
            block.highest_sequence & 0xFFFFFFFF,
            block.jitter & 0xFFFFFFFF,
            block.last_sr,
            block.delay_since_last_sr & 0xFFFFFFFF,
        )
        for block in blocks
    )


def build_receiver_report(sender_ssrc: int, blocks: Sequence[ReportBlock] = ()) -> bytes:
    """One RR packet; at most 31 blocks."""
    return _packet(_RR, len(blocks), sender_ssrc.to_bytes(4, "big") + _blocks(blocks))


def build_sender_report(report: SenderReport) -> bytes:
    """One SR packet without report blocks."""
    body = _SENDER_INFO.pack(
        report.ssrc,
        report.ntp,
        report.rtp_timestamp,
        report.packet_count & 0xFFFFFFFF,
        report.octet_count & 0xFFFFFFFF,
    )
    return _packet(_SR, 0, body)


def build_cname(ssrc: int, cname: bytes) -> bytes:
    """One SDES packet with a CNAME item of at most 255 bytes."""
    chunk = ssrc.to_bytes(4, "big") + bytes((1, len(cname))) + cname + b"\x00"
    return _packet(_SDES, 1, chunk + bytes(-len(chunk) % 4))


def build_nack(sender_ssrc: int, media_ssrc: int, sequence_numbers: Iterable[int]) -> bytes:
    """One generic NACK packet (RFC 4585 section 6.2.1); the numbers in rising order, roll-over allowed."""
    items: list[list[int]] = []
    for number in sequence_numbers:
        distance = (number - items[-1][0]) & 0xFFFF if items else 0
        if items and 1 <= distance <= 16:
            items[-1][1] |= 1 << (distance - 1)
        else:
            items.append([number, 0])
    fci = b"".join(_NACK_ITEM.pack(*item) for item in items)
    return _packet(_RTPFB, _NACK, _FEEDBACK.pack(sender_ssrc, media_ssrc) + fci)


def build_pli(sender_ssrc: int, media_ssrc: int) -> bytes:
    """One picture loss indication."""
    return _packet(_PSFB, _PLI, _FEEDBACK.pack(sender_ssrc, media_ssrc))


def build_fir(sender_ssrc: int, media_ssrc: int, command: int) -> bytes:
    """One full intra request (RFC 5104 section 4.3.1); `command` counts the requests for this stream."""
    fci = media_ssrc.to_bytes(4, "big") + bytes((command & 0xFF, 0, 0, 0))
    return _packet(_PSFB, _FIR, _FEEDBACK.pack(sender_ssrc, 0) + fci)


def build_bye(ssrcs: Sequence[int]) -> bytes:
    """One BYE packet; at most 31 streams."""
    return _packet(_BYE, len(ssrcs), b"".join(ssrc.to_bytes(4, "big") for ssrc in ssrcs))


def build_transport_feedback(sender_ssrc: int, media_ssrc: int, fci: bytes) -> bytes:
    """One transport-wide feedback packet around whole words of control information."""
    return _packet(_RTPFB, _TRANSPORT_CC, _FEEDBACK.pack(sender_ssrc, media_ssrc) + fci)


def build_remb(sender_ssrc: int, bitrate_bps: int, ssrcs: Sequence[int]) -> bytes:
    """One REMB packet that lets `ssrcs` together use `bitrate_bps`; at most 255 of them."""
    exponent = max(bitrate_bps.bit_length() - 18, 0)
    mantissa = bitrate_bps >> exponent
    fci = b"REMB" + bytes((len(ssrcs),)) + (exponent << 18 | mantissa).to_bytes(3, "big")
    fci += b"".join(ssrc.to_bytes(4, "big") for ssrc in ssrcs)
    return _packet(_PSFB, _APPLICATION, _FEEDBACK.pack(sender_ssrc, 0) + fci)
