"""What is shown follows from who publishes what now; and what was learnt of an SSRC stays."""

from struct import pack

import pytest

from services.sfu.core.forwarding.publications import STILL_S
from services.sfu.core.session.effects import SendMedia, SendSlotMap
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.router import Router
from services.sfu.core.wire import rtcp
from services.sfu.core.wire.rtcp import SenderReport
from tests.unit.sfu.builders import join, make_router, rtp, video, vp8
from tests.unit.sfu.publishing import LAYERS

SIZES = pytest.mark.parametrize("people", [2, 3, 5])
CAMERA, SCREEN = 31, 51


class Sharing:
    """Ann has a camera and shares her screen; Bob has one video slot. The others send nothing."""

    def __init__(self, people: int) -> None:
        self.router, self.now, self.frames = make_router(), 1.0, 0
        self.ann = join(self.router, "ann", screen=True)
        self.bob = join(self.router, "bob")
        for place in range(people - 2):
            join(self.router, f"o{place}")

    def run(self, seconds: float, *sending: int, reporting: bool = False) -> None:
        for _ in range(round(seconds * 10)):
            self.frames += 1
            for ssrc in sending:
                frame = vp8(self.frames, key_frame=self.frames % 10 == 1)
                mid = b"1" if ssrc == CAMERA else b"5"
                packet = rtp(ssrc, self.frames, frame, pt=96, timestamp=self.frames * 9000, marker=True, mid=mid)
                self.router.handle_rtp(self.ann, packet, self.now)
            if reporting:
                report = rtcp.build_sender_report(SenderReport(SCREEN, 1 << 32, 0, 1, 1))
                self.router.handle_rtcp(self.ann, report, self.now)
            self.now += 0.1
            for member in self.router.members.participants:
                self.router.handle_consent(member, self.now)
            self.router.tick(self.now)

    def say(self, *, screen: bool | None, video: bool = False) -> None:
        self.router.handle_mute(self.ann, False, video, self.now, screen)

    @property
    def shown(self) -> str | None:
        entry = self.bob.slot_map()[1]
        assert entry.publisher is None or entry.publisher == self.ann.key
        return entry.source if entry.publisher is not None and not entry.muted else None


def bye(*ssrcs: int) -> bytes:
    return pack("!BBH", 0x80 | len(ssrcs), 203, len(ssrcs)) + b"".join(ssrc.to_bytes(4, "big") for ssrc in ssrcs)


@SIZES
@pytest.mark.parametrize("says", [True, False])
def test_a_screen_goes_before_the_camera_and_the_camera_comes_back(people: int, says: bool) -> None:
    call = Sharing(people)
    call.run(2, CAMERA)
    assert call.shown == "camera"
    for _ in range(2):
        call.run(0.2, CAMERA, SCREEN)
        if says:
            call.say(screen=True)
        call.run(2, CAMERA, SCREEN)
        assert call.shown == "screen"
        if says:
            call.say(screen=False)
            assert call.shown == "camera"
        call.run(5, CAMERA)
        assert call.shown == "camera"


@SIZES
def test_a_screen_that_stands_still_stays_while_its_publisher_says_so(people: int) -> None:
    call = Sharing(people)
    call.run(1, CAMERA, SCREEN)
    call.say(screen=True)
    call.run(90, CAMERA)
    assert call.shown == "screen"
    call.say(screen=False)
    assert call.shown == "camera"


@SIZES
def test_a_still_screen_of_which_nothing_is_said_stays_for_a_while_longer_with_its_reports(people: int) -> None:
    call = Sharing(people)
    call.run(1, CAMERA, SCREEN)
    call.run(3, CAMERA)
    assert call.shown == "screen"
    call.run(2, CAMERA)
    assert call.shown == "camera"
    call.run(1, CAMERA, SCREEN)
    call.run(STILL_S - 5, CAMERA, reporting=True)
    assert call.shown == "screen"
    call.run(10, CAMERA, reporting=True)
    assert call.shown == "camera"


@SIZES
@pytest.mark.parametrize("says", [True, None])
def test_a_screen_that_says_bye_is_gone_at_once_and_its_next_packet_brings_it_back(
    people: int, says: bool | None
) -> None:
    call = Sharing(people)
    call.run(1, CAMERA, SCREEN)
    call.say(screen=says)
    effects = call.router.handle_rtcp(call.ann, bye(SCREEN), call.now)
    assert SendSlotMap(call.bob.number) in effects
    assert call.shown == "camera"
    call.run(1, CAMERA, SCREEN)
    assert call.shown == "screen"


