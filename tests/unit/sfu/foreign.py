"""Peers that leave something out, or do it otherwise, and calls of them: for the matrix of test_foreign.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from struct import pack
from typing import NamedTuple

from services.sfu.core.errors import PacketError
from services.sfu.core.session.effects import Effect, SendMedia, SendRtcp
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.router import Router
from services.sfu.core.wire import rtcp
from services.sfu.core.wire.rtp import parse_header
from services.sfu.core.wire.sdp import parse_offer
from tests.unit.sfu.builders import copies, key, make_router, offer_text, vp8

LOUD, QUIET = 0x80 | 20, 0x80 | 60


class Lines(NamedTuple):
    """The direction of the m-lines that a peer sends on, and how many of each kind it has that only receive."""

    own: str
    receiving: int


@dataclass(frozen=True)
class Manner:
    """How a peer offers and sends. `edit` changes its offer; the rest is what its packets look like.

    `rids`: the layers that it sends, "" for one stream; `rid_packets`: how many packets of each SSRC name it.
    """

    edit: Callable[[str], str] = lambda text: text
    simulcast: bool = False
    rids: tuple[str, ...] = ("",)
    # Bytes of each layer's packets, and pictures' heights; 0 where nothing tells them.
    sizes: tuple[int, ...] = (300,)
    heights: tuple[int, ...] = ()
    level: bool = True
    mid: bool = True
    rid_packets: int = 1 << 30
    ids: dict[str, int] = field(default_factory=lambda: {"level": 1, "mid": 4, "rid": 10})
    two_byte: bool = False
    audio_type: int = 111
    video_type: int = 96
    red: bool = False
    dtx: bool = False
    # Packets of padding that go before a stream's first.
    padding: int = 0
    takes_requests: bool = True
    h264: bool = False


class Peer:
    """A participant that sends a voice and a picture, a key frame first and when it is asked for one."""

    def __init__(
        self, router: Router, name: str, manner: Manner, slots: int, now: float, direction: str = "sendonly"
    ) -> None:
        self.name, self.manner, self._router = name, manner, router
        text = manner.edit(offer_text(simulcast=manner.simulcast, slots=slots, direction=direction))
        self.member, _ = router.members.join(key(name), parse_offer(text), now)
        router.handle_transport_up(self.member, now)
        self.ssrcs = {"audio": 1000, **{rid: 2000 + place for place, rid in enumerate(manner.rids)}}
        self.numbers = {name: count(60_000) for name in self.ssrcs}
        self._named: dict[int, int] = {}
        self._wants_key = set(manner.rids)
        self._key_at = 0.0
        self.refused: list[str] = []

    def extensions(self, **values: bytes) -> bytes:
        known = {name: value for name, value in values.items() if name in self.manner.ids}
        if not known:
            return b""
        if self.manner.two_byte:
            body = b"".join(bytes((self.manner.ids[n], len(v))) + v for n, v in known.items())
        else:
            body = b"".join(bytes((self.manner.ids[n] << 4 | len(v) - 1,)) + v for n, v in known.items())
        body += bytes(-len(body) % 4)
        return (b"\x10\x00" if self.manner.two_byte else b"\xbe\xde") + pack("!H", len(body) // 4) + body

    def _packet(self, name: str, payload_type: int, timestamp: int, payload: bytes, **ext: bytes) -> bytes:
        block = self.extensions(**ext)
        first = 0x80 | 0x10 * bool(block) | 0x20 * (not payload)
        number = next(self.numbers[name]) & 0xFFFF
        header = pack("!BBHII", first, payload_type, number, timestamp & 0xFFFFFFFF, self.ssrcs[name])
        return header + block + (payload or bytes(9) + b"\x0a")

    def voice(self, now: float, is_loud: bool) -> list[Effect]:
        manner = self.manner
        if manner.dtx and not is_loud:
            return []
        ext = {"mid": b"0"} if manner.mid else {}
        if manner.level:
            ext["level"] = bytes((LOUD if is_loud else QUIET,))
        payload = b"\x6f" + b"opus" if manner.red else b"opus"
        payload_type = 63 if manner.red else manner.audio_type
        return self._send(self._packet("audio", payload_type, int(now * 48000), payload, **ext), now)

    def picture(self, now: float) -> list[Effect]:
        manner, effects = self.manner, list[Effect]()
        if not manner.takes_requests and now - self._key_at > 1.0:
            self._wants_key, self._key_at = set(manner.rids), now
        for place, rid in enumerate(manner.rids):
            ext = {"mid": b"1"} if manner.mid else {}
            ssrc = self.ssrcs[rid]
            named = self._named[ssrc] = self._named.get(ssrc, 0) + 1
            if rid and named <= manner.rid_packets:
                ext["rid"] = rid.encode()
            is_first = named == 1
            for _ in range(manner.padding if is_first else 0):
                effects += self._send(self._packet(rid, manner.video_type, int(now * 90000), b"", **ext), now)
            payload = self._frame(place, rid in self._wants_key)
            self._wants_key.discard(rid)
            effects += self._send(self._packet(rid, manner.video_type, int(now * 90000), payload, **ext), now)
        return effects

    def _frame(self, place: int, is_key: bool) -> bytes:
        size = self.manner.sizes[place % len(self.manner.sizes)]
        if self.manner.h264:
            return (b"\x67" if is_key else b"\x61") + bytes(size)
        body = bytes(size)
        if is_key and self.manner.heights:
            body = b"\0\0\x9d\x01\x2a" + pack("<HH", 16, self.manner.heights[place]) + body
        return vp8(place, key_frame=is_key, body=body)

    def change_ssrcs(self) -> None:
        """As an encoder that was made anew."""
        self.ssrcs = {name: ssrc + 100 for name, ssrc in self.ssrcs.items()}
        self.numbers = {name: count(7) for name in self.ssrcs}
        self._wants_key = set(self.manner.rids)

    def restart_numbers(self, first: int) -> None:
        """The same SSRCs, other numbers."""
        self.numbers = {name: count(first) for name in self.ssrcs}

    def say_bye(self, now: float, *names: str) -> list[Effect]:
        ssrcs = [self.ssrcs[name] for name in names or self.ssrcs]
        bye = pack("!BBH", 0x80 | len(ssrcs), 203, len(ssrcs)) + b"".join(ssrc.to_bytes(4, "big") for ssrc in ssrcs)
        return self._router.handle_rtcp(self.member, bye, now)

    def hear(self, effects: Iterable[Effect]) -> None:
        """Take the key frame requests among what the router sends."""
        for effect in effects:
            if isinstance(effect, SendRtcp) and effect.receiver == self.member.number and self.manner.takes_requests:
                asked = [
                    r.media_ssrc for r in rtcp.parse_compound(effect.payload) if isinstance(r, rtcp.KeyFrameRequest)
                ]
                self._wants_key |= {rid for rid in self.manner.rids if self.ssrcs[rid] in asked}

    def _send(self, packet: bytes, now: float) -> list[Effect]:
        try:
            return self._router.handle_rtp(self.member, packet, now)
        except PacketError as error:
            self.refused.append(error.reason)
            return []


class Meeting:
    """A call of peers; the first one is the odd one, and the one who speaks.

    The others have `slots` m-lines of each kind to receive on; the odd one has as many, or those that `lines` says.
    """

    def __init__(self, odd: Manner, people: int, slots: int, lines: Lines | None = None) -> None:
        self.router = make_router()
        self.now = 1.0
        lines = lines or Lines("sendonly", slots)
        self.odd = Peer(self.router, "u0", odd, lines.receiving, self.now, lines.own)
        self.others = [Peer(self.router, f"u{n}", Manner(), slots, self.now) for n in range(1, people)]
        self.peers = [self.odd, *self.others]
        self.sent: list[tuple[int, int, int, float]] = []

    def run(self, seconds: float, *, pictures: bool = True) -> None:
        """Everyone sends; the odd one alone speaks."""
        self.sent = []
        for step in range(round(seconds * 50)):
            self.now += 0.02
            effects: list[Effect] = []
            for peer in self.peers:
                effects += peer.voice(self.now, peer is self.odd)
                if step % 5 == 0 and (pictures or peer is not self.odd):
                    effects += peer.picture(self.now)
            effects += self.router.tick(self.now)
            self.take(effects)

    def take(self, effects: list[Effect]) -> None:
        for peer in self.peers:
            peer.hear(effects)
        for effect in effects:
            if isinstance(effect, SendMedia):
                for copy in copies(effect, self.now):
                    header = parse_header(copy)
                    self.sent.append((header.ssrc, header.payload_type, header.sequence_number, self.now))

    def lately(self, receiver: Participant, kind: str, publisher: Participant) -> list[tuple[int, int]]:
        """(payload type, number) of what went to the receiver in the last second on slots that the publisher has."""
        ssrcs = [
            slot.ssrc
            for slot in receiver.slots
            if slot.kind == kind and slot.publication is not None and slot.publication.publisher == publisher.key
        ]
        return [(kind_of, n) for ssrc, kind_of, n, at in self.sent if ssrc in ssrcs and at > self.now - 1.0]
