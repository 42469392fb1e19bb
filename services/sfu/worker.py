"""The shell around the core: one UDP socket, each participant's DTLS and SRTP, and the clock."""

import asyncio
from contextlib import suppress
from typing import Final

from services.runtime import tasks
from services.runtime.clock import Clock
from services.sfu.batch import open_batch
from services.sfu.channel import MuteState, decode_message, encode_quality
from services.sfu.collector import Collector
from services.sfu.config import MediaConfig
from services.sfu.connection import Connection
from services.sfu.connections import Connections, log_participant
from services.sfu.core.ids import Address, CallId, ParticipantKey, ParticipantNumber
from services.sfu.core.session.addresses import Route
from services.sfu.core.session.participants import RandomBytes, ReceiveQuality
from services.sfu.core.session.quality import QualityMeter
from services.sfu.core.session.relays import RemoteDevice
from services.sfu.core.session.router import Router
from services.sfu.core.wire.answer import Candidate, LocalTransport, SlotSsrcs, build_answer
from services.sfu.core.wire.codec_formats import DEFAULT_CODEC_ORDER
from services.sfu.core.wire.sdp import Offer, parse_offer
from services.sfu.demux import Demux
from services.sfu.dtls import Certificate, DtlsConnection
from services.sfu.effects_runner import EffectsRunner
from services.sfu.egress import Egress
from services.sfu.ingress import Ingress
from services.sfu.ports import Admission, CallRelays, Events, JoinedDevice, Metrics
from services.sfu.relay_legs import RelayLegs
from services.sfu.srtp import SrtpSession
from services.sfu.udp import open_socket

