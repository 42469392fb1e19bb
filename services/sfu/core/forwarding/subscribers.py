"""The slots that take the packets of one stream, grouped so that a packet is forwarded to many in a tight loop.

A slot that takes everything from its source, at offsets that do not change, is in a group of its packet format: what
its numbers are after a packet follows from the packet, so nothing is kept for it packet by packet. The others are
looked at one by one: those that leave temporal layers out, and those whose repairs must be byte for byte the same.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from struct import Struct
from typing import Final, Protocol, final

from services.sfu.core.congestion.send_history import SendHistory
from services.sfu.core.forwarding.packet_formats import NUMBER_AT, PacketFormat, PacketTemplate
from services.sfu.core.forwarding.redundancy import bundle
from services.sfu.core.ids import ParticipantNumber
from services.sfu.core.wire.rtp import MediaPacket

_pack_number: Final = Struct("!H").pack_into
_pack_picture: Final = Struct("!HB").pack_into


@final
class Numbers:
    """What is one receiver's own: what to add to the source's numbers, its SSRC, and its path's numbers."""

    __slots__ = ("history", "picture_id", "sequence", "ssrc", "timestamp", "tl0")

    def __init__(
        self, sequence: int, timestamp: int, ssrc: int, picture_id: int, tl0: int, history: SendHistory
    ) -> None:
        self.sequence = sequence
        self.timestamp = timestamp
        self.ssrc = ssrc
        self.picture_id = picture_id
        self.tl0 = tl0
        self.history = history


class WriteBuffer(Protocol):
    """Where a packet is written to."""

    @property
    def view(self) -> memoryview: ...


def fill(templates: Sequence[PacketTemplate], numbers: Numbers, buffers: Sequence[WriteBuffer]) -> None:
    """Write a receiver's copies of packets, each into its buffer."""
    for template, buffer in zip(templates, buffers, strict=False):
        out = buffer.view
        number = (template.sequence_number + numbers.sequence) & 0xFFFF
        timestamp = (template.timestamp + numbers.timestamp) & 0xFFFFFFFF
        template.pack_into(out, 0, template.start, number, timestamp, numbers.ssrc, template.rest)
        if template.sent is not None:
            _pack_number(out, NUMBER_AT, numbers.history.note(template.sent))
        if template.picture_id_at:
            picture_id = 0x8000 | (template.picture_id + numbers.picture_id) & 0x7FFF
            if template.tl0_at == template.picture_id_at + 2:
                # Next to each other (RFC 7741 section 4.2).
                _pack_picture(out, template.picture_id_at, picture_id, (template.tl0 + numbers.tl0) & 0xFF)
            else:
                _pack_number(out, template.picture_id_at, picture_id)
                if template.tl0_at:
                    # With a byte between (RFC 9628 section 4.2).
                    out[template.tl0_at] = (template.tl0 + numbers.tl0) & 0xFF


# The receivers of what goes to a group, each with its own numbers. A tuple that is replaced and never changed: what
# waits to be sent goes to those that were there when it came.
Members = tuple[tuple[ParticipantNumber, Numbers], ...]


class Subscriber(ABC):
    """A slot, as the stream that it is on sees it; `receiver` is its participant."""

    def __init__(self, receiver: ParticipantNumber) -> None:
        self.receiver = receiver

    @abstractmethod
    def accept(self, packet: MediaPacket, now: float) -> bool:
        """Whether a packet of the source is to be sent on this slot; for what its group does not take."""

    @abstractmethod
    def join_group(self) -> bool:
        """Take everything that comes from now on, where nothing speaks against it; whether that is so."""

    @abstractmethod
    def switch(self, packet: MediaPacket, now: float) -> None:
        """The key frame of the wanted stream has come: the slot is on it from this packet on."""

    @abstractmethod
    def write(self, packet: MediaPacket, buffer: WriteBuffer, now: float) -> int:
        """Write the receiver's copy of an accepted packet; gives its size in bytes."""

    @abstractmethod
    def free(self) -> None:
        """Its publication is gone."""


