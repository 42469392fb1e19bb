"""What an H.264 payload says of its picture (RFC 6184): whether it begins with a parameter set, and the height in that.

Source of the sequence parameter set: ITU-T H.264 sections 7.3.2.1.1 and 7.4.2.1.1.
"""

from typing import Final

from services.sfu.core.wire.bits import Bits, CutShort

# A parameter set takes some 30 bytes; what is beyond this of one is not read. Raising it lets a packet cost more;
# lowering it does not tell the height where much comes before it.
MAX_SPS_BYTES: Final = 64
# Pictures are no higher; what is read of encrypted bytes mostly is.
MAX_HEIGHT: Final = 8192

_SPS: Final = 7
_STAP_A: Final = 24
_FU_A: Final = 28
_EMULATION: Final = b"\x00\x00\x03"
# Those with a chroma format and bit depths.
_HIGH_PROFILES: Final = frozenset((44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244))
# Reference frames in the cycle of picture order count type 1.
_MAX_CYCLE: Final = 255


def find_parameter_set(payload: bytes) -> bytes | None:
    """The first sequence parameter set of a payload, with its NAL unit's header; None without one.

    No IDR picture can be decoded without it. Of one that is cut into fragments it is the first.
    """
    if not payload:
        return None
    kind = payload[0] & 0x1F
    if kind == _STAP_A:
        at = 1
        while at + 2 < len(payload):
            size = payload[at] << 8 | payload[at + 1]
            if payload[at + 2] & 0x1F == _SPS:
                return payload[at + 2 : at + 2 + size]
            at += 2 + size
        return None
    if kind == _FU_A:
        is_first = len(payload) > 1 and payload[1] & 0x9F == 0x80 | _SPS
        return payload[1:] if is_first else None
    return payload if kind == _SPS else None


def read_height(parameter_set: bytes) -> int:
    """Of the pictures, in pixels; 0 when it cannot be told."""
    try:
        return _read_height(Bits(parameter_set[1:MAX_SPS_BYTES].replace(_EMULATION, b"\x00\x00")))
    except CutShort:
        return 0


def _read_height(bits: Bits) -> int:
    profile = bits.read(8)
    bits.read(16)
    bits.read_golomb()
    chroma = _read_chroma(bits) if profile in _HIGH_PROFILES else 1
    bits.read_golomb()
    _skip_order(bits)
    bits.read_golomb()
    bits.read(1)
    bits.read_golomb()
    units = bits.read_golomb() + 1
    # 1 for frames, 2 where they may be cut into fields.
    fields = 2 - bits.read(1)
    bits.read(fields)
    height = 16 * units * fields
    if bits.read(1):
        bits.read_golomb()
        bits.read_golomb()
        cropped = bits.read_golomb() + bits.read_golomb()
        height -= cropped * fields * (2 if chroma == 1 else 1)
    return height if 0 < height <= MAX_HEIGHT else 0


def _read_chroma(bits: Bits) -> int:
    """chroma_format_idc, past what comes with it."""
    chroma = bits.read_golomb()
    if chroma == 3:
        bits.read(1)
    bits.read_golomb()
    bits.read_golomb()
    bits.read(1)
    if bits.read(1):
        # Scaling lists, which no encoder of calls sends.
        raise CutShort
    return chroma


def _skip_order(bits: Bits) -> None:
    """The picture order count."""
    kind = bits.read_golomb()
    if kind == 0:
        bits.read_golomb()
    elif kind == 1:
        bits.read(1)
        bits.read_golomb()
        bits.read_golomb()
        count = bits.read_golomb()
        if count > _MAX_CYCLE:
            raise CutShort
        for _ in range(count):
            bits.read_golomb()
