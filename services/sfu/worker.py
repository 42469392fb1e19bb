"""The shell around the core: one UDP socket, each participant's DTLS and SRTP, and the clock."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import structlog

from services.runtime import tasks
from services.runtime.clock import Clock
from services.sfu import ice
from services.sfu.batch import open_batch
from services.sfu.channel import MuteState, decode_message, encode_quality, encode_slot_map, encode_speakers
from services.sfu.collector import Collector
from services.sfu.config import MediaConfig
from services.sfu.connection import Connection
from services.sfu.core.errors import PacketError
from services.sfu.core.ids import Address, CallId, ParticipantKey, ParticipantNumber
from services.sfu.core.session.addresses import AddressBook, Route
from services.sfu.core.session.budgets import CONTROL_BYTES, PACKET_COST
from services.sfu.core.session.effects import (
    AnnounceConnected,
    Disconnect,
    Effect,
    SendMedia,
    SendRepair,
    SendRtcp,
    SendSlotMap,
    SendSpeakers,
)
from services.sfu.core.session.participants import Participant, RandomBytes, ReceiveQuality
from services.sfu.core.session.quality import QualityMeter
from services.sfu.core.session.router import Router
from services.sfu.core.wire.answer import Candidate, LocalTransport, SlotSsrcs, build_answer
from services.sfu.core.wire.rtp import MAX_PACKET_SIZE
from services.sfu.core.wire.sdp import Offer
from services.sfu.dtls import Certificate, DtlsConnection
from services.sfu.egress import Egress
from services.sfu.ingress import Ingress
from services.sfu.ports import Events, Metrics
from services.sfu.srtp import PacketBuffer, SrtpSession
from services.sfu.udp import decode_sockaddr, open_socket

log: Final = structlog.get_logger()

# How often due work is looked for. Higher: later NACKs. Lower: more wake-ups, which cost more than packets.
TICK_S: Final = 0.02
# Between two times that one participant's wishes and mute states are heeded. Higher: changes are seen later. Lower: who
# changes its mind all the time costs the others more, up to 1.4 ms a time in a call of 30.
HEED_INTERVAL_S: Final = 0.1
# The same while nobody is there, when only what strangers sent is counted; whoever comes ends the wait.
IDLE_TICK_S: Final = 1.0
# Between two looks at whose address is to be asked again. Higher: proofs run out late. Lower: work for each.
PROOF_INTERVAL_S: Final = 1.0
# Quality reports a participant. Higher: coarser history. Lower: more events.
QUALITY_INTERVAL_S: Final = 5.0


class MediaWorker:
    """All media of one process. Implements ports.MediaPlane."""

    name = "media"

    def __init__(
        self,
        config: MediaConfig,
        events: Events,
        metrics: Metrics,
        clock: Clock,
        random: RandomBytes,
        tcp_port: int = 0,
    ) -> None:
        """`tcp_port`: where clients may connect instead; 0 where nobody listens."""
        self._config = config
        self._events = events
        self._metrics = metrics
        self._clock = clock
        self._random = random
        self._tcp_port = tcp_port
        self._certificate = Certificate.generateCertificate()
        self._router = Router(random, clock.now().timestamp() - clock.monotonic())
        self._book = AddressBook()
        self._connections: dict[ParticipantNumber, Connection] = {}
        self._maps_due: set[ParticipantNumber] = set()
        # Who said something of its wishes or its microphone that was not heeded yet.
        self._said: set[ParticipantNumber] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._quality_due = self._proofs_due = 0.0
        self.collector = Collector()
        self._socket = open_socket(config.bind)
        batch = open_batch(self._socket, lambda packets: metrics.dropped("socket_full", packets))
        self._egress = Egress(batch, self._connections, metrics)
        self._ingress = Ingress(self._socket, self._handle_datagram, self._egress.flush, metrics, clock)
        # Connections by the raw addresses that media came from: what the book says, without making addresses of bytes.
        self._sources: dict[bytes, Connection] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._occupied = asyncio.Event()

    @property
    def address(self) -> Address:
        """Where the worker is reached on this machine."""
        host, port = self._socket.getsockname()[:2]
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104 - replaced, not bound

    def _candidates(self) -> list[Candidate]:
        port = self._socket.getsockname()[1]
        ips = [ip for ip in (self._config.public_ip, self._config.public_ip6) if ip]
        tcp = [Candidate((ip, self._tcp_port), is_tcp=True) for ip in ips if self._tcp_port]
        return [Candidate((ip, port)) for ip in ips] + tcp

    @property
    def participant_count(self) -> int:
        """See ports.MediaPlane."""
        return len(self._router)

    @property
    def open_resources(self) -> int:
        """Participants, calls, connections, addresses and closing tasks that are held: 0 when nobody is there."""
        transports = len(self._connections) + len(self._book) + len(self._closing)
        transports += len(self._maps_due) + len(self._said)
        return len(self._router) + self._router.call_count + transports

    async def start(self) -> None:
        """Begin to receive."""
        self._ingress.start()

    async def stop(self) -> None:
        """End everyone's media and close the socket."""
        self._carry_out(self._router.stop(self._clock.monotonic()))
        await asyncio.gather(*self._closing, return_exceptions=True)
        self._ingress.stop()
        self._socket.close()

    async def run(self) -> None:
        """Do what is due, for the life of the process."""
        while True:
            if self._occupied.is_set():
                await asyncio.sleep(TICK_S)
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(IDLE_TICK_S):
                        await self._occupied.wait()
            self.tick()

    def tick(self) -> None:
        """Do what is due now."""
        now = self._clock.monotonic()
        for number in list(self._said):
            self._heed(number, now)
        self._carry_out(self._router.tick(now))
        self._ingress.count()
        self._egress.count()
        for number in list(self._maps_due):
            self._send_slot_map(number)
        if now >= self._proofs_due:
            self._proofs_due = now + PROOF_INTERVAL_S
            for connection in self._connections.values():
                self._renew_proof(connection, now)
        if now >= self._quality_due:
            # A tenth of the interval: nobody's report is later than that, and the rest of the ticks look at nothing.
            self._quality_due = now + QUALITY_INTERVAL_S / 10
            self.collector.tick(now)
            for connection in self._connections.values():
                if now >= connection.quality_due and connection.srtp is not None:
                    connection.quality_due = now + QUALITY_INTERVAL_S
                    self._report_quality(connection, now)

    def _report_quality(self, connection: Connection, now: float) -> None:
        participant = connection.participant
        quality = connection.meter.take(participant, now)
        self._events.quality_measured(participant.key, quality)
        self._metrics.quality(quality, participant.key.call_id)
        self._send_message(participant.number, encode_quality(quality))

    def holds(self, key: ParticipantKey) -> bool:
        """See ports.MediaPlane."""
        return self._router.find(key) is not None

    def admit(self, key: ParticipantKey, offer: Offer) -> str:
        """See ports.MediaPlane."""
        now = self._clock.monotonic()
        participant, effects = self._router.join(key, offer, now)
        self._carry_out(effects)
        number = participant.number
        route = Route(number, self._random(8).hex(), self._random(16).hex(), offer.ice_ufrag, offer.ice_pwd)
        self._book.add_route(route)
        dtls = DtlsConnection(
            self._certificate,
            offer.fingerprint,
            send=lambda datagram: self._egress.send_dtls(connection, datagram),
            on_up=lambda srtp: self._handle_up(number, srtp),
            on_closed=lambda: self._handle_closed(number),
        )
        sctp_port = next((line.sctp_port for line in offer.media if line.sctp_port is not None), None)
        connection = self._connections[number] = Connection(
            participant, route, QualityMeter(now), now + QUALITY_INTERVAL_S, dtls, sctp_port
        )
        self._note_occupancy()
        transport = LocalTransport(route.ice_ufrag, route.ice_pwd, self._certificate.fingerprint(), self._candidates())
        session_id = int.from_bytes(self._random(7), "big")
        ssrcs = {slot.mid: SlotSsrcs(slot.ssrc, slot.repair_ssrc) for slot in participant.slots}
        return build_answer(participant.offer, transport, ssrcs, session_id)

    def remove(self, key: ParticipantKey) -> None:
        """See ports.MediaPlane."""
        self._carry_out(self._router.remove(key, self._clock.monotonic()))

    def end_call(self, call_id: CallId) -> None:
        """See ports.MediaPlane."""
        self._carry_out(self._router.end_call(call_id, self._clock.monotonic()))

    async def wait_until_empty(self) -> None:
        """See ports.MediaPlane."""
        await self._empty.wait()

    # Receiving.

    def _handle_datagram(self, buffer: PacketBuffer, size: int, source: bytes, now: float) -> None:
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
        else:
            raise PacketError("not_media")

    def _find(self, source: bytes) -> Connection:
        route = self._book.find_by_address(decode_sockaddr(source))
        if route is None:
            raise PacketError("unknown_source")
        connection = self._sources[source] = self._connections[route.number]
        connection.sources.add(source)
        return connection

    def _handle_dtls(self, connection: Connection, datagram: bytes, source: bytes, now: float) -> None:
        if not connection.participant.handshake.spend(1, now):
            raise PacketError("flood")
        if connection.allowance is not None and source == connection.destination:
            connection.allowance.earn(len(datagram))
            self._egress.release(connection)
        connection.dtls.receive(datagram)

    def _handle_stun(self, datagram: bytes, source: bytes, now: float) -> None:
        address = decode_sockaddr(source)
        if ice.is_answer(datagram):
            route, transaction_id = ice.read_answer(datagram, address, self._book)
            connection = self._connections[route.number]
            self._forget_sources(connection, source)
            is_selected = self._book.handle_answer(transaction_id, now)
            self._follow(connection, source, is_selected, "address_proven")
            return
        route, is_nominated, response = ice.answer_check(datagram, address, self._book)
        connection = self._connections[route.number]
        if not connection.participant.checks.spend(1, now):
            raise PacketError("flood")
        self._router.handle_consent(connection.participant, now)
        if self._book.find_by_address(address) is not route:
            # The address is new to the route, and may push another one out.
            self._forget_sources(connection, source)
        is_selected = self._book.handle_check(route, address, is_nominated, now, len(datagram))
        self._follow(connection, source, is_selected, "address_selected")
        if route.known[address].may_send(len(response)):
            self._egress.send_datagram(source, response)
        self._ask(connection, address, source, now)

    def _forget_sources(self, connection: Connection, source: bytes) -> None:
        """Look again at who has this source, and at those of the connection; the others' are not touched."""
        self._sources.pop(source, None)
        for known in connection.sources:
            self._sources.pop(known, None)
        connection.sources.clear()

    def _follow(self, connection: Connection, source: bytes, is_selected: bool, event: str) -> None:
        if is_selected:
            connection.destination = source
            self._log(connection.participant, event)
        connection.allowance = connection.route.allowance
        self._egress.release(connection)

    def _ask(self, connection: Connection, address: Address, source: bytes, now: float) -> None:
        """Ask an address whether it receives, when that is due."""
        route = connection.route
        transaction_id = self._book.ask(route, address, self._random(12), now)
        if transaction_id is not None:
            question = ice.build_question(route, transaction_id)
            if route.known[address].may_send(len(question)):
                self._egress.send_datagram(source, question)

    def _renew_proof(self, connection: Connection, now: float) -> None:
        route = connection.route
        if route.selected is not None and connection.destination is not None:
            self._book.expire(route, now)
            connection.allowance = route.allowance
            self._ask(connection, route.selected, connection.destination, now)

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
                self._ask(connection, decode_sockaddr(source), source, now)
        else:
            address = decode_sockaddr(source)
            is_selected = self._book.handle_media(connection.route, address, now, size)
            self._follow(connection, source, is_selected, "address_followed")
            self._ask(connection, address, source, now)
        # The batch goes out when the socket is drained.
        if effects:
            self._queue(effects, now)

    def _handle_up(self, number: ParticipantNumber, srtp: SrtpSession) -> None:
        connection = self._connections.get(number)
        if connection is None:
            return
        connection.srtp = srtp
        self._book.handle_handshake(connection.route, self._clock.monotonic())
        connection.allowance = connection.route.allowance
        self._egress.release(connection)
        if connection.sctp_port is not None:
            connection.channel = connection.dtls.open_channel(
                on_open=lambda: self._maps_due.add(number),
                on_message=lambda message: self._handle_message(number, message),
                on_refused=lambda reason: self._metrics.dropped(f"channel_{reason}"),
                now=self._clock.monotonic,
            )
            connection.starting = tasks.detached(
                connection.channel.start(connection.sctp_port),
                name="start-channel",
                why="ends when the association is up, or with the connection",
            )
        self._log(connection.participant, "transport_up")
        self._carry_out(self._router.handle_transport_up(connection.participant, self._clock.monotonic()))

    def _handle_closed(self, number: ParticipantNumber) -> None:
        connection = self._connections.get(number)
        if connection is not None:
            self._carry_out(self._router.handle_transport_closed(connection.participant, self._clock.monotonic()))

    def _handle_message(self, number: ParticipantNumber, message: bytes) -> None:
        connection = self._connections.get(number)
        said = decode_message(message)
        if connection is None or said is None:
            self._metrics.dropped("channel_message")
        elif isinstance(said, ReceiveQuality):
            connection.participant.receive_quality = said
        else:
            # The newest of each holds. Heeding one costs all in the call, so that a participant gets its turn (`tick`).
            if isinstance(said, MuteState):
                connection.muted = said.after(connection.muted)
            else:
                connection.video_requests = said
            self._said.add(number)

    def _heed(self, number: ParticipantNumber, now: float) -> None:
        """Carry out what a participant said last of each kind, or leave it for later when the last time is too near."""
        connection = self._connections.get(number)
        if connection is not None and now - connection.heeded_at < HEED_INTERVAL_S:
            return
        self._said.discard(number)
        if connection is None:
            return
        connection.heeded_at = now
        muted, video_requests = connection.muted, connection.video_requests
        connection.muted = connection.video_requests = None
        if muted is not None:
            self._queue(
                self._router.handle_mute(connection.participant, muted.audio, muted.video, now, muted.screen), now
            )
        if video_requests is not None:
            self._queue(self._router.handle_video_requests(connection.participant, video_requests, now), now)

    # Carrying out.

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        self._queue(effects, self._clock.monotonic())
        self._egress.flush()

    def _queue(self, effects: Iterable[Effect], now: float) -> None:
        for effect in effects:
            match effect:
                case SendMedia():
                    self._egress.send_media(effect, now)
                case SendRepair():
                    self._egress.send_repair(effect, now)
                case SendRtcp():
                    self._egress.send_rtcp(effect)
                case SendSlotMap():
                    self._maps_due.add(effect.receiver)
                case SendSpeakers():
                    self._send_message(effect.receiver, encode_speakers(effect.speakers))
                case AnnounceConnected():
                    self._events.media_connected(effect.key)
                case Disconnect():
                    self._disconnect(effect)

    def _send_slot_map(self, number: ParticipantNumber) -> None:
        connection = self._connections.get(number)
        if connection is None or (connection.srtp is not None and connection.sctp_port is None):
            self._maps_due.discard(number)
            return
        participant = connection.participant
        message = encode_slot_map(participant.slot_map(), participant.unseen, participant.unseen_by)
        if connection.channel is not None and connection.channel.send(message):
            self._maps_due.discard(number)

    def _send_message(self, number: ParticipantNumber, message: bytes) -> None:
        """For what the next message makes good: nothing is kept for a channel that is not open."""
        connection = self._connections.get(number)
        if connection is not None and connection.channel is not None:
            connection.channel.send(message)

    def _disconnect(self, effect: Disconnect) -> None:
        connection = self._connections.pop(effect.number)
        for source in connection.sources:
            self._sources.pop(source, None)
        self._book.remove_route(connection.route)
        self._maps_due.discard(effect.number)
        self._said.discard(effect.number)
        self._events.media_disconnected(effect.key, effect.reason)
        self._log(connection.participant, "participant_left", reason=effect.reason.name)
        self._note_occupancy()
        self.collector.note_left()
        task = tasks.detached(connection.close(), name="close-connection", why="ends when the peer has been told")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _note_occupancy(self) -> None:
        self._metrics.occupancy(len(self._router), self._router.call_count)
        if len(self._router):
            self._empty.clear()
            self._occupied.set()
        else:
            self._empty.set()
            self._occupied.clear()

    def _log(self, participant: Participant, event: str, **fields: str) -> None:
        key = participant.key
        log.info(event, call_id=key.call_id, user_id=key.user_id, device_id=key.device_id, **fields)
