"""The shell around the core: one UDP socket, each participant's DTLS and SRTP, and the clock."""

import asyncio
from collections.abc import Iterable

import structlog

from services.runtime.clock import Clock
from services.sfu import ice
from services.sfu.channel import MuteState, decode_message, encode_quality, encode_slot_map, encode_speakers
from services.sfu.config import MediaConfig
from services.sfu.connection import Connection
from services.sfu.core.addresses import AddressBook, Route
from services.sfu.core.answer import Candidate, LocalTransport, SlotSsrcs, build_answer
from services.sfu.core.effects import (
    AnnounceConnected,
    Disconnect,
    Effect,
    SendMedia,
    SendRepair,
    SendRtcp,
    SendSlotMap,
    SendSpeakers,
)
from services.sfu.core.errors import PacketError
from services.sfu.core.ids import Address, CallId, ParticipantKey, ParticipantNumber
from services.sfu.core.participants import Participant, RandomBytes, ReceiveQuality
from services.sfu.core.quality import QualityMeter
from services.sfu.core.router import Router
from services.sfu.core.rtp import MAX_PACKET_SIZE, is_rtcp
from services.sfu.core.sdp import Offer
from services.sfu.dtls import Certificate, DtlsConnection
from services.sfu.ports import Events, Metrics
from services.sfu.srtp import PacketBuffer, SrtpSession
from services.sfu.udp import open_batch, open_socket

log = structlog.get_logger()

