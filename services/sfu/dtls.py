"""DTLS and the data channel by aiortc. All private access to aiortc stands in this file; its version is pinned.

RTCDtlsTransport runs over a stand-in for its ICE transport that has what it calls: `role`, `_recv`, `_send`.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Literal, cast

import structlog
from aiortc import rtcdtlstransport as aiortc_dtls
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport
from OpenSSL import SSL

from services.runtime import tasks
from services.sfu.core.errors import PacketError
from services.sfu.core.session.channel_guard import ChannelGuard, is_too_much
from services.sfu.core.wire.answer import MAX_CHANNEL_MESSAGE_SIZE, SCTP_PORT
from services.sfu.core.wire.dtls_records import split_records
from services.sfu.core.wire.sdp import Fingerprint
from services.sfu.srtp import SrtpSession

log = structlog.get_logger()

Role = Literal["server", "client"]

CHANNEL_ID = 0
CHANNEL_LABEL = "parley"
# 128-bit GCM first: the default prefers 256 bits, which costs more a packet and gains nothing here.
SRTP_PROFILES = [aiortc_dtls.SRTP_AEAD_AES_128_GCM, aiortc_dtls.SRTP_AES128_CM_SHA1_80]

# Records that wait for the handshake. Raising it costs memory in a flood; lowering it cuts long flights.
_MAX_QUEUE = 32
# Bytes that a client may leave unacknowledged on its channel before maps are held back.
_MAX_CHANNEL_BACKLOG = 65536


class Certificate(aiortc_dtls.RTCCertificate):
    """A worker's certificate, with the SSL context made once: that halves a handshake's time."""

    _context: SSL.Context | None = None

    def _create_ssl_context(self, srtp_profiles: list[aiortc_dtls.SRTPProtectionProfile]) -> SSL.Context:
        if self._context is None:
            self._context = super()._create_ssl_context(srtp_profiles)
        return self._context

    def fingerprint(self) -> Fingerprint:
        """The SHA-256 fingerprint for the SDP."""
        return next(Fingerprint(f.algorithm, f.value) for f in self.getFingerprints() if f.algorithm == "sha-256")


class _Datagrams:
    """Stands in for aiortc's ICE transport."""

    def __init__(self, send: Callable[[bytes], None], role: Role) -> None:
        # The client of DTLS is the controlling agent of ICE: the SFU is ICE-lite and passive.
        self.role = "controlled" if role == "server" else "controlling"
        self._send_datagram = send
        self._received: asyncio.Queue[bytes | None] = asyncio.Queue(_MAX_QUEUE)

    def put(self, datagram: bytes) -> None:
        try:
            self._received.put_nowait(datagram)
        except asyncio.QueueFull as error:
            raise PacketError("dtls_flood") from error

    async def _recv(self) -> bytes:
        datagram = await self._received.get()
        if datagram is None:
            raise ConnectionError
        return datagram

    async def _send(self, data: bytes) -> None:
        self._send_datagram(data)


class _ChannelTransport:
    """What RTCSctpTransport needs of a DTLS transport, guarded: neither side's failures reach the other.

    `admit` says whether SCTP may read a datagram; `look` is called after each that it read.
    """

    def __init__(
        self, dtls: aiortc_dtls.RTCDtlsTransport, admit: Callable[[bytes], bool], look: Callable[[], None]
    ) -> None:
        self._dtls = dtls
        self._admit = admit
        self._look = look
        self._role = dtls._role
        self._receiver: aiortc_dtls.DataReceiver | None = None

    @property
    def state(self) -> str:
        return self._dtls.state

    def _register_data_receiver(self, receiver: aiortc_dtls.DataReceiver) -> None:
        self._receiver = receiver
        self._dtls._register_data_receiver(self)

    def _unregister_data_receiver(self, _receiver: aiortc_dtls.DataReceiver) -> None:
        self._dtls._unregister_data_receiver(self)

    async def _handle_data(self, data: bytes) -> None:
        if self._receiver is None or not self._admit(data):
            return
        try:
            await self._receiver._handle_data(data)
        except Exception as error:
            # aiortc asserts on what a peer sends; the media must not end with the channel.
            log.info("channel_data_refused", error=type(error).__name__)
        self._look()

    async def _send_data(self, data: bytes) -> None:
        try:
            await self._dtls._send_data(data)
        except (ConnectionError, SSL.Error):
            # SCTP sends again, or its timers give up; DTLS itself tells of its end.
            return