@SIZES
def test_a_screen_that_is_said_to_be_off_takes_no_slot_though_packets_still_come(people: int) -> None:
    call = Sharing(people)
    call.run(1, CAMERA, SCREEN)
    call.say(screen=False)
    call.run(2, CAMERA, SCREEN)
    assert call.shown == "camera"


@SIZES
def test_padding_alone_is_no_screen(people: int) -> None:
    call = Sharing(people)
    call.run(1, CAMERA)
    for number in range(5):
        packet = rtp(SCREEN, number, bytes(9) + b"\x0a", pt=96, mid=b"5")
        call.router.handle_rtp(call.ann, bytes((packet[0] | 0x20,)) + packet[1:], call.now)
    call.run(0.5, CAMERA)
    assert call.shown == "camera"


@SIZES
def test_a_camera_of_which_nothing_comes_any_more_is_told_to_be_off_and_on_again(people: int) -> None:
    call = Sharing(people)
    call.run(2, CAMERA)
    call.run(5)
    assert call.shown is None
    call.run(1, CAMERA)
    assert call.shown == "camera"
    call.router.handle_rtcp(call.ann, bye(CAMERA), call.now)
    assert call.shown is None


def test_a_camera_that_never_came_gives_its_slot_to_one_that_is_there() -> None:
    router = make_router()
    for name in ("ann", "bob", "cid"):
        join(router, name)
    cid, bob = (next(p for p in router.members.participants if p.key.user_id == name) for name in ("cid", "bob"))
    now = 1.0
    for number in range(100):
        now += 0.1
        router.handle_rtp(cid, video(CAMERA, number, number, key_frame=number % 10 == 0), now)
        router.tick(now)
    entry = bob.slot_map()[1]
    assert entry.publisher == cid.key


def publish(router: Router, ann: Participant, numbers: range, now: float, *, named: bool) -> int:
    """Three layers at 30 frames a second; gives how many packets went on."""
    forwarded = 0
    for number in numbers:
        for rid, ssrc in LAYERS.items():
            packet = video(ssrc, number, number, key_frame=number == numbers[0], rid=rid if named else b"")
            effects = router.handle_rtp(ann, packet + bytes(300), now + number / 30)
            forwarded += sum(isinstance(effect, SendMedia) for effect in effects)
        router.tick(now + number / 30)
    return forwarded


@pytest.mark.parametrize("gone", [(21,), (23,), (21, 22, 23)])
def test_what_was_learnt_of_an_ssrc_outlives_its_bye(gone: tuple[int, ...]) -> None:
    router = make_router()
    ann, bob = join(router, "ann", simulcast=True), join(router, "bob")
    publish(router, ann, range(1, 30), 0.0, named=True)
    rids = {ssrc: ann.streams[ssrc].rid for ssrc in LAYERS.values()}
    router.handle_rtcp(ann, bye(*gone), 1.0)
    assert publish(router, ann, range(60, 120), 0.0, named=False) > 30
    assert {ssrc: ann.streams[ssrc].rid for ssrc in LAYERS.values()} == rids
    assert bob.slots[1].source is not None


def test_an_ssrc_that_is_given_to_another_m_line_is_that_ones() -> None:
    router = make_router()
    ann, bob = join(router, "ann", screen=True), join(router, "bob")
    router.handle_rtp(ann, rtp(7, 1, vp8(1, key_frame=True), pt=96, mid=b"1"), 1.0)
    router.handle_rtcp(ann, bye(7), 1.1)
    router.handle_rtp(ann, rtp(7, 2, vp8(2, key_frame=True), pt=96, mid=b"5"), 1.2)
    assert bob.slot_map()[1].source == "screen"
    assert ann.streams[7].publication is ann.publications[2]


def test_of_two_ssrcs_of_one_layer_the_one_that_still_comes_is_shown() -> None:
    router = make_router()
    ann, bob = join(router, "ann"), join(router, "bob")
    now = 1.0
    for number in range(40):
        now += 0.1
        ssrcs = (7, 8) if 10 <= number < 15 else (7,)
        for ssrc in ssrcs:
            router.handle_rtp(ann, rtp(ssrc, number, vp8(number, key_frame=True), pt=96, mid=b"1"), now)
        router.tick(now)
    assert bob.slots[1].source is ann.streams[7]


def test_names_that_come_later_correct_a_guess() -> None:
    router = make_router()
    ann = join(router, "ann", simulcast=True)
    for ssrc in (23, 22, 21):
        router.handle_rtp(ann, video(ssrc, 1, 1, key_frame=True), 1.0)
    for rid, ssrc in LAYERS.items():
        router.handle_rtp(ann, video(ssrc, 2, 2, rid=rid), 1.1)
    assert {rid: stream.ssrc for rid, stream in ann.publications[1].layers.items()} == {"q": 21, "h": 22, "f": 23}
