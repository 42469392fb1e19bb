"""The packets of one stream for other workers of the call: as they came, from a key frame on, and again when lost."""

from collections.abc import Collection
from typing import Final, final

from services.sfu.core.ids import LegNumber, ParticipantNumber
from services.sfu.core.wire.relay_frames import build_media
from services.sfu.core.wire.rtp import MediaPacket

# Packets kept for repairs on the leg; a power of two. Raising it repairs longer outages; lowering it takes less memory.
KEPT_PACKETS: Final = 512


class Epochs:
    """Numbers the times that streams begin on one leg, from `first` on."""

    def __init__(self, first: int = 1) -> None:
        self._last = first - 1

    def next(self) -> int:
        """Greater than all before."""
        self._last += 1
        return self._last


@final
class _LegStream:
    """The stream on one leg; `epoch` is 0 while it waits for a key frame."""

    __slots__ = ("began_at", "epoch", "epochs")

    def __init__(self, epochs: Epochs) -> None:
        self.epochs = epochs
        self.epoch = 0
        self.began_at = 0


@final
class StreamRelay:
    """Where one stream goes to, by leg."""

    def __init__(self, publisher: ParticipantNumber) -> None:
        self._publisher = publisher
        self.legs: dict[LegNumber, _LegStream] = {}
        # (extended number, datagram).
        self._kept: list[tuple[int, bytes] | None] = [None] * KEPT_PACKETS

    def follow(self, wanting: Collection[tuple[LegNumber, Epochs]]) -> bool:
        """Go to these legs and no others; whether one is new, which begins with a key frame."""
        before = self.legs
        self.legs = {number: before.get(number) or _LegStream(epochs) for number, epochs in wanting}
        return any(number not in before for number in self.legs)

    def waits(self, leg: LegNumber) -> bool:
        """Whether a leg gets nothing before the next key frame."""
        stream = self.legs.get(leg)
        return stream is not None and not stream.epoch

    def forward(self, packet: MediaPacket, datagram: bytes) -> list[tuple[LegNumber, bytes]]:
        """The frames of a packet that has not come before, with their legs."""
        index = packet.extended
        at = index % KEPT_PACKETS
        kept = self._kept[at]
        if kept is None or kept[0] < index:
            self._kept[at] = (index, datagram)
        frames: list[tuple[LegNumber, bytes]] = []
        for number, stream in self.legs.items():
            if not stream.epoch:
                if not packet.info.is_key_frame:
                    continue
                stream.epoch, stream.began_at = stream.epochs.next(), index
            elif index < stream.began_at:
                continue
            frames.append((number, build_media(self._publisher, stream.epoch, datagram)))
        return frames

    def find(self, leg: LegNumber, sequence_number: int) -> bytes | None:
        """The frame of a packet that was lost on a leg; None when it never went there, or is not kept any more."""
        stream, kept = self.legs.get(leg), self._kept[sequence_number % KEPT_PACKETS]
        if stream is None or not stream.epoch or kept is None:
            return None
        index, datagram = kept
        if index & 0xFFFF != sequence_number or index < stream.began_at:
            return None
        return build_media(self._publisher, stream.epoch, datagram)