class Channel:
    """The data channel "parley" of one participant (negotiated, id 0).

    `on_refused` is told in a word of each datagram that SCTP must not read, and "over" once, when the association ends
    because it holds too much (channel_guard.py); the media goes on without it. `now` gives monotonic seconds.
    """

    def __init__(
        self,
        dtls: aiortc_dtls.RTCDtlsTransport,
        on_open: Callable[[], None],
        on_message: Callable[[bytes], None],
        on_refused: Callable[[str], None],
        now: Callable[[], float],
    ) -> None:
        self._guard = ChannelGuard()
        self._on_refused = on_refused
        self._now = now
        self._ending: asyncio.Task[None] | None = None
        self._sctp = RTCSctpTransport(cast(Any, _ChannelTransport(dtls, self._admit, self._look)), SCTP_PORT)
        self._window = self._sctp._advertised_rwnd
        parameters = RTCDataChannelParameters(label=CHANNEL_LABEL, negotiated=True, id=CHANNEL_ID)
        self._channel = RTCDataChannel(self._sctp, parameters)
        self._channel.on("open", on_open)
        self._channel.on("message", lambda data: on_message(data if isinstance(data, bytes) else data.encode()))

    async def start(self, remote_port: int) -> None:
        """Begin the association; `on_open` tells of its success."""
        await self._sctp.start(RTCSctpCapabilities(maxMessageSize=MAX_CHANNEL_MESSAGE_SIZE), remote_port)

    def send(self, message: bytes) -> bool:
        """Queue a message; False when the channel is not open or the client does not read it."""
        if self._channel.readyState != "open" or self._channel.bufferedAmount > _MAX_CHANNEL_BACKLOG:
            return False
        self._channel.send(message)
        return True

    def _admit(self, datagram: bytes) -> bool:
        if self._ending is not None:
            return False
        reason = self._guard.admit(datagram, self._now())
        if reason:
            self._on_refused(reason)
        return not reason

    def _look(self) -> None:
        sctp = self._sctp
        parts = sum(len(stream.reassembly) for stream in sctp._inbound_streams.values())
        if is_too_much(len(sctp._sack_misordered), parts, self._window - sctp._advertised_rwnd):
            self._on_refused("over")
            self._ending = tasks.detached(self.stop(), name="end-channel", why="ends with the abort that it sends")

    async def stop(self) -> None:
        """End the association."""
        await self._sctp.stop()
        # aiortc's timer T3 only schedules the next transmission; one that comes after the stop would find these, send
        # in vain and set the timer anew, each second until the process ends, with all of the connection behind it.
        self._sctp._sent_queue.clear()
        self._sctp._outbound_queue.clear()
        self._sctp._forward_tsn_chunk = None


class DtlsConnection:
    """One end of DTLS; the SFU's is the server's.

    `on_up` is called once, with the SRTP keys; `on_closed` once, when the peer closed or the handshake failed, but not
    after `close`.
    """

    def __init__(
        self,
        certificate: Certificate,
        peer: Fingerprint,
        send: Callable[[bytes], None],
        on_up: Callable[[SrtpSession], None],
        on_closed: Callable[[], None],
        role: Role = "server",
    ) -> None:
        self._role: Role = role
        self._datagrams = _Datagrams(send, role)
        self._peer = peer
        self._on_up = on_up
        self._on_closed: Callable[[], None] | None = on_closed
        self._dtls = aiortc_dtls.RTCDtlsTransport(cast(Any, self._datagrams), [certificate])
        self._dtls._set_role(role)
        self._dtls._srtp_profiles = SRTP_PROFILES
        self._dtls.on("statechange", self._handle_state)
        self._task = tasks.detached(self._run(), name="dtls", why="ends with the handshake")

    def receive(self, datagram: bytes) -> None:
        """Take in a datagram whose first byte is 20 to 63.

        Raises PacketError: dtls_flood when too many records wait, dtls_records when it has too many.
        """
        for record in split_records(datagram):
            self._datagrams.put(record)

    def open_channel(
        self,
        on_open: Callable[[], None],
        on_message: Callable[[bytes], None],
        on_refused: Callable[[str], None],
        now: Callable[[], float],
    ) -> Channel:
        """A data channel over this connection; to be started when it is up. See Channel."""
        return Channel(self._dtls, on_open, on_message, on_refused, now)

    async def close(self) -> None:
        """Tell the peer, and end. Idempotent."""
        self._on_closed = None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._dtls.stop()
        self._dtls.remove_all_listeners()

    async def _run(self) -> None:
        fingerprint = aiortc_dtls.RTCDtlsFingerprint(self._peer.algorithm, self._peer.value)
        peer_role = "client" if self._role == "server" else "server"
        await self._dtls.start(aiortc_dtls.RTCDtlsParameters([fingerprint], role=peer_role))
        if self._dtls.state == "connected":
            self._on_up(SrtpSession(self._dtls._rx_srtp, self._dtls._tx_srtp))

    def _handle_state(self) -> None:
        if self._dtls.state in ("closed", "failed") and self._on_closed is not None:
            on_closed, self._on_closed = self._on_closed, None
            on_closed()
