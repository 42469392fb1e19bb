"""RED (RFC 2198) for voice where a receiver loses packets: each goes out once more with the next one.

It is made here rather than by publishers. A receiver's loss is known here, so that nobody else gets larger packets, and
neither the packets of those without loss nor those that publishers send cost anything for it.
"""

from struct import Struct
from typing import Final, final

from services.sfu.core.wire.codecs import PayloadInfo
from services.sfu.core.wire.rtp import MediaPacket

# Loss of a receiver's voice from which on it gets RED, and below which it does without after QUIET_WINDOWS. Of 2 % lost
# by chance 0.04 % are left. Raising the first leaves more gaps; lowering it doubles voice on paths that lose one packet
# now and then. Raising the second goes to and fro; lowering it keeps RED for longer.
BEGIN_LOSS: Final = 0.02
END_LOSS: Final = 0.005
# Raising it keeps RED for longer after the last loss; lowering it takes RED away between two bursts.
QUIET_WINDOWS: Final = 4
# Packets that loss is counted over, 4 s of speech: some browsers report each second, others each fifth. Raising it
# reacts later; lowering it takes a few packets lost now and then for a lossy path.
WINDOW_PACKETS: Final = 200

# RFC 2198 section 3: 14 bits of timestamp offset, 10 bits of length.
_MAX_OFFSET: Final = (1 << 14) - 1
_MAX_BLOCK: Final = (1 << 10) - 1
# What is sent stays below the smallest MTU of IPv6. Raising it makes fragments; lowering it leaves large packets alone.
_MAX_PAYLOAD: Final = 1200
_pack_headers: Final = Struct("!IB").pack


@final
class RedundancySwitch:
    """Whether a receiver gets its voices with redundancy, by what it reports."""

    __slots__ = ("_expected", "_lost", "_quiet", "is_on", "was_on")

    def __init__(self) -> None:
        self.is_on = False
        # Once, since the slot is there.
        self.was_on = False
        self._expected = self._lost = 0
        self._quiet = 0

    def note_report(self, expected: int, lost: int) -> bool:
        """Take in how many of so many packets were lost; whether that has switched it."""
        self._expected += expected
        self._lost += lost
        if self._expected < WINDOW_PACKETS:
            return False
        loss = self._lost / self._expected
        self._expected = self._lost = 0
        self._quiet = self._quiet + 1 if loss < END_LOSS else 0
        is_on = self._quiet < QUIET_WINDOWS if self.is_on else loss >= BEGIN_LOSS
        has_changed = is_on != self.is_on
        self.is_on = is_on
        self.was_on = self.was_on or is_on
        return has_changed


def bundle(packet: MediaPacket, before: MediaPacket | None, opus_type: int) -> MediaPacket:
    """An Opus packet as one of RED, with the one that was sent before it; alone where that does not fit.

    `opus_type` is the receiver's.
    """
    payload = packet.info.payload
    bundled = bytes((opus_type,)) + payload
    if before is not None:
        block = before.info.payload
        offset = (packet.timestamp - before.timestamp) & 0xFFFFFFFF
        is_fit = 0 < offset <= _MAX_OFFSET and 0 < len(block) <= _MAX_BLOCK
        if is_fit and len(block) + len(payload) <= _MAX_PAYLOAD:
            bundled = _pack_headers(1 << 31 | opus_type << 24 | offset << 10 | len(block), opus_type) + block + payload
    info = PayloadInfo(bundled, is_key_frame=True)
    number, timestamp = packet.sequence_number, packet.timestamp
    return MediaPacket(packet.extended, number, timestamp, packet.marker, "red", info, packet.level)
