"""What goes out: each receiver's copies written, encrypted and put into the batch that the next flush sends."""

from collections import deque
from collections.abc import Mapping

from services.sfu.batch import Batch
from services.sfu.core.errors import PacketError
from services.sfu.core.forwarding.packet_formats import PacketTemplate
from services.sfu.core.forwarding.subscribers import CopyGroup, Members, fill
from services.sfu.core.ids import ParticipantNumber
from services.sfu.core.session.addresses import Allowance
from services.sfu.core.session.effects import SendMedia, SendRepair, SendRtcp
from services.sfu.ports import Metrics
from services.sfu.srtp import SrtpSession
from services.sfu.udp import BATCH_SIZE

# Datagrams of a handshake that wait until their address is proven. Raising it costs memory for invented addresses;
# lowering it cuts a flight of small records, which the client asks for again after a second.
MAX_HELD = 16

# Packets of one group that are to go out together: who gets them, their templates, and the sizes of these.
_Run = tuple[Members, list[PacketTemplate], list[int]]


class Outlet:
    """Where a receiver's packets leave: dropped until there are keys, and an address as the kernel wants it.

    `allowance` bounds what goes to an address that is not proven (addresses.py); None for one that is. `held`: what of
    a handshake waits for the proof, which comes a moment after the first flight was asked for; a client would ask for a
    lost one after a second.
    """

    def __init__(self) -> None:
        self.srtp: SrtpSession | None = None
        self.destination: bytes | None = None
        self.allowance: Allowance | None = None
        self.held: deque[bytes] = deque(maxlen=MAX_HELD)


class Egress:
    """The way out of the worker's socket, to all outlets.

    Packets for a group wait for the next flush, so that what a receiver gets of a burst is written, encrypted and sent
    at once. Where the members have changed meanwhile, or one gets a packet by itself, what waits goes first.
    """

    def __init__(self, batch: Batch, outlets: Mapping[ParticipantNumber, Outlet], metrics: Metrics) -> None:
        self._batch = batch
        self._outlets = outlets
        self._metrics = metrics
        self._runs: dict[CopyGroup, _Run] = {}
        self._packets = self._bytes = 0

    def send_media(self, effect: SendMedia, now: float) -> None:
        """The copies of a packet, for a group or for one slot."""
        to, packet = effect.to, effect.packet
        if isinstance(to, CopyGroup):
            run = self._runs.get(to)
            template = to.render(packet, now)
            size = template.size
            if run is not None and (run[0] is not to.members or len(run[1]) == BATCH_SIZE):
                self._write_runs()
                run = None
            if run is None:
                self._runs[to] = (to.members, [template], [size])
            else:
                run[1].append(template)
                run[2].append(size)
            return
        self._write_runs()
        outlet = self._outlets.get(to.receiver)
        if outlet is not None and outlet.srtp is not None and outlet.destination is not None:
            (buffer,) = self._batch.claim(1)
            try:
                size = outlet.srtp.protect_rtp(buffer, to.write(packet, buffer, now))
            except PacketError as error:
                self._metrics.dropped(error.reason)
            else:
                if self._may_send(outlet, size):
                    self._batch.commit((size,), outlet.destination)

    def _may_send(self, outlet: Outlet, size: int) -> bool:
        """Asked last of all: to whom it does not go, the packet is one that the network lost."""
        if outlet.allowance is None or outlet.allowance.spend(size):
            return True
        self._metrics.dropped("unproven_address")
        return False

    def _write_runs(self) -> None:
        outlets, batch = self._outlets, self._batch
        for members, templates, sizes in self._runs.values():
            count = len(sizes)
            for receiver, numbers in members:
                outlet = outlets.get(receiver)
                if outlet is None or outlet.srtp is None or outlet.destination is None:
                    continue
                buffers = batch.claim(count)
                fill(templates, numbers, buffers)
                protected = outlet.srtp.protect_all(buffers, sizes)
                if not all(protected):
                    self._metrics.dropped("srtp_not_protected", protected.count(0))
                if outlet.allowance is not None:
                    protected = [size if size and self._may_send(outlet, size) else 0 for size in protected]
                batch.commit(protected, outlet.destination)
        self._runs.clear()

    def send_repair(self, effect: SendRepair, now: float) -> None:
        """A packet for the second time."""
        outlet = self._outlets.get(effect.slot.receiver)
        if outlet is None or outlet.srtp is None or outlet.destination is None:
            return
        self._write_runs()
        (buffer,) = self._batch.claim(1)
        size = effect.slot.write_repair(effect.packet, buffer, now)
        try:
            size = outlet.srtp.protect_rtp(buffer, size)
        except PacketError as error:
            self._metrics.dropped(error.reason)
            return
        if not self._may_send(outlet, size):
            return
        self._batch.commit((size,), outlet.destination)
        if effect.is_probe:
            self._metrics.probed(size)
        else:
            self._metrics.retransmitted(1)

    def send_rtcp(self, effect: SendRtcp) -> None:
        """A compound packet."""
        outlet = self._outlets.get(effect.receiver)
        if outlet is None or outlet.srtp is None or outlet.destination is None:
            return
        (buffer,) = self._batch.claim(1)
        size = len(effect.payload)
        buffer.view[:size] = effect.payload
        size = outlet.srtp.protect_rtcp(buffer, size)
        if self._may_send(outlet, size):
            self._batch.commit((size,), outlet.destination)

    def send_dtls(self, outlet: Outlet, datagram: bytes) -> None:
        """A datagram of DTLS, at once, or when its address may have it; nothing without a destination."""
        if outlet.destination is None:
            return
        if len(outlet.held) == MAX_HELD:
            self._metrics.dropped("unproven_address")
        outlet.held.append(datagram)
        self.release(outlet)

    def release(self, outlet: Outlet) -> None:
        """Send what was held, in order, as far as its address may have it now."""
        while outlet.held and outlet.destination is not None:
            if outlet.allowance is not None and not outlet.allowance.spend(len(outlet.held[0])):
                return
            self.send_datagram(outlet.destination, outlet.held.popleft())

    def send_relayed(self, destination: bytes, datagram: bytes) -> None:
        """What is sealed for another worker, with the next flush."""
        (buffer,) = self._batch.claim(1)
        buffer.view[: len(datagram)] = datagram
        self._batch.commit((len(datagram),), destination)

    def send_datagram(self, destination: bytes, datagram: bytes) -> None:
        """STUN, at once."""
        (buffer,) = self._batch.claim(1)
        buffer.view[: len(datagram)] = datagram
        self._batch.commit((len(datagram),), destination)
        self.flush()

    def flush(self) -> None:
        """Send what waits."""
        self._write_runs()
        packets, size = self._batch.flush()
        self._packets += packets
        self._bytes += size

    def count(self) -> None:
        """Tell the metrics what was sent since the last time: a counter costs as much as a packet."""
        if self._packets:
            self._metrics.packets_out(self._packets, self._bytes)
            self._packets = self._bytes = 0