class CopyGroup:
    """The slots of one packet format that take every packet of a stream."""

    def __init__(self, packet_format: PacketFormat) -> None:
        self.packet_format = packet_format
        self.slots: list[Subscriber] = []
        self.members: Members = ()
        self.packets = self.bytes = 0
        self._payload_types = dict(packet_format.payload_types)

    def add_subscriber(self, slot: Subscriber, numbers: Numbers) -> None:
        """Let a slot take what comes from now on."""
        self.slots.append(slot)
        self.members = (*self.members, (slot.receiver, numbers))

    def remove_subscriber(self, slot: Subscriber) -> None:
        """Let a slot take no more."""
        index = self.slots.index(slot)
        del self.slots[index]
        self.members = self.members[:index] + self.members[index + 1 :]

    def render(self, packet: MediaPacket, now: float) -> PacketTemplate:
        """Count a packet for all slots; gives its template."""
        payload_type = self._payload_types.get(packet.codec)
        if payload_type is None:
            packet, payload_type = self.packet_format.choose_codec(packet)
        template = self.packet_format.render(packet, payload_type, now)
        self.packets += 1
        self.bytes += template.size
        return template


class RedundantGroup(CopyGroup):
    """Those that get voices in RED: each packet with the one that they got before it."""

    def __init__(self, packet_format: PacketFormat, types: tuple[int, int]) -> None:
        super().__init__(packet_format)
        self._red_type, self._opus_type = types
        self._before: MediaPacket | None = None

    def render(self, packet: MediaPacket, now: float) -> PacketTemplate:
        """See CopyGroup."""
        packet, payload_type = self.packet_format.choose_codec(packet)
        if packet.codec == "opus":
            before, self._before = self._before, packet
            packet, payload_type = bundle(packet, before, self._opus_type), self._red_type
        template = self.packet_format.render(packet, payload_type, now)
        self.packets += 1
        self.bytes += template.size
        return template


class Subscribers:
    """All slots on one stream, and those that wait for its next key frame."""

    def __init__(self) -> None:
        self.newest: MediaPacket | None = None
        self.newest_at = 0.0
        self.ungrouped: dict[Subscriber, None] = {}
        self.waiting: dict[Subscriber, None] = {}
        self._groups: dict[PacketFormat, CopyGroup] = {}
        # Those of all packet formats; follows what comes and goes.
        self.groups: Collection[CopyGroup] = self._groups.values()

    @property
    def are_there(self) -> bool:
        """Whether a slot takes the stream, or waits for it."""
        return bool(self._groups or self.ungrouped or self.waiting)

    def group(self, packet_format: PacketFormat) -> CopyGroup:
        """That of a packet format, made at its first use."""
        group = self._groups.get(packet_format)
        if group is None:
            types = packet_format.redundant_types
            group = CopyGroup(packet_format) if types is None else RedundantGroup(packet_format, types)
            self._groups[packet_format] = group
        return group

    def leave(self, slot: Subscriber, group: CopyGroup) -> None:
        """Take a slot out of its group; an empty one is not kept."""
        group.remove_subscriber(slot)
        if not group.slots:
            del self._groups[group.packet_format]

    def route(self, packet: MediaPacket, now: float) -> Collection[CopyGroup | Subscriber]:
        """What gets a packet of the stream: groups as a whole, and single slots. A key frame takes those that wait for
        it."""
        newest = self.newest
        is_next = newest is None or packet.extended > newest.extended
        if is_next and not self.ungrouped and not self.waiting:
            # Nearly always.
            self.newest, self.newest_at = packet, now
            return self.groups
        single: list[CopyGroup | Subscriber] = []
        if is_next:
            self.newest, self.newest_at = packet, now
        else:
            single += [slot for group in self.groups for slot in group.slots if slot.accept(packet, now)]
        if self.ungrouped:
            single += [
                slot
                for slot in tuple(self.ungrouped)
                if not (is_next and slot.join_group()) and slot.accept(packet, now)
            ]
        if self.waiting and packet.info.is_key_frame:
            for slot in tuple(self.waiting):
                slot.switch(packet, now)
                single.append(slot)
        return [*self.groups, *single] if is_next else single