# Between two looks for work that is due. Raising it sends NACKs later; lowering it makes more wake-ups, which cost more
# than packets.
TICK_S: Final = 0.02
# The same while nobody is there, when only unauthenticated packets are counted; the next join ends the wait.
IDLE_TICK_S: Final = 1.0
# Between two times that one participant's requests and mute states take effect. Raising it shows changes later;
# lowering it lets a participant that changes its mind all the time cost the others more, up to 1.4 ms a time in a call
# of 30.
APPLY_INTERVAL_S: Final = 0.1
# Between two looks at which addresses are to be checked again. Raising it lets proofs run out; lowering it costs work
# for each connection.
PROOF_INTERVAL_S: Final = 1.0
# Between two quality reports on a participant. Raising it makes the history coarser; lowering it makes more events.
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
        codec_order: tuple[str, ...] = DEFAULT_CODEC_ORDER,
    ) -> None:
        """`tcp_port`: where clients may connect instead; 0 where nobody listens. `codec_order`: see Router."""
        self._config = config
        self._events = events
        self._metrics = metrics
        self._clock = clock
        self._random = random
        self._tcp_port = tcp_port
        self._certificate = Certificate.generateCertificate()
        self._router = Router(random, clock.now().timestamp() - clock.monotonic(), codec_order)
        self._members = self._router.members
        self._connections = Connections()
        # Participants that asked for videos or said what is muted, which has not taken effect yet.
        self._unapplied: set[ParticipantNumber] = set()
        self._quality_due = self._proofs_due = 0.0
        self.collector = Collector()
        self._socket = open_socket(config.bind)
        batch = open_batch(self._socket, lambda packets: metrics.dropped("socket_full", packets))
        self._egress = Egress(batch, self._connections.by_number, metrics)
        self._legs = RelayLegs(self._socket.family, self._egress, metrics)
        self._effects = EffectsRunner(self._connections, self._egress, events, clock, self._note_left, self._legs.send)
        self._demux = Demux(self._connections, self._router, self._effects, self._egress, random, self._legs)
        self._ingress = Ingress(self._socket, self._demux.handle_datagram, self._egress.flush, metrics, clock)
        self._empty = asyncio.Event()
        self._empty.set()
        self._occupied = asyncio.Event()

    @property
    def address(self) -> Address:
        """Where the worker is reached on this machine."""
        host, port = self._socket.getsockname()[:2]
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104 - replaced, not bound

    @property
    def media_address(self) -> str:
        """Where other workers reach this one."""
        ip, port = self._config.public_ip, self._socket.getsockname()[1]
        return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"

    def _candidates(self) -> list[Candidate]:
        port = self._socket.getsockname()[1]
        ips = [ip for ip in (self._config.public_ip, self._config.public_ip6) if ip]
        tcp = [Candidate((ip, self._tcp_port), is_tcp=True) for ip in ips if self._tcp_port]
        return [Candidate((ip, port)) for ip in ips] + tcp

    @property
    def participant_count(self) -> int:
        """See ports.MediaPlane."""
        return len(self._members)

    @property
    def open_resources(self) -> int:
        """Participants, calls, connections, addresses, legs and closing tasks that are held: 0 when nobody is there."""
        transports = len(self._connections.by_number) + len(self._connections.book) + len(self._effects.closing)
        transports += len(self._effects.maps_due) + len(self._effects.layers_due) + len(self._unapplied)
        relays = self._members.relay_count + len(self._legs)
        return len(self._members) + self._members.call_count + transports + relays

    async def start(self) -> None:
        """Begin to receive."""
        self._ingress.start()

    async def stop(self) -> None:
        """End everyone's media and close the socket."""
        self._effects.carry_out(self._members.stop(self._clock.monotonic()))
        self._legs.keep(self._members.relayed_calls)
        await asyncio.gather(*self._effects.closing, return_exceptions=True)
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
        for number in list(self._unapplied):
            self._apply_latest(number, now)
        self._effects.carry_out(self._router.tick(now))
        self._ingress.count()
        self._egress.count()
        self._legs.count()
        self._effects.send_states()
        if now >= self._proofs_due:
            self._proofs_due = now + PROOF_INTERVAL_S
            for connection in self._connections.by_number.values():
                self._demux.renew_proof(connection, now)
        if now >= self._quality_due:
            # A tenth of the interval: nobody's report is later than that, and the rest of the ticks look at nothing.
            self._quality_due = now + QUALITY_INTERVAL_S / 10
            self.collector.tick(now)
            self._legs.keep(self._members.relayed_calls)
            for connection in self._connections.by_number.values():
                if now >= connection.quality_due and connection.srtp is not None:
                    connection.quality_due = now + QUALITY_INTERVAL_S
                    self._report_quality(connection, now)

    def _report_quality(self, connection: Connection, now: float) -> None:
        participant = connection.participant
        quality = connection.meter.take(participant, now)
        self._events.quality_measured(participant.key, quality)
        self._metrics.quality(quality, participant.key.call_id)
        self._effects.send_message(participant.number, encode_quality(quality))

    def holds(self, key: ParticipantKey) -> bool:
        """See ports.MediaPlane."""
        participant = self._members.find(key)
        return participant is not None and participant.home is None

    def admit(self, key: ParticipantKey, offer: Offer) -> Admission:
        """See ports.MediaPlane."""
        now = self._clock.monotonic()
        participant, effects = self._members.join(key, offer, now)
        self._effects.carry_out(effects)
        number = participant.number
        route = Route(number, self._random(8).hex(), self._random(16).hex(), offer.ice_ufrag, offer.ice_pwd)
        self._connections.book.add_route(route)
        dtls = DtlsConnection(
            self._certificate,
            offer.fingerprint,
            send=lambda datagram: self._egress.send_dtls(connection, datagram),
            on_up=lambda srtp: self._handle_up(number, srtp),
            on_closed=lambda: self._handle_closed(number),
        )
        sctp_port = next((line.sctp_port for line in offer.media if line.sctp_port is not None), None)
        connection = self._connections.by_number[number] = Connection(
            participant, route, QualityMeter(now), now + QUALITY_INTERVAL_S, dtls, sctp_port
        )
        self._note_occupancy()
        transport = LocalTransport(route.ice_ufrag, route.ice_pwd, self._certificate.fingerprint(), self._candidates())
        session_id = int.from_bytes(self._random(7), "big")
        ssrcs = {slot.mid: SlotSsrcs(slot.ssrc, slot.repair_ssrc) for slot in participant.slots}
        return Admission(build_answer(participant.offer, transport, ssrcs, session_id), number)

    def remove(self, key: ParticipantKey) -> None:
        """See ports.MediaPlane."""
        self._effects.carry_out(self._members.remove(key, self._clock.monotonic()))

    def end_call(self, call_id: CallId) -> None:
        """See ports.MediaPlane."""
        self._effects.carry_out(self._members.end_call(call_id, self._clock.monotonic()))
        self._legs.keep(self._members.relayed_calls)

    def set_relays(self, relays: CallRelays) -> int:
        """See ports.MediaPlane."""
        call_id, revision = relays.call_id, self._members.relay_revision(relays.call_id)
        if relays.revision <= revision:
            return revision
        # What cannot be read is refused before anything changes.
        known = self._legs.offers_of(call_id)
        offers = {device: known.get(device) or parse_offer(device.sdp_offer) for device in relays.devices}
        legs = self._legs.set_call(relays, offers, int(self._clock.now().timestamp() * 1000))
        devices = [
            RemoteDevice(device.key, legs[device.worker_id], device.number, offer) for device, offer in offers.items()
        ]
        now = self._clock.monotonic()
        self._effects.carry_out(self._members.set_relays(call_id, relays.revision, list(legs.values()), devices, now))
        self._legs.keep(self._members.relayed_calls)
        return relays.revision

    def list_joined(self, call_id: CallId) -> list[JoinedDevice]:
        """See ports.MediaPlane."""
        joined = self._router.members.list_joined(call_id)
        return [JoinedDevice(member.key, member.number, member.offer.text) for member in joined]

    async def wait_until_empty(self) -> None:
        """See ports.MediaPlane."""
        await self._empty.wait()

    # What comes of a participant's transport.

    def _handle_up(self, number: ParticipantNumber, srtp: SrtpSession) -> None:
        connection = self._connections.by_number.get(number)
        if connection is None:
            return
        connection.srtp = srtp
        self._connections.book.handle_handshake(connection.route, self._clock.monotonic())
        connection.allowance = connection.route.allowance
        self._egress.release(connection)
        if connection.sctp_port is not None:
            connection.channel = connection.dtls.open_channel(
                on_open=lambda: self._effects.announce(number),
                on_message=lambda message: self._handle_message(number, message),
                on_refused=lambda reason: self._metrics.dropped(f"channel_{reason}"),
                now=self._clock.monotonic,
            )
            connection.starting = tasks.detached(
                connection.channel.start(connection.sctp_port),
                name="start-channel",
                why="ends when the association is up, or with the connection",
            )
        log_participant(connection.participant, "transport_up")
        self._effects.carry_out(self._router.handle_transport_up(connection.participant, self._clock.monotonic()))

    def _handle_closed(self, number: ParticipantNumber) -> None:
        connection = self._connections.by_number.get(number)
        if connection is not None:
            self._effects.carry_out(
                self._router.handle_transport_closed(connection.participant, self._clock.monotonic())
            )

    def _handle_message(self, number: ParticipantNumber, message: bytes) -> None:
        connection = self._connections.by_number.get(number)
        said = decode_message(message)
        if connection is None or said is None:
            self._metrics.dropped("channel_message")
        elif isinstance(said, ReceiveQuality):
            connection.participant.receive_quality = said
        else:
            # The newest of each holds. Applying one costs all in the call, so that a participant gets its turn
            # (`tick`).
            if isinstance(said, MuteState):
                connection.muted = said.after(connection.muted)
            else:
                connection.video_requests = said
            self._unapplied.add(number)

    def _apply_latest(self, number: ParticipantNumber, now: float) -> None:
        """Apply the latest messages of a participant, or leave them for later when the last time is too near."""
        connection = self._connections.by_number.get(number)
        if connection is not None and now - connection.applied_at < APPLY_INTERVAL_S:
            return
        self._unapplied.discard(number)
        if connection is None:
            return
        connection.applied_at = now
        muted, video_requests = connection.muted, connection.video_requests
        connection.muted = connection.video_requests = None
        if muted is not None:
            self._effects.queue(
                self._router.handle_mute(connection.participant, muted.audio, muted.video, now, muted.screen), now
            )
        if video_requests is not None:
            self._effects.queue(self._router.handle_video_requests(connection.participant, video_requests, now), now)

    def _note_left(self, number: ParticipantNumber) -> None:
        self._unapplied.discard(number)
        self._note_occupancy()
        self.collector.note_left()

    def _note_occupancy(self) -> None:
        self._metrics.occupancy(len(self._members), self._members.call_count)
        if len(self._members):
            self._empty.clear()
            self._occupied.set()
        else:
            self._empty.set()
            self._occupied.clear()
