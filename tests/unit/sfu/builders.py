"""Offers, packets and participants for the tests of the core."""

import random
from struct import pack
from typing import Any

from services.sfu.core.forwarding.subscribers import Subscriber, fill
from services.sfu.core.ids import CallId, DeviceId, ParticipantKey, ParticipantNumber, UserId
from services.sfu.core.session.effects import SendMedia
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.router import Router
from services.sfu.core.wire.sdp import Offer, parse_offer

FINGERPRINT = ":".join(["AB"] * 32)

HEAD = f"""v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2 3 4
a=extmap-allow-mixed
a=ice-ufrag:abcd
a=ice-pwd:0123456789012345678901
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
"""

AUDIO = """m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9
c=IN IP4 0.0.0.0
a=mid:{mid}
a={direction}
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=rtpmap:63 red/48000/2
a=rtpmap:9 G722/8000
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
"""

VIDEO = """m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=mid:{mid}
a={direction}
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 transport-cc
a=rtcp-fb:96 ccm fir
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
"""

SIMULCAST = "a=rid:q send\na=rid:h send\na=rid:f send\na=simulcast:send q;h;f\n"

CHANNEL = """m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:4
a=sctp-port:5000
"""


# What puts RED before Opus, and says what is in it.
RED_FIRST = ("SAVPF 111 63 9", "SAVPF 63 111 9\na=fmtp:63 111/111")


def _with_stereo(line: str, parameters: str) -> str:
    return line.replace("useinbandfec=1", f"useinbandfec=1;{parameters}")


def offer_text(
    *,
    simulcast: bool = False,
    rtx: bool = True,
    transport_cc: bool = True,
    slots: int = 1,
    screen: bool = False,
    sound: bool = False,
    red: bool = False,
    direction: str = "sendonly",
) -> str:
    """Own audio (0) and video (1) of this `direction`, `slots` of each to receive on (2, 3, then a20, v20, ...), the
    channel (4), and a screen (5). `sound`: with a line for the screen's sound (6) and a slot in stereo (7); `red`: the
    slots of audio prefer RED."""
    mids = [("2", "3"), *((f"a2{n}", f"v2{n}") for n in range(slots - 1))][:slots]
    parts = [
        HEAD.replace(
            "0 1 2 3 4",
            " ".join(["0 1 2 3 4", *(mid for pair in mids[1:] for mid in pair)]) + " 5" * screen + " 6 7" * sound,
        ),
        AUDIO.format(mid=0, direction=direction),
        VIDEO.format(mid=1, direction=direction) + SIMULCAST * simulcast,
        *(AUDIO.format(mid=audio, direction="recvonly") for audio, _ in mids),
        *(VIDEO.format(mid=video, direction="recvonly") for _, video in mids),
        CHANNEL,
        VIDEO.format(mid=5, direction="sendonly") * screen,
        _with_stereo(AUDIO.format(mid=6, direction="sendonly"), "stereo=1;sprop-stereo=1") * sound,
        _with_stereo(AUDIO.format(mid=7, direction="recvonly"), "stereo=1") * sound,
    ]
    if red:
        parts = [part.replace(*RED_FIRST) if "recvonly" in part else part for part in parts]
    text = "".join(parts)
    if not rtx:
        text = text.replace("a=fmtp:97 apt=96\n", "")
    if not transport_cc:
        text = text.replace("a=rtcp-fb:96 transport-cc\n", "")
    return text.replace("\n", "\r\n")


def offer(**options: Any) -> Offer:
    return parse_offer(offer_text(**options))


def key(user: str, device: str = "d1", call: str = "call-1") -> ParticipantKey:
    return ParticipantKey(CallId(call), UserId(user), DeviceId(device))


def make_router(seed: int = 1) -> Router:
    return Router(random.Random(seed).randbytes, unix_offset_s=1_700_000_000.0)


class Page:
    """Room for one packet."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(2000))


def copies(effect: SendMedia, now: float = 1.0) -> list[bytes]:
    """The packets as the shell would send them, in clear text."""
    to, packet = effect.to, effect.packet
    page = Page()
    if isinstance(to, Subscriber):
        return [bytes(page.view[: to.write(packet, page, now)])]
    template = to.render(packet, now)
    written = []
    for _, numbers in to.members:
        fill((template,), numbers, (page,))
        written.append(bytes(page.view[: template.size]))
    return written


def receivers(effect: SendMedia) -> list[ParticipantNumber]:
    """Whom a packet goes to."""
    return [effect.to.receiver] if isinstance(effect.to, Subscriber) else [slot.receiver for slot in effect.to.slots]


def join(router: Router, user: str, now: float = 0.0, *, device: str = "d1", **options: Any) -> Participant:
    """A participant whose transport is up; options as of `offer_text`."""
    participant, _ = router.members.join(key(user, device), offer(**options), now)
    router.handle_transport_up(participant, now)
    return participant


def extensions(**values: bytes) -> bytes:
    """A one-byte header extension block; names: level, wide, mid, rid, rrid, with the ids of the offers above."""
    ids = {"level": 1, "wide": 3, "mid": 4, "rid": 10, "rrid": 11}
    elements = b"".join(bytes((ids[name] << 4 | len(value) - 1,)) + value for name, value in values.items())
    elements += bytes(-len(elements) % 4)
    return b"\xbe\xde" + pack("!H", len(elements) // 4) + elements


def rtp(
    ssrc: int,
    number: int,
    payload: bytes = b"x",
    *,
    pt: int = 111,
    timestamp: int = 0,
    marker: bool = False,
    **ext: bytes,
) -> bytes:
    """An RTP packet in clear text."""
    first = 0x90 if ext else 0x80
    header = pack("!BBHII", first, pt | 0x80 * marker, number & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
    return header + (extensions(**ext) if ext else b"") + payload


def vp8(
    picture_id: int,
    *,
    key_frame: bool = False,
    tl0: int | None = None,
    tid: int | None = None,
    sync: bool = False,
    body: bytes = b"frame",
) -> bytes:
    """A VP8 payload that starts a frame, with a 15-bit PictureID."""
    flags = 0x80 | (0x40 if tl0 is not None else 0) | (0x20 if tid is not None else 0)
    descriptor = bytes((0x90, flags)) + pack("!H", 0x8000 | picture_id)
    if tl0 is not None:
        descriptor += bytes((tl0,))
    if tid is not None:
        descriptor += bytes((tid << 6 | 0x20 * sync,))
    return descriptor + bytes((0x00 if key_frame else 0x01,)) + body


def video(ssrc: int, number: int, picture_id: int, *, key_frame: bool = False, rid: bytes = b"", **more: int) -> bytes:
    """A VP8 packet of m-line 1."""
    ext = {"mid": b"1"} | ({"rid": rid} if rid else {})
    sync = bool(more.get("sync"))
    payload = vp8(picture_id, key_frame=key_frame, tl0=more.get("tl0"), tid=more.get("tid"), sync=sync)
    return rtp(ssrc, number, payload, pt=96, timestamp=more.get("timestamp", number * 3000), marker=True, **ext)
