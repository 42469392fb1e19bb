"""Who takes the packets of one stream, grouped so that a packet is forwarded to many in a tight loop.

A slot that takes everything from its source, at offsets that do not change, is in a group of its form: what its numbers
are after a packet follows from the packet, so nothing is kept for it packet by packet. The others are looked at one by
one: those that leave temporal layers out, and those whose repairs must be byte for byte the same.
"""

from collections.abc import Collection, Sequence
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple, Protocol

from services.sfu.core.forms import NUMBER_AT, OWN_AT, Form, Image
from services.sfu.core.rtp import MediaPacket
from services.sfu.core.transport_cc import SendHistory

if TYPE_CHECKING:
    from services.sfu.core.slots import ReceiveSlot

_pack_own = Struct("!HII").pack_into
_pack_number = Struct("!H").pack_into


class Numbers(NamedTuple):
    """What is one receiver's own: what to add to the source's numbers, its SSRC, and its path's numbers."""

    sequence: int
    timestamp: int
    ssrc: int
    picture_id: int
    tl0: int
    history: SendHistory


class Room(Protocol):
    """Where a packet is written to."""

    @property
    def view(self) -> memoryview: ...


def fill(image: Image, packet: MediaPacket, numbers: Sequence[Numbers], rooms: Sequence[Room], now: float) -> None:
    """Write a receiver's copy into each room, by its numbers; all of the form that the image was drawn in."""
    data, picture_id_at, tl0_at, is_numbered = image
    size = len(data)
    sequence_number, timestamp, frame = packet.sequence_number, packet.timestamp, packet.frame
    picture, zero = frame.picture_id, frame.tl0
    sent = (now, size)
    for (sequence, time, ssrc, picture_id, tl0, history), room in zip(numbers, rooms, strict=False):
        out = room.view
        out[:size] = data
        _pack_own(out, OWN_AT, (sequence_number + sequence) & 0xFFFF, (timestamp + time) & 0xFFFFFFFF, ssrc)
        if is_numbered:
            _pack_number(out, NUMBER_AT, history.note(sent))
        if picture_id_at:
            _pack_number(out, picture_id_at, 0x8000 | (picture + picture_id) & 0x7FFF)
            if tl0_at:
                out[tl0_at] = (zero + tl0) & 0xFF


class CopyGroup:
    """The slots of one form that take every packet of a stream."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.slots: list[ReceiveSlot] = []
        self.packets = self.bytes = 0
        self._numbers: list[Numbers] = []
        self._payload_types = dict(form.payload_types)

    def add(self, slot: "ReceiveSlot", numbers: Numbers) -> None:
        """Let a slot take what comes from now on."""
        self.slots.append(slot)
        self._numbers.append(numbers)

    def remove(self, slot: "ReceiveSlot") -> None:
        """Let a slot take no more."""
        place = self.slots.index(slot)
        del self.slots[place], self._numbers[place]

    def draw(self, packet: MediaPacket, now: float) -> tuple[MediaPacket, Image]:
        """Count a packet for all slots; gives it as they take it, and its image."""
        payload_type = self._payload_types.get(packet.codec)
        if payload_type is None:
            packet, payload_type = self.form.suit(packet)
        image = self.form.draw(packet, payload_type, now)
        self.packets += 1
        self.bytes += len(image.data)
        return packet, image

    def write(self, image: Image, packet: MediaPacket, begin: int, rooms: Sequence[Room], now: float) -> None:
        """Write the copies of the slots from `begin` on, as many as there are rooms."""
        fill(image, packet, self._numbers[begin:] if begin else self._numbers, rooms, now)


class Takers:
    """All slots on one stream, and those that wait for its next key frame."""

    def __init__(self) -> None:
        self.newest: MediaPacket | None = None
        self.newest_at = 0.0
        self.apart: dict[ReceiveSlot, None] = {}
        self.waiting: dict[ReceiveSlot, None] = {}
        self._groups: dict[Form, CopyGroup] = {}

    def group(self, form: Form) -> CopyGroup:
        """That of a form, made at its first use."""
        group = self._groups.get(form)
        if group is None:
            group = self._groups[form] = CopyGroup(form)
        return group

    def leave(self, slot: "ReceiveSlot", group: CopyGroup) -> None:
        """Take a slot out of its group; an empty one is not kept."""
        group.remove(slot)
        if not group.slots:
            del self._groups[group.form]

    @property
    def groups(self) -> Collection[CopyGroup]:
        """Those of all forms."""
        return self._groups.values()
