"""Publishers of scalable streams, and what their receivers get, for the tests of the core."""

import random
from itertools import pairwise
from struct import pack
from typing import NamedTuple, Protocol

from services.sfu.core.session.effects import Effect, SendMedia
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.router import Router
from services.sfu.core.wire.dependency_descriptor import DescriptorReader, Frame
from services.sfu.core.wire.media_line import DESCRIPTOR_URI
from services.sfu.core.wire.sdp import parse_offer
from tests.unit.sfu.builders import copies, key, offer_text, receivers

DESCRIPTOR_ID, TYPE = 12, 98
SSRC = 77


class Pictures(Protocol):
    """The descriptors of a picture's frames, from the lowest layer (descriptors.py)."""

    def __call__(self, picture: int, since: int = -1, *, is_bare: bool = False) -> list[bytes]: ...


def scalable_text(codec: str = "VP9", **options: bool) -> str:
    """An offer with this codec behind VP8 on all lines of video, and with the dependency descriptor."""
    text = offer_text(**options).replace("SAVPF 96 97", f"SAVPF 96 97 {TYPE}")
    described = f"a=rtpmap:96 VP8/90000\r\na=rtpmap:{TYPE} {codec}/90000\r\na=rtcp-fb:{TYPE} nack\r\n"
    described += f"a=rtcp-fb:{TYPE} nack pli\r\na=rtcp-fb:{TYPE} transport-cc\r\n"
    return text.replace("a=rtpmap:96 VP8/90000\r\n", described + f"a=extmap:{DESCRIPTOR_ID} {DESCRIPTOR_URI}\r\n")


def scalable_router() -> Router:
    """Where codecs with layers in one stream are wanted."""
    return Router(random.Random(1).randbytes, 1_700_000_000.0, ("vp9", "av1", "h264"))


def enter(router: Router, name: str, codec: str = "VP9") -> Participant:
    """Somebody who sends and takes the codec."""
    member, _ = router.members.join(key(name), parse_offer(scalable_text(codec)), 0.0)
    router.handle_transport_up(member, 0.0)
    return member


def packet(number: int, described: bytes, *, timestamp: int, marker: bool, size: int = 100) -> bytes:
    """A packet of m-line 1 with a descriptor, in elements of two bytes.

    Of its payload nothing can be read, as when it is encrypted end to end.
    """
    elements = bytes((4, 1)) + b"1" + bytes((DESCRIPTOR_ID, len(described))) + described
    elements += bytes(-len(elements) % 4)
    extension = pack("!HH", 0x1000, len(elements) // 4) + elements
    header = pack("!BBHII", 0x90, TYPE | 0x80 * marker, number & 0xFFFF, timestamp & 0xFFFFFFFF, SSRC)
    # Not even its first bit: no picture id.
    return header + extension + b"\x7f" * size


class Got(NamedTuple):
    """A packet that a receiver got, with what the publisher's descriptor said of it."""

    number: int
    marker: bool
    timestamp: int
    frame: Frame


class Stream:
    """A publisher of one SSRC; `got` by receiver, `effects` of all but media."""

    def __init__(self, router: Router, publisher: Participant, pictures: Pictures, parts: int = 2) -> None:
        self.got: dict[int, list[Got]] = {}
        self._copies: dict[int, list[tuple[int, bytes]]] = {}
        self.effects: list[Effect] = []
        self.picture = 0
        self._router = router
        self._publisher = publisher
        self._pictures = pictures
        self._parts = parts
        self._number = 100
        self._since = 0
        self._reader = DescriptorReader()

    def send(self, now: float, *, is_key: bool = False, lost: int | None = None, sizes: tuple[int, ...] = ()) -> None:
        """The next picture: each frame in `parts` packets of these sizes by layer; the `lost` one does not come."""
        self._since = 0 if is_key else self._since + 1
        first = self._pictures(self.picture, self._since)
        rest = self._pictures(self.picture, self._since, is_bare=True)
        for at in range(len(first)):
            for part in range(self._parts):
                starts, ends = part == 0, part == self._parts - 1
                described = first[at] if starts else rest[at]
                value = bytes((described[0] & 0x3F | starts << 7 | ends << 6,)) + described[1:]
                frame = self._reader.read(value)
                assert frame is not None
                last = at == len(first) - 1 and ends
                size = sizes[at] if sizes else 100
                datagram = packet(self._number, value, timestamp=3000 * self.picture, marker=last, size=size)
                self._number += 1
                if lost is not None and at * self._parts + part == lost:
                    continue
                self._take(self._router.handle_rtp(self._publisher, datagram, now), frame, now)
        self.picture += 1
        self._take(self._router.tick(now), None, now)

    def take_copies(self, receiver: int) -> list[tuple[int, bytes]]:
        """What a receiver got since the last time, by number."""
        return self._copies.pop(receiver, [])

    def _take(self, effects: list[Effect], frame: Frame | None, now: float) -> None:
        for effect in effects:
            if not isinstance(effect, SendMedia):
                self.effects.append(effect)
                continue
            assert frame is not None
            for receiver, copy in zip(receivers(effect), copies(effect, now), strict=True):
                number, timestamp = int.from_bytes(copy[2:4], "big"), int.from_bytes(copy[4:8], "big")
                self._copies.setdefault(receiver, []).append((number, copy))
                self.got.setdefault(receiver, []).append(Got(number, copy[1] >= 0x80, timestamp, frame))


def check(got: list[Got]) -> None:
    """What a decoder needs: numbers without holes, a marker at the end of each picture alone, whole frames, none that
    refers to what did not come."""
    assert {later.number - one.number & 0xFFFF for one, later in pairwise(got)} == {1}
    came: set[int] = set()
    for at, one in enumerate(got):
        is_last = at == len(got) - 1 or got[at + 1].timestamp != one.timestamp
        assert one.marker == is_last, (at, one.frame.number)
        needed = {one.frame.number - fdiff & 0xFFFF for fdiff in one.frame.fdiffs}
        assert needed <= came, (at, one.frame.number, needed)
        came.add(one.frame.number)
    for frame in came:
        packets = [one.frame for one in got if one.frame.number == frame]
        assert packets[0].starts
        assert packets[-1].ends


def layers(got: list[Got]) -> set[tuple[int, int]]:
    """The layers of what came."""
    return {(one.frame.spatial, one.frame.temporal) for one in got}
