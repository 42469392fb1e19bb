"""Which connection a datagram belongs to, and what is in it: STUN, DTLS, SRTP or SRTCP on one port (RFC 7983)."""

from collections.abc import Iterable

from services.sfu import ice
from services.sfu.connection import Connection
from services.sfu.connections import Connections, log_participant
from services.sfu.core.errors import PacketError
from services.sfu.core.ids import Address
from services.sfu.core.session.budgets import CONTROL_BYTES, PACKET_COST
from services.sfu.core.session.effects import Effect
from services.sfu.core.session.participants import RandomBytes
from services.sfu.core.session.router import Router
from services.sfu.core.wire.rtp import MAX_PACKET_SIZE
from services.sfu.effects_runner import EffectsRunner
from services.sfu.egress import Egress
from services.sfu.relay_cipher import FIRST_BYTE
from services.sfu.relay_legs import RelayLegs
from services.sfu.srtp import PacketBuffer
from services.sfu.udp import decode_sockaddr


class Demux:
    """Decrypts what is media and hands it to the router; what follows waits for the next flush of the egress."""

    def __init__(
        self,
        connections: Connections,
        router: Router,
        effects: EffectsRunner,
        egress: Egress,
        random: RandomBytes,
        legs: RelayLegs | None = None,
    ) -> None:
        self._connections = connections
        self._book = connections.book
        self._sources = connections.sources
        self._router = router
        self._effects = effects
        self._egress = egress
        self._random = random
        self._legs = legs

    def handle_datagram(self, buffer: PacketBuffer, size: int, source: bytes, now: float) -> None:
        """By the first byte (RFC 7983), then by the source. Raises PacketError with the reason for a drop."""
        if not 0 < size <= MAX_PACKET_SIZE:
            raise PacketError("size")
        first = buffer.view[0]
        if 128 <= first <= 191:
            self._handle_srtp(self._sources.get(source) or self._find(source), buffer, size, source, now)
        elif 20 <= first <= 63:
            self._handle_dtls(self._sources.get(source) or self._find(source), bytes(buffer.view[:size]), source, now)
        elif first < 4:
            self._handle_stun(bytes(buffer.view[:size]), source, now)
        elif first == FIRST_BYTE and self._legs is not None:
            number, frame = self._legs.open(bytes(buffer.view[:size]), source)
            effects = self._router.handle_frame(number, frame, now)
            if effects:
                self._effects.queue(effects, now)
        else:
            raise PacketError("not_media")

    def _find(self, source: bytes) -> Connection:
        return self._connections.find_source(source)

    def _handle_dtls(self, connection: Connection, datagram: bytes, source: bytes, now: float) -> None:
        if not connection.participant.handshake.spend(1, now):
            raise PacketError("flood")
        if connection.allowance is not None and source == connection.destination:
            connection.allowance.earn(len(datagram))
            self._egress.release(connection)
        connection.dtls.receive(datagram)

    def _handle_stun(self, datagram: bytes, source: bytes, now: float) -> None:
        address = decode_sockaddr(source)
        if ice.is_response(datagram):
            route, transaction_id = ice.read_response(datagram, address, self._book)
            connection = self._connections.by_number[route.number]
            self._connections.forget_sources(connection, source)
            is_selected = self._book.handle_response(transaction_id, now)
            self._follow(connection, source, is_selected, "address_proven")
            return
        route, is_nominated, response = ice.answer_check(datagram, address, self._book)
        connection = self._connections.by_number[route.number]
        if not connection.participant.checks.spend(1, now):
            raise PacketError("flood")
        self._effects.queue(self._router.handle_consent(connection.participant, now), now)
        if self._book.find_by_address(address) is not route:
            # The address is new to the route, and may push another one out.
            self._connections.forget_sources(connection, source)
        is_selected = self._book.handle_check(route, address, is_nominated, now, len(datagram))
        self._follow(connection, source, is_selected, "address_selected")
        if route.known[address].may_send(len(response)):
            self._egress.send_datagram(source, response)
        self._send_check(connection, address, source, now)

    def _follow(self, connection: Connection, source: bytes, is_selected: bool, event: str) -> None:
        if is_selected:
            connection.destination = source
            log_participant(connection.participant, event)
        connection.allowance = connection.route.allowance
        self._egress.release(connection)

    def _send_check(self, connection: Connection, address: Address, source: bytes, now: float) -> None:
        """Send an address the consent check that is due, if one is."""
        route = connection.route
        transaction_id = self._book.next_check(route, address, self._random(12), now)
        if transaction_id is not None:
            check = ice.build_check(route, transaction_id)
            if route.known[address].may_send(len(check)):
                self._egress.send_datagram(source, check)

    def renew_proof(self, connection: Connection, now: float) -> None:
        """Check the selected address again when that is due; a proof that has run out ends."""
        route = connection.route
        if route.selected is not None and connection.destination is not None:
            self._book.expire(route, now)
            connection.allowance = route.allowance
            self._send_check(connection, route.selected, connection.destination, now)

    def _handle_srtp(self, connection: Connection, buffer: PacketBuffer, size: int, source: bytes, now: float) -> None:
        srtp, participant = connection.srtp, connection.participant
        if srtp is None:
            raise PacketError("not_connected")
        effects: Iterable[Effect]
        if 192 <= buffer.view[1] <= 223:
            if not participant.control.spend(1 + size // CONTROL_BYTES, now):
                raise PacketError("flood")
            effects = self._router.handle_rtcp(participant, srtp.unprotect_rtcp(buffer, size), now)
        else:
            if not participant.media.spend(size + PACKET_COST, now):
                raise PacketError("flood")
            clear = srtp.unprotect_rtp(buffer, size)
            try:
                effects = self._router.handle_rtp(participant, clear, now)
            except PacketError as error:
                if error.reason in ("unknown_ssrc", "ssrc_flood"):
                    srtp.forget(clear[8:12])
                raise
        if source == connection.destination:
            connection.route.heard_at = now
            if connection.allowance is not None:
                connection.allowance.earn(size)
                self._send_check(connection, decode_sockaddr(source), source, now)
        else:
            address = decode_sockaddr(source)
            is_selected = self._book.handle_media(connection.route, address, now, size)
            self._follow(connection, source, is_selected, "address_followed")
            self._send_check(connection, address, source, now)
        # The batch goes out when the socket is drained.
        if effects:
            self._effects.queue(effects, now)
