"""A client of the SFU that neither encodes nor decodes: ICE check, DTLS, SRTP, and a browser's share of RTCP."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aioice import stun

from services.sfu.core.congestion.arrival_log import ArrivalLog
from services.sfu.core.errors import PacketError
from services.sfu.core.wire.rtcp import (
    KeyFrameRequest,
    ReportBlock,
    build_receiver_report,
    build_transport_feedback,
    parse_compound,
)
from services.sfu.core.wire.sdp import Fingerprint
from services.sfu.dtls import Certificate, Channel, DtlsConnection
from services.sfu.srtp import PacketBuffer, SrtpSession

# The ids that the offer below gives.
_LEVEL_ID, _NUMBER_ID, _MID_ID = 1, 3, 4
_AUDIO_PT, _VIDEO_PT = 111, 96
_HEADER = struct.Struct("!BBHII")
_TIME = struct.Struct("!d")
_REPORT_INTERVAL_S = 1.0
_PASSWORD = "benchbenchbenchbenchbench"
# asm-generic/socket.h; the kernel's time of arrival, as a timespec of CLOCK_REALTIME.
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@ll")

Join = Callable[[str], Awaitable[str]]

_AUDIO = """m=audio 9 UDP/TLS/RTP/SAVPF 111
a=mid:{mid}
a={direction}
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
"""
_VIDEO = """m=video 9 UDP/TLS/RTP/SAVPF 96 97
a=mid:{mid}
a={direction}
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 transport-cc
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
"""
_CHANNEL = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=mid:4\na=sctp-port:5000\n"


class Peer:
    """One participant with a camera and a microphone, a slot of each kind, and the channel."""

    def __init__(self, certificate: Certificate, number: int) -> None:
        self._certificate = certificate
        self.ssrc = 1000 + 2 * number
        self.packets = self.bytes = 0
        self.delays_s: list[float] = []
        self.wants_key_frame = False
        self.first_media_s: float | None = None
        self.media_came = asyncio.Event()
        self._opens_packets = False
        self.slot_ssrcs: list[int] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._buffer, self._scratch = PacketBuffer(), PacketBuffer()
        self._srtp: SrtpSession | None = None
        self._log = ArrivalLog()
        self._sequence = {"audio": 0, "video": 0}
        self._highest: dict[int, int] = {}
        self._report_due = 0.0
        self._up = asyncio.Event()
        self._channel: Channel | None = None

    async def join(self, join: Join) -> None:
        """Offer, check, handshake. Raises TimeoutError."""
        answer = await join(self._offer())
        self.slot_ssrcs = [int(ssrc) for ssrc in dict.fromkeys(re.findall(r"a=ssrc:(\d+) cname", answer))]
        candidate = re.search(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+)", answer)
        ufrag, password = (re.search(rf"a=ice-{name}:(\S+)", answer) for name in ("ufrag", "pwd"))
        fingerprint = re.search(r"a=fingerprint:(\S+) (\S+)", answer)
        assert candidate is not None
        assert ufrag is not None
        assert password is not None
        assert fingerprint is not None
        self._socket.connect((candidate[1], int(candidate[2])))
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self.drain)
        check = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        check.attributes["USERNAME"] = f"{ufrag[1]}:bench"
        check.attributes["USE-CANDIDATE"] = None
        check.add_message_integrity(password[1].encode())
        self._socket.send(bytes(check))
        self._username = f"bench:{ufrag[1]}"
        self._dtls = DtlsConnection(
            self._certificate,
            Fingerprint(fingerprint[1], fingerprint[2]),
            send=self._send,
            on_up=self._handle_up,
            on_closed=lambda: None,
            role="client",
        )
        async with asyncio.timeout(30):
            await self._up.wait()
        self._channel = self._dtls.open_channel(lambda: None, lambda _: None, lambda _: None, time.monotonic)
        await self._channel.start(5000)

    def detach(self) -> socket.socket:
        """Take the socket off the event loop: the caller drains it from now on."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        return self._socket

    async def close(self) -> None:
        """End the connection in order."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        if self._channel is not None:
            await self._channel.stop()
        with suppress(ConnectionError):
            await self._dtls.close()
        self._socket.close()

    def open_packets(self) -> None:
        """Decrypt what comes and note its delay: from just before it was sent to when the kernel had it back."""
        self._opens_packets = True
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)

    def send_audio(self, level: int = 20) -> None:
        """20 ms of Opus at 32 kbit/s, with the time in it."""
        now = time.time()
        element = bytes((_LEVEL_ID << 4, 0x80 | level, _MID_ID << 4, 0x30))
        payload = _TIME.pack(now) + bytes(72)
        self._send_media("audio", self.ssrc, _AUDIO_PT, int(now * 48000), True, element, payload)

    def send_frame(self, frame: int, sizes: list[int], *, is_key_frame: bool) -> None:
        """One VP8 frame in packets of these payload sizes, at once."""
        timestamp = int(time.time() * 90000)
        for place, size in enumerate(sizes):
            now = time.time()
            number = self._sequence["video"]
            element = bytes((_NUMBER_ID << 4 | 1, number >> 8 & 0xFF, number & 0xFF, _MID_ID << 4, 0x31, 0, 0, 0))
            descriptor = bytes(
                (0x90 if place == 0 else 0x80, 0xC0, 0x80 | frame >> 8 & 0x7F, frame & 0xFF, frame & 0xFF)
            )
            payload = descriptor + bytes((0 if is_key_frame else 1,)) + _TIME.pack(now) + bytes(size - 14)
            last = place == len(sizes) - 1
            self._send_media("video", self.ssrc + 1, _VIDEO_PT, timestamp, last, element, payload)

    def drain(self) -> None:
        """Take in what has come."""
        view = self._buffer.view
        while True:
            try:
                size, arrived_at = self._receive(view)
            except (BlockingIOError, ConnectionError):
                return
            first = view[0]
            if 128 <= first <= 191 and self._srtp is not None:
                if 192 <= view[1] <= 223:
                    self._handle_rtcp(self._srtp, size)
                else:
                    self._handle_rtp(self._srtp, size, arrived_at)
            elif 20 <= first <= 63:
                # While the bench measures nobody reads what comes on the channel, such as maps of slots.
                with suppress(PacketError):
                    self._dtls.receive(bytes(view[:size]))
            elif first == 0:
                self._answer_check(bytes(view[:size]))

    def _answer_check(self, datagram: bytes) -> None:
        """As a full agent does: the worker asks whether what it sends arrives."""
        asked = stun.parse_message(datagram)
        if asked.message_class is not stun.Class.REQUEST or asked.attributes["USERNAME"] != self._username:
            return
        answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=asked.transaction_id)
        answer.attributes["XOR-MAPPED-ADDRESS"] = self._socket.getpeername()[:2]
        answer.add_message_integrity(_PASSWORD.encode())
        self._socket.send(bytes(answer))

    def _receive(self, view: memoryview) -> tuple[int, float]:
        """Size and time of arrival of the next datagram, 0.0 where nobody asks for the time."""
        if not self._opens_packets:
            return self._socket.recv_into(view), 0.0
        size, ancillary, _, _ = self._socket.recvmsg_into([view], 64)
        for _, kind, data in ancillary:
            if kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = _TIMESPEC.unpack(data)
                return size, seconds + nanoseconds / 1e9
        return size, time.time()

    def send_feedback(self, now: float) -> None:
        """The RTCP that is due: transport-wide feedback each 100 ms, a receiver report each second."""
        fci = self._log.take_feedback(now)
        if fci is not None:
            self.send_control(build_receiver_report(1) + build_transport_feedback(1, 0, fci))
        if now >= self._report_due:
            self._report_due = now + _REPORT_INTERVAL_S
            blocks = [ReportBlock(ssrc, 0, 0, highest, 0, 0, 0) for ssrc, highest in self._highest.items()]
            self.send_control(build_receiver_report(1, blocks))

    def _handle_rtp(self, srtp: SrtpSession, size: int, arrived_at: float) -> None:
        now = time.monotonic()
        view = self._buffer.view
        self.packets += 1
        self.bytes += size
        self._highest[int.from_bytes(view[8:12], "big")] = view[2] << 8 | view[3]
        if self.first_media_s is None:
            self.first_media_s = now
            self.media_came.set()
        is_video = view[1] & 0x7F == _VIDEO_PT
        if is_video and view[16] == _NUMBER_ID << 4 | 1:
            self._log.add_arrival(view[17] << 8 | view[18], now)
        if self._opens_packets:
            clear = srtp.unprotect_rtp(self._buffer, size)
            at = 12 + (8 if clear[0] & 0x10 else 0) + (6 if is_video else 0)
            if clear[1] & 0x7F in (_VIDEO_PT, _AUDIO_PT):
                self.delays_s.append(arrived_at - _TIME.unpack_from(clear, at)[0])

    def _handle_rtcp(self, srtp: SrtpSession, size: int) -> None:
        reports = parse_compound(srtp.unprotect_rtcp(self._buffer, size))
        if any(isinstance(report, KeyFrameRequest) for report in reports):
            self.wants_key_frame = True

    def _handle_up(self, srtp: SrtpSession) -> None:
        self._srtp = srtp
        self._up.set()

    def _send(self, datagram: bytes) -> None:
        self._socket.send(datagram)

    def _send_media(
        self, kind: str, ssrc: int, payload_type: int, timestamp: int, marker: bool, elements: bytes, payload: bytes
    ) -> None:
        number = self._sequence[kind]
        self._sequence[kind] = number + 1
        head = _HEADER.pack(0x90, payload_type | 0x80 * marker, number & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
        self.send_packet(head + b"\xbe\xde" + (len(elements) // 4).to_bytes(2, "big") + elements + payload)

    def send_packet(self, packet: bytes) -> None:
        """Encrypt and send RTP."""
        assert self._srtp is not None
        self._scratch.view[: len(packet)] = packet
        size = self._srtp.protect_rtp(self._scratch, len(packet))
        self._socket.send(self._scratch.view[:size])

    def send_control(self, payload: bytes) -> None:
        """Encrypt and send RTCP."""
        assert self._srtp is not None
        self._scratch.view[: len(payload)] = payload
        size = self._srtp.protect_rtcp(self._scratch, len(payload))
        self._socket.send(self._scratch.view[:size])

    def _offer(self) -> str:
        fingerprint = self._certificate.fingerprint()
        head = (
            "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=group:BUNDLE 0 1 2 3 4\na=ice-ufrag:bench\n"
            f"a=ice-pwd:{_PASSWORD}\na=fingerprint:{fingerprint.algorithm} {fingerprint.value}\n"
            "a=setup:actpass\n"
        )
        own = _AUDIO.format(mid=0, direction="sendonly") + _VIDEO.format(mid=1, direction="sendonly")
        slots = _AUDIO.format(mid=2, direction="recvonly") + _VIDEO.format(mid=3, direction="recvonly")
        return (head + own + slots + _CHANNEL).replace("\n", "\r\n")
