"""What makes one outbound stream of many sources: offsets on every number, and numbers without holes where frames are
left out: temporal layers, and with a dependency descriptor spatial ones (frame_selection.py)."""

from bisect import bisect_right
from collections import deque
from typing import Final, NamedTuple

from services.sfu.core.forwarding.frame_selection import FrameSelection
from services.sfu.core.forwarding.nack import RetransmissionRing
from services.sfu.core.wire.codecs import ALL_SPATIAL, ALL_TEMPORAL
from services.sfu.core.wire.dependency_descriptor import Frame
from services.sfu.core.wire.rtp import MediaPacket

# Shifts that are kept for late packets and repairs: at 20 frames left out a second, about 5 s. Raising it costs memory
# for each slot; lowering it refuses old repairs.
MAX_SHIFTS: Final = 100
# Late packets of frames that were left out, which go out empty: their numbers were kept free for them. Raising it costs
# memory for each slot; lowering it leaves holes in the numbers.
MAX_EMPTY: Final = 64
# Packets that went out as the last ones of their pictures, which a repair must repeat: as many as a source's ring has.
# Raising it costs memory for each slot; lowering it sends old repairs without their marker.
MAX_LAST: Final = 512


class _Shift(NamedTuple):
    """From this index on (extended sequence number of the source), these offsets."""

    first_index: int
    sequence: int
    picture_id: int


