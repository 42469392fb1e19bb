"""What goes out: each receiver's copies written, encrypted and put into the batch that the next flush sends."""

from collections.abc import Mapping

from services.sfu.connection import Connection
from services.sfu.core.copies import CopyGroup
from services.sfu.core.effects import SendMedia, SendRepair, SendRtcp
from services.sfu.core.errors import PacketError
from services.sfu.core.ids import ParticipantNumber
from services.sfu.core.rtp import MediaPacket
from services.sfu.ports import Metrics
from services.sfu.udp import Batch


class Egress:
    """The way out of the worker's socket, to all connections."""

    def __init__(self, batch: Batch, connections: Mapping[ParticipantNumber, Connection], metrics: Metrics) -> None:
        self._batch = batch
        self._connections = connections
        self._metrics = metrics
        self._packets = self._bytes = 0

    def send_media(self, effect: SendMedia, now: float) -> None:
        """The copies of a packet, for a group or for one slot."""
        to, packet = effect
        if isinstance(to, CopyGroup):
            self._send_copies(to, packet, now)
            return
        connection = self._connections.get(to.receiver)
        if connection is not None and connection.srtp is not None and connection.destination is not None:
            (buffer,) = self._batch.claim(1)
            try:
                size = connection.srtp.protect_rtp(buffer, to.write(packet, buffer, now))
            except PacketError as error:
                self._metrics.dropped(error.reason)
            else:
                self._batch.commit(buffer, size, connection.destination)

    def _send_copies(self, group: CopyGroup, packet: MediaPacket, now: float) -> None:
        connections, batch, slots = self._connections, self._batch, group.slots
        packet, image = group.draw(packet, now)
        clear = len(image.data)
        begin = 0
        while begin < len(slots):
            buffers = batch.claim(len(slots) - begin)
            group.write(image, packet, begin, buffers, now)
            for slot, buffer in zip(slots[begin:] if begin else slots, buffers, strict=False):
                connection = connections.get(slot.receiver)
                if connection is None or connection.srtp is None or connection.destination is None:
                    continue
                try:
                    size = connection.srtp.protect_rtp(buffer, clear)
                except PacketError as error:
                    self._metrics.dropped(error.reason)
                else:
                    batch.commit(buffer, size, connection.destination)
            begin += len(buffers)

    def send_repair(self, effect: SendRepair, now: float) -> None:
        """A packet for the second time."""
        connection = self._connections.get(effect.slot.receiver)
        if connection is None or connection.srtp is None or connection.destination is None:
            return
        (buffer,) = self._batch.claim(1)
        size = effect.slot.write_repair(effect.packet, buffer, now)
        try:
            size = connection.srtp.protect_rtp(buffer, size)
        except PacketError as error:
            self._metrics.dropped(error.reason)
            return
        self._batch.commit(buffer, size, connection.destination)
        if effect.is_probe:
            self._metrics.probed(size)
        else:
            self._metrics.retransmitted(1)

    def send_rtcp(self, effect: SendRtcp) -> None:
        """A compound packet."""
        connection = self._connections.get(effect.receiver)
        if connection is None or connection.srtp is None or connection.destination is None:
            return
        (buffer,) = self._batch.claim(1)
        size = len(effect.payload)
        buffer.view[:size] = effect.payload
        self._batch.commit(buffer, connection.srtp.protect_rtcp(buffer, size), connection.destination)

    def send_datagram(self, destination: bytes | None, datagram: bytes) -> None:
        """STUN or DTLS, at once; nothing without a destination."""
        if destination is not None:
            (buffer,) = self._batch.claim(1)
            buffer.view[: len(datagram)] = datagram
            self._batch.commit(buffer, len(datagram), destination)
            self.flush()

    def flush(self) -> None:
        """Send what was put into the batch."""
        packets, size = self._batch.flush()
        self._packets += packets
        self._bytes += size

    def count(self) -> None:
        """Tell the metrics what was sent since the last time: a counter costs as much as a packet."""
        if self._packets:
            self._metrics.packets_out(self._packets, self._bytes)
            self._packets = self._bytes = 0
