"""The legs to other workers: where each is, its keys, and what comes and goes on it."""

import hashlib
import ipaddress
import socket
from collections.abc import Collection, Mapping
from typing import Final

from services.sfu.core.errors import PacketError, RelaysInvalid
from services.sfu.core.ids import Address, CallId, LegNumber, WorkerId
from services.sfu.core.session.effects import SendRelayed
from services.sfu.core.wire.replay_window import ReplayWindow
from services.sfu.core.wire.rtp import MAX_PACKET_SIZE
from services.sfu.core.wire.sdp import Offer
from services.sfu.egress import Egress
from services.sfu.ports import CallRelays, Metrics, RelayedDevice, RelayPeer
from services.sfu.relay_cipher import Opener, Sealer, leg_id_of
from services.sfu.udp import encode_sockaddr

# Legs of which it is known what has come, those that are gone included. Raising it costs memory, 300 bytes each;
# lowering it lets what came over a leg before it was set up anew come once more.
MAX_WINDOWS: Final = 4096


class _Leg:
    """One to another worker, in one call."""

    def __init__(self, number: LegNumber, peer: RelayPeer, address: bytes, session: int, window: ReplayWindow) -> None:
        self.number = number
        self.peer = peer
        self.address = address
        self.sealer = Sealer(peer.send_leg_id, peer.send_key, session)
        self.opener = Opener(peer.receive_key, window)


class _Call:
    """The legs of one call, and what the remote devices offered."""

    def __init__(self, legs: dict[WorkerId, _Leg], offers: Mapping[RelayedDevice, Offer]) -> None:
        self.legs = legs
        self.offers = offers


class RelayLegs:
    """Those of one worker, over its media socket."""

    def __init__(self, family: int, egress: Egress, metrics: Metrics) -> None:
        self._family = family
        self._egress = egress
        self._metrics = metrics
        self._calls: dict[CallId, _Call] = {}
        self._by_number: dict[LegNumber, _Leg] = {}
        # By what their peers write into each datagram.
        self._by_id: dict[bytes, _Leg] = {}
        # By a hash of id and key: the keys of calls that have ended are not kept.
        self._windows: dict[bytes, ReplayWindow] = {}
        self._last_number = 0
        self._last_session = 0
        self._packets_in = self._bytes_in = self._packets_out = self._bytes_out = 0

    def __len__(self) -> int:
        return len(self._calls) + len(self._by_number) + len(self._by_id)

    def offers_of(self, call_id: CallId) -> Mapping[RelayedDevice, Offer]:
        """What a call's remote devices offered, as it was read before."""
        call = self._calls.get(call_id)
        return {} if call is None else call.offers

    def set_call(
        self, relays: CallRelays, offers: Mapping[RelayedDevice, Offer], unix_ms: int
    ) -> dict[WorkerId, LegNumber]:
        """A call's legs from now on, by worker; those that are as they were go on. Raises RelaysInvalid."""
        former = self._calls.get(relays.call_id)
        known = former.legs if former is not None else {}
        own = {leg.number for leg in known.values()}
        others = {leg.peer.receive_leg_id for leg in self._by_number.values() if leg.number not in own}
        if any(peer.receive_leg_id in others for peer in relays.peers):
            raise RelaysInvalid("the id of a leg is that of another call's")
        legs: dict[WorkerId, _Leg] = {}
        for peer in relays.peers:
            leg = known.get(peer.worker_id)
            legs[peer.worker_id] = leg if leg is not None and leg.peer == peer else self._make(peer, unix_ms)
        for leg in known.values():
            self._forget(leg)
        for leg in legs.values():
            self._by_number[leg.number] = self._by_id[leg.peer.receive_leg_id] = leg
        self._calls[relays.call_id] = _Call(legs, offers)
        self._metrics.relay_legs(len(self._by_number))
        return {worker: leg.number for worker, leg in legs.items()}

    def _make(self, peer: RelayPeer, unix_ms: int) -> _Leg:
        self._last_number += 1
        # Never the same twice, and never back: a nonce must not come again under a key.
        self._last_session = max(unix_ms, self._last_session + 1)
        address = self._encode(peer.address)
        return _Leg(LegNumber(self._last_number), peer, address, self._last_session, self._window_of(peer))

    def _window_of(self, peer: RelayPeer) -> ReplayWindow:
        """What has come from a peer under this key: a leg that is set up anew here takes nothing a second time."""
        name = hashlib.sha256(peer.receive_leg_id + peer.receive_key).digest()
        # To the end: the first one is the one that was asked for longest ago.
        window = self._windows.pop(name) if name in self._windows else ReplayWindow()
        self._windows[name] = window
        if len(self._windows) > MAX_WINDOWS:
            del self._windows[next(iter(self._windows))]
        return window

    def _encode(self, address: Address) -> bytes:
        host, port = address
        if "%" in host:
            raise RelaysInvalid(f"{host} is an address of one machine's own network")
        is_ipv4 = ipaddress.ip_address(host).version == 4
        if self._family == socket.AF_INET6 and is_ipv4:
            host = f"::ffff:{host}"
        elif self._family == socket.AF_INET and not is_ipv4:
            raise RelaysInvalid(f"{host} cannot be reached from a worker that has IPv4 only")
        return encode_sockaddr(self._family, (host, port))

    def _forget(self, leg: _Leg) -> None:
        del self._by_number[leg.number]
        del self._by_id[leg.peer.receive_leg_id]

    def keep(self, calls: Collection[CallId]) -> None:
        """Forget the legs of all other calls."""
        if len(calls) == len(self._calls):
            return
        for call_id in [known for known in self._calls if known not in calls]:
            for leg in self._calls.pop(call_id).legs.values():
                self._forget(leg)
        self._metrics.relay_legs(len(self._by_number))

    def open(self, datagram: bytes, source: bytes) -> tuple[LegNumber, bytes]:
        """The leg and the frame of a datagram, of which nothing is believed before its tag.

        PacketError: relay_malformed, relay_unknown, relay_source, relay_replayed, relay_forged.
        """
        leg = self._by_id.get(leg_id_of(datagram))
        if leg is None:
            raise PacketError("relay_unknown")
        if leg.address != source:
            raise PacketError("relay_source")
        frame = leg.opener.open(datagram)
        self._packets_in += 1
        self._bytes_in += len(datagram)
        return leg.number, frame

    def send(self, effect: SendRelayed) -> None:
        """Seal a frame; it goes out with the next flush. Nothing for a leg that is gone."""
        leg = self._by_number.get(effect.leg)
        if leg is None:
            return
        datagram = leg.sealer.seal(effect.frame)
        if len(datagram) > MAX_PACKET_SIZE:
            self._metrics.dropped("relay_size")
            return
        self._egress.send_relayed(leg.address, datagram)
        self._packets_out += 1
        self._bytes_out += len(datagram)

    def count(self) -> None:
        """Tell the metrics what has come and gone since the last time."""
        if self._packets_in:
            self._metrics.relayed("in", self._packets_in, self._bytes_in)
            self._packets_in = self._bytes_in = 0
        if self._packets_out:
            self._metrics.relayed("out", self._packets_out, self._bytes_out)
            self._packets_out = self._bytes_out = 0