class Offsets:
    """The numbers of one slot's stream."""

    def __init__(self, next_sequence_number: int, last_timestamp: int) -> None:
        self.timestamp = self.tl0 = 0
        # Sequence numbers up to the newest packet, with those that no packet went out under.
        self.numbers = 0
        self.last_timestamp = last_timestamp
        self._shift = _Shift(0, 0, 0)
        self._shifts: deque[_Shift] = deque([self._shift], MAX_SHIFTS)
        self._first_index = self._next_index = 0
        self._next_sequence_number = next_sequence_number
        self._last_picture_id = self._last_tl0 = 0
        self._temporal = self.wanted_temporal = ALL_TEMPORAL
        self._spatial = self.wanted_spatial = ALL_SPATIAL
        # Of a source with a dependency descriptor.
        self._selection: FrameSelection | None = None
        self._frame: tuple[int, bool] | None = None
        # Packets, by extended number, that go out without a payload, to fill their numbers.
        self.empty: dict[int, None] = {}
        # Those that go out with the marker, as the last ones of what is sent of their pictures.
        self.last: dict[int, None] = {}

    @property
    def is_plain(self) -> bool:
        """Whether everything of the source is let through, at offsets that do not change."""
        return (
            self._temporal == ALL_TEMPORAL == self.wanted_temporal
            and self._spatial == ALL_SPATIAL == self.wanted_spatial
        )

    @property
    def is_stuck(self) -> bool:
        """Whether only a key frame of the source brings the layers that are wanted."""
        selection = self._selection
        return selection is not None and selection.is_stuck(self.wanted_spatial, self.wanted_temporal)

    @property
    def has_more(self) -> bool:
        """Whether more spatial layers are let through than are wanted."""
        return self._spatial > self.wanted_spatial

    def want_layers(self, spatial: int, temporal: int) -> None:
        """The highest layers to let through, from the next frame on that allows it."""
        self.wanted_spatial = spatial
        self.wanted_temporal = temporal

    def switch(self, packet: MediaPacket, timestamp_step: int) -> None:
        """A key frame of another source begins: go on with the numbers after the last ones."""
        info = packet.info
        self._first_index = self._next_index = packet.extended
        self._shift = _Shift(
            packet.extended,
            self._next_sequence_number - packet.sequence_number,
            self._last_picture_id + 1 - info.picture_id,
        )
        self._shifts.clear()
        self._shifts.append(self._shift)
        self.timestamp = self.last_timestamp + timestamp_step - packet.timestamp
        self.tl0 = self._last_tl0 + 1 - info.tl0
        self._temporal, self._spatial = self.wanted_temporal, self.wanted_spatial
        self._frame = None
        self.empty.clear()
        self.last.clear()
        self._selection = None
        if info.frame is not None:
            selection = self._selection = FrameSelection()
            selection.start(info.frame, packet.timestamp, self.wanted_spatial, self.wanted_temporal)
            self._note_last(packet, info.frame, selection)

    def take(self, packet: MediaPacket) -> bool:
        """Whether a packet of the present source is let through; what is not leaves no hole in the numbers."""
        index = packet.extended
        if index < self._next_index:
            return self._take_late(packet, index)
        if self.is_plain or self._keep_frame(packet):
            self.advance(packet)
            return True
        return False

    def _take_late(self, packet: MediaPacket, index: int) -> bool:
        if index < self._first_index or self._find_shift(index) is None:
            return False
        frame, selection = packet.info.frame, self._selection
        if frame is None or selection is None:
            is_kept = packet.info.temporal <= self._temporal
        else:
            is_kept = selection.keep_late(frame)
            if is_kept:
                self._note_last(packet, frame, selection)
        if not is_kept:
            # Part of a frame that is left out, but its number was kept free: fill it with an empty packet.
            if len(self.empty) >= MAX_EMPTY:
                return False
            self.empty[index] = None
        return True

    def _keep_frame(self, packet: MediaPacket) -> bool:
        frame = packet.info.frame
        if frame is not None:
            return self._keep_scalable(packet, frame)
        is_new = self._frame is None or self._frame[0] != packet.timestamp
        if is_new:
            self._step_temporal(packet)
            self._frame = (packet.timestamp, packet.info.temporal <= self._temporal)
        assert self._frame is not None
        if self._frame[1]:
            return True
        self._leave_out(packet, 1 if is_new else 0)
        return False

    def _keep_scalable(self, packet: MediaPacket, frame: Frame) -> bool:
        selection = self._selection
        if selection is None:
            selection = self._selection = FrameSelection()
        is_kept = selection.keep(frame, packet.timestamp, self.wanted_spatial, self.wanted_temporal)
        target = selection.target
        self._spatial = ALL_SPATIAL if target is None else target.spatial
        self._temporal = ALL_TEMPORAL if target is None else target.temporal
        if is_kept:
            self._note_last(packet, frame, selection)
        else:
            # Other pictures refer to a picture by its id (codecs.py: read_vp9): there the ids are not closed up.
            self._leave_out(packet, 0)
        return is_kept

    def _note_last(self, packet: MediaPacket, frame: Frame, selection: FrameSelection) -> None:
        if selection.is_last(frame):
            if len(self.last) >= MAX_LAST:
                del self.last[next(iter(self.last))]
            self.last[packet.extended] = None

    def _leave_out(self, packet: MediaPacket, pictures: int) -> None:
        shift = self._shift
        self._shift = _Shift(packet.extended + 1, shift.sequence - 1, shift.picture_id - pictures)
        if shift.first_index == packet.extended and len(self._shifts) > 1:
            # Nothing went out since: a large frame that is left out takes one place and not many.
            self._shifts.pop()
        self._shifts.append(self._shift)
        self._next_index = packet.extended + 1

    def _step_temporal(self, packet: MediaPacket) -> None:
        if self.wanted_temporal < self._temporal or packet.info.is_key_frame or self.wanted_temporal == self._temporal:
            self._temporal = self.wanted_temporal
        elif packet.info.is_sync and packet.info.temporal == self._temporal + 1:
            # Only a frame that needs nothing of its own layer can begin one. Above the last there is all.
            self._temporal += 1
            if self.wanted_temporal == ALL_TEMPORAL and self._temporal == ALL_TEMPORAL - 1:
                self._temporal = ALL_TEMPORAL

    def advance(self, packet: MediaPacket) -> None:
        """The packet goes out, and none before it has a later number; the numbers after it follow."""
        info, shift = packet.info, self._shift
        if info.frame is not None and self._selection is not None and self._selection.target is None:
            self._selection.note_sent(info.frame, packet.timestamp)
        self._next_index = packet.extended + 1
        next_number = (packet.sequence_number + shift.sequence + 1) & 0xFFFF
        self.numbers += (next_number - self._next_sequence_number) & 0xFFFF
        self._next_sequence_number = next_number
        self.last_timestamp = (packet.timestamp + self.timestamp) & 0xFFFFFFFF
        if info.picture_id_at:
            self._last_picture_id = (info.picture_id + shift.picture_id) & 0x7FFF
        if info.tl0_at:
            self._last_tl0 = (info.tl0 + self.tl0) & 0xFF

    def sequence_number(self, packet: MediaPacket) -> int:
        """The slot's number of a packet that was let through."""
        return (packet.sequence_number + self._shift_of(packet.extended).sequence) & 0xFFFF

    def at(self, index: int) -> tuple[int, int]:
        """What to add to the sequence number and to the PictureID of a packet that was let through."""
        shift = self._shift_of(index)
        return shift.sequence, shift.picture_id

    @property
    def newest(self) -> tuple[int, int]:
        """The same for what comes next."""
        return self._shift.sequence, self._shift.picture_id

    def find(self, sequence_number: int, ring: RetransmissionRing) -> MediaPacket | None:
        """The packet that went out under a number, while it is in the ring."""
        # Extended, as the numbers of the shifts are; they rise from shift to shift, so it is found without a walk.
        age = (self._next_sequence_number - sequence_number) & 0xFFFF
        number = self._next_index + self._shift.sequence - age
        index = bisect_right(self._shifts, number, key=_first_number) - 1
        if index < 0:
            return None
        shift = self._shifts[index]
        packet = ring.get((sequence_number - shift.sequence) & 0xFFFF)
        if packet is None:
            return None
        # A shift begins after the packet that was left out: that one went out under no number.
        is_last = index == len(self._shifts) - 1
        end = self._next_index if is_last else self._shifts[index + 1].first_index - 1
        return packet if shift.first_index <= packet.extended < end else None

    def find_last(self, ring: RetransmissionRing) -> MediaPacket | None:
        """The packet that went out last."""
        return self.find((self._next_sequence_number - 1) & 0xFFFF, ring)

    def _shift_of(self, index: int) -> _Shift:
        shift = self._shift
        return shift if index >= shift.first_index else self._find_shift(index) or shift

    def _find_shift(self, index: int) -> _Shift | None:
        return next((shift for shift in reversed(self._shifts) if shift.first_index <= index), None)


def _first_number(shift: _Shift) -> int:
    """The extended number that a shift's first packet goes out under."""
    return shift.first_index + shift.sequence