# How often due work is looked for. Higher: later NACKs. Lower: more wake-ups, which cost more than packets.
TICK_S = 0.02
# Quality reports a participant. Higher: coarser history. Lower: more events.
QUALITY_INTERVAL_S = 5.0
# While many packets come, the socket is looked at this often. Higher: delay. Lower: wake-ups, 50 to 300 us of CPU each.
DRAIN_PAUSE_S = 0.001
# From this rate on. Higher: a wake-up for nearly each packet. Lower: wake-ups that find nothing.
BUSY_PACKETS_PER_S, BUSY_WINDOW_S = 3000, 0.05
# Datagrams handled in one turn of the loop, so that a flood leaves room for the rest.
MAX_DRAIN = 256


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
        self._closing: set[asyncio.Task[None]] = set()
        self._received = PacketBuffer()
        self._quality_due = 0.0
        self._busy = False
        self._window_packets, self._window_began = 0, 0.0
        self._pause: asyncio.TimerHandle | None = None
        self._socket = open_socket(config.bind)
        self._batch = open_batch(self._socket, lambda packets: metrics.dropped("socket_full", packets))
        self._empty = asyncio.Event()
        self._empty.set()

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
        transports = len(self._connections) + len(self._book) + len(self._closing) + len(self._maps_due)
        return len(self._router) + self._router.call_count + transports

    async def start(self) -> None:
        """Begin to receive."""
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._handle_readable)

    async def stop(self) -> None:
        """End everyone's media and close the socket."""
        self._carry_out(self._router.stop(self._clock.monotonic()))
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self._pause is not None:
            self._pause.cancel()
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()

    async def run(self) -> None:
        """Do what is due, for the life of the process."""
        while True:
            await asyncio.sleep(TICK_S)
            self.tick()

    def tick(self) -> None:
        """Do what is due now."""
        now = self._clock.monotonic()
        self._carry_out(self._router.tick(now))
        for number in list(self._maps_due):
            self._send_slot_map(number)
        if now >= self._quality_due:
            # A tenth of the interval: nobody's report is later than that, and the rest of the ticks look at nothing.
            self._quality_due = now + QUALITY_INTERVAL_S / 10
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
        route = Route(number, self._random(8).hex(), self._random(16).hex())
        self._book.add(route)
        dtls = DtlsConnection(
            self._certificate,
            offer.fingerprint,
            send=lambda datagram: self._send_datagram(route.selected, datagram),
            on_up=lambda srtp: self._handle_up(number, srtp),
            on_closed=lambda: self._handle_closed(number),
        )
        sctp_port = next((line.sctp_port for line in offer.media if line.sctp_port is not None), None)
        self._connections[number] = Connection(
            participant, route, QualityMeter(now), now + QUALITY_INTERVAL_S, dtls, sctp_port
        )
        self._note_occupancy()
        transport = LocalTransport(route.ice_ufrag, route.ice_pwd, self._certificate.fingerprint(), self._candidates())
        session_id = int.from_bytes(self._random(7), "big")
        ssrcs = {slot.mid: SlotSsrcs(slot.ssrc, slot.repair_ssrc) for slot in participant.slots}
        return build_answer(offer, transport, ssrcs, session_id)

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

    def _handle_readable(self) -> None:
        """Drain; while much comes, look again after a pause: a wake-up costs more than a packet."""
        loop = asyncio.get_running_loop()
        packets = 1
        try:
            packets = self._drain()
        finally:
            # Whatever happened: a worker that does not look at its socket again is dead.
            if packets and self._is_busy(packets):
                loop.remove_reader(self._socket.fileno())
                self._pause = loop.call_later(DRAIN_PAUSE_S, self._handle_readable)
            else:
                loop.add_reader(self._socket.fileno(), self._handle_readable)

    def _is_busy(self, packets: int) -> bool:
        """Whether packets come so often that each wake-up would find few; counted in windows."""
        now = self._clock.monotonic()
        self._window_packets += packets
        elapsed = now - self._window_began
        if elapsed >= BUSY_WINDOW_S:
            self._busy = self._window_packets >= BUSY_PACKETS_PER_S * elapsed
            self._window_packets, self._window_began = 0, now
        return self._busy

    def _drain(self) -> int:
        packets = total = 0
        for _ in range(MAX_DRAIN):
            try:
                size, source = self._socket.recvfrom_into(self._received.view)
            except BlockingIOError:
                break
            except OSError:
                # An ICMP error of an earlier send; it says nothing about this socket.
                continue
            packets += 1
            total += size
            self._handle_datagram(size, source[:2], self._clock.monotonic())
        self._flush()
        if packets:
            self._metrics.packets_in(packets, total)
        return packets

    def _handle_datagram(self, size: int, source: Address, now: float) -> None:
        try:
            self._demultiplex(size, source, now)
        except PacketError as error:
            self._metrics.dropped(error.reason)
        except Exception:
            # A bug; loud, but no stranger's packet may end the calls of the others.
            log.exception("datagram_failed")
            self._metrics.dropped("internal_error")

    def _demultiplex(self, size: int, source: Address, now: float) -> None:
        if not 0 < size <= MAX_PACKET_SIZE:
            raise PacketError("size")
        first = self._received.view[0]
        if 128 <= first <= 191:
            self._handle_srtp(self._find(source), size, source, now)
        elif 20 <= first <= 63:
            self._find(source).dtls.receive(bytes(self._received.view[:size]))
        elif first < 4:
            self._handle_stun(bytes(self._received.view[:size]), source, now)
        else:
            raise PacketError("not_media")

    def _find(self, source: Address) -> Connection:
        route = self._book.find_by_address(source)
        if route is None:
            raise PacketError("unknown_source")
        return self._connections[route.number]

    def _handle_stun(self, datagram: bytes, source: Address, now: float) -> None:
        route, is_nominated, response = ice.answer_check(datagram, source, self._book)
        connection = self._connections[route.number]
        self._router.handle_consent(connection.participant, now)
        if self._book.handle_check(route, source, is_nominated, now):
            self._log(connection.participant, "address_selected")
        self._send_datagram(source, response)

    def _handle_srtp(self, connection: Connection, size: int, source: Address, now: float) -> None:
        srtp = connection.srtp
        if srtp is None:
            raise PacketError("not_connected")
        is_control = is_rtcp(self._received.view[:2])
        budget = connection.participant.control if is_control else connection.participant.packets
        if not budget.spend(1, now):
            raise PacketError("flood")
        if is_control:
            clear = srtp.unprotect_rtcp(self._received, size)
            effects = self._router.handle_rtcp(connection.participant, clear, now)
        else:
            clear = srtp.unprotect_rtp(self._received, size)
            try:
                effects = self._router.handle_rtp(connection.participant, clear, now)
            except PacketError as error:
                if error.reason in ("unknown_ssrc", "ssrc_flood"):
                    srtp.forget(clear[8:12])
                raise
        if self._book.handle_media(connection.route, source, now):
            self._log(connection.participant, "address_followed")
        # The batch goes out when the socket is drained.
        self._queue(effects, now)

    def _handle_up(self, number: ParticipantNumber, srtp: SrtpSession) -> None:
        connection = self._connections.get(number)
        if connection is None:
            return
        connection.srtp = srtp
        if connection.sctp_port is not None:
            connection.channel = connection.dtls.open_channel(
                on_open=lambda: self._maps_due.add(number),
                on_message=lambda message: self._handle_message(number, message),
            )
            connection.starting = asyncio.create_task(connection.channel.start(connection.sctp_port))
        self._log(connection.participant, "transport_up")
        self._carry_out(self._router.handle_transport_up(connection.participant, self._clock.monotonic()))

    def _handle_closed(self, number: ParticipantNumber) -> None:
        connection = self._connections.get(number)
        if connection is not None:
            self._carry_out(self._router.handle_transport_closed(connection.participant, self._clock.monotonic()))

    def _handle_message(self, number: ParticipantNumber, message: bytes) -> None:
        connection = self._connections.get(number)
        said = decode_message(message)
        now = self._clock.monotonic()
        if connection is None or said is None:
            self._metrics.dropped("channel_message")
        elif isinstance(said, MuteState):
            self._carry_out(self._router.handle_mute(connection.participant, said.audio, said.video, now))
        elif isinstance(said, ReceiveQuality):
            connection.participant.receive_quality = said
        else:
            self._carry_out(self._router.handle_wishes(connection.participant, said, now))

    # Carrying out.

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        self._queue(effects, self._clock.monotonic())
        self._flush()

    def _queue(self, effects: Iterable[Effect], now: float) -> None:
        for effect in effects:
            match effect:
                case SendMedia():
                    self._send_media(effect, now)
                case SendRepair():
                    self._send_repair(effect, now)
                case SendRtcp():
                    self._send_rtcp(effect)
                case SendSlotMap():
                    self._maps_due.add(effect.receiver)
                case SendSpeakers():
                    self._send_message(effect.receiver, encode_speakers(effect.speakers))
                case AnnounceConnected():
                    self._events.media_connected(effect.key)
                case Disconnect():
                    self._disconnect(effect)

    def _send_media(self, effect: SendMedia, now: float) -> None:
        packet, batch, connections = effect.packet, self._batch, self._connections
        for slot in effect.slots:
            connection = connections.get(slot.receiver)
            if connection is None or connection.srtp is None:
                continue
            destination = connection.route.selected
            if destination is None:
                continue
            buffer = batch.reserve()
            try:
                size = connection.srtp.protect_rtp(buffer, slot.write(packet, buffer.view, now))
            except PacketError as error:
                self._metrics.dropped(error.reason)
            else:
                batch.commit(size, destination)

    def _send_repair(self, effect: SendRepair, now: float) -> None:
        connection = self._connections.get(effect.slot.receiver)
        if connection is None or connection.srtp is None or connection.route.selected is None:
            return
        buffer = self._batch.reserve()
        size = effect.slot.write_repair(effect.packet, buffer.view, now)
        try:
            size = connection.srtp.protect_rtp(buffer, size)
        except PacketError as error:
            self._metrics.dropped(error.reason)
            return
        self._batch.commit(size, connection.route.selected)
        if effect.is_probe:
            self._metrics.probed(size)
        else:
            self._metrics.retransmitted(1)

    def _send_rtcp(self, effect: SendRtcp) -> None:
        connection = self._connections.get(effect.receiver)
        if connection is None or connection.srtp is None or connection.route.selected is None:
            return
        buffer = self._batch.reserve()
        size = len(effect.payload)
        buffer.view[:size] = effect.payload
        self._batch.commit(connection.srtp.protect_rtcp(buffer, size), connection.route.selected)

    def _send_datagram(self, destination: Address | None, datagram: bytes) -> None:
        if destination is None:
            return
        self._batch.reserve().view[: len(datagram)] = datagram
        self._batch.commit(len(datagram), destination)
        self._flush()

    def _flush(self) -> None:
        packets, size = self._batch.flush()
        if packets:
            self._metrics.packets_out(packets, size)

    def _send_slot_map(self, number: ParticipantNumber) -> None:
        connection = self._connections.get(number)
        if connection is None or (connection.srtp is not None and connection.sctp_port is None):
            self._maps_due.discard(number)
            return
        message = encode_slot_map(connection.participant.slot_map())
        if connection.channel is not None and connection.channel.send(message):
            self._maps_due.discard(number)

    def _send_message(self, number: ParticipantNumber, message: bytes) -> None:
        """For what the next message makes good: nothing is kept for a channel that is not open."""
        connection = self._connections.get(number)
        if connection is not None and connection.channel is not None:
            connection.channel.send(message)

    def _disconnect(self, effect: Disconnect) -> None:
        connection = self._connections.pop(effect.number)
        self._book.remove(connection.route)
        self._maps_due.discard(effect.number)
        self._events.media_disconnected(effect.key, effect.reason)
        self._log(connection.participant, "participant_left", reason=effect.reason.name)
        self._note_occupancy()
        task = asyncio.create_task(connection.close(), name="close-connection")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _note_occupancy(self) -> None:
        self._metrics.occupancy(len(self._router), self._router.call_count)
        if len(self._router):
            self._empty.clear()
        else:
            self._empty.set()

    def _log(self, participant: Participant, event: str, **fields: str) -> None:
        key = participant.key
        log.info(event, call_id=key.call_id, user_id=key.user_id, device_id=key.device_id, **fields)
