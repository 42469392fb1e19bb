"""Who is heard and seen, and at which layer: calls of several, without a socket."""

import pytest

from services.sfu.core.congestion.arrival_log import FEEDBACK_INTERVAL_S
from services.sfu.core.ids import UserId
from services.sfu.core.selection.video_requests import VideoRequest, VideoRequests
from services.sfu.core.session.effects import Effect, SendMedia, SendRepair, SendRtcp, SendSpeakers
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.router import Router
from services.sfu.core.wire import rtcp
from services.sfu.core.wire.transport_cc import parse_feedback
from tests.unit.sfu.builders import join, make_router, rtp, video, vp8
from tests.unit.sfu.publishing import LAYERS, send_layers

LOUD, QUIET = b"\x8a", b"\x78"


@pytest.fixture
def router() -> Router:
    return make_router()


class Talk:
    """Several participants on one clock."""

    def __init__(self, router: Router, *names: str, **options: int) -> None:
        self.router = router
        self.now = 1.0
        self.members = {name: join(router, name, **options) for name in names}
        self.number = 0
        self.effects: list[Effect] = []

    def __getitem__(self, name: str) -> Participant:
        return self.members[name]

    def speak(self, *loud: str, seconds: float = 1.0) -> None:
        """Everyone sends audio, the named ones loudly."""
        end = self.now + seconds
        while self.now < end:
            self.now += 0.02
            self.number += 1
            for place, (name, member) in enumerate(self.members.items()):
                level = LOUD if name in loud else QUIET
                packet = rtp(100 + place, self.number, b"opus", mid=b"0", level=level)
                self.effects += self.router.handle_rtp(member, packet, self.now)
            self.effects += self.router.tick(self.now)

    def heard_by(self, name: str) -> set[str]:
        return {e.publisher.user_id for e in self[name].slot_map() if e.publisher is not None and e.source is None}

    def seen_by(self, name: str) -> list[str]:
        return [e.publisher.user_id for e in self[name].slot_map() if e.publisher is not None and e.source is not None]


def test_the_loudest_take_the_audio_slots(router: Router) -> None:
    talk = Talk(router, "ann", "bob", "cid", "dan", "eve", slots=2)
    talk.speak("dan", "eve")
    assert talk.heard_by("ann") == {"dan", "eve"}
    assert talk.heard_by("dan") >= {"eve"}
    talk.speak("bob", "eve", seconds=2.0)
    assert talk.heard_by("ann") == {"bob", "eve"}


def test_who_is_on_an_audio_slot_stays_while_nobody_else_speaks(router: Router) -> None:
    talk = Talk(router, "ann", "bob", "cid", "dan", slots=1)
    talk.speak("dan")
    assert talk.heard_by("ann") == {"dan"}
    slot = talk["ann"].slots[0]
    talk.effects.clear()
    talk.speak(seconds=3.0)
    assert slot.publication is talk["dan"].publications[0]


def test_everyone_is_told_who_speaks_once_for_each_change(router: Router) -> None:
    talk = Talk(router, "ann", "bob", "cid")
    talk.speak("bob", seconds=2.0)
    talk.speak(seconds=2.0)
    told = [e for e in talk.effects if isinstance(e, SendSpeakers) and e.receiver == talk["ann"].number]
    assert [[key.user_id for key in effect.speakers] for effect in told] == [["bob"], []]


def test_two_are_not_told_who_speaks(router: Router) -> None:
    talk = Talk(router, "ann", "bob")
    talk.speak("bob")
    assert not any(isinstance(effect, SendSpeakers) for effect in talk.effects)


def test_last_speakers_take_the_video_slots_and_requested_ones_come_first(router: Router) -> None:
    talk = Talk(router, "ann", "bob", "cid", "dan", slots=1)
    talk.speak("dan", seconds=5.0)
    assert talk.seen_by("ann") == ["dan"]
    router.handle_video_requests(
        talk["ann"], VideoRequests((VideoRequest(UserId("cid"), "", False, 0, False),)), talk.now
    )
    assert talk.seen_by("ann") == ["cid"]
    pinned = VideoRequests(
        (VideoRequest(UserId("cid"), "", False, 0, False), VideoRequest(UserId("bob"), "", False, 0, True))
    )
    router.handle_video_requests(talk["ann"], pinned, talk.now)
    assert talk.seen_by("ann") == ["bob"]


def test_phone_gets_no_more_videos_than_it_asks_for(router: Router) -> None:
    talk = Talk(router, "ann", "bob", "cid", "dan", slots=3)
    assert len(talk.seen_by("ann")) == 3
    router.handle_video_requests(talk["ann"], VideoRequests((), 1), talk.now)
    assert len(talk.seen_by("ann")) == 1


def test_camera_that_is_off_gives_its_slot_to_one_that_is_on(router: Router) -> None:
    talk = Talk(router, "ann", "bob", "cid", slots=1)
    first = talk.seen_by("ann")[0]
    router.handle_mute(talk[first], audio=False, video=True, now=10.0)
    assert talk.seen_by("ann") == [{"bob": "cid", "cid": "bob"}[first]]


def test_screen_takes_a_slot_when_it_is_shared_and_gives_it_back(router: Router) -> None:
    talk = Talk(router, "ann", "bob", "cid", slots=2, screen=1)
    assert talk.seen_by("ann") == ["bob", "cid"]
    router.handle_rtp(talk["bob"], rtp(55, 1, b"\x10\x00", pt=96, mid=b"5"), talk.now)
    entries = [(e.publisher.user_id, e.source) for e in talk["ann"].slot_map() if e.publisher and e.source]
    assert ("bob", "screen") in entries
    talk.speak(seconds=4.0)
    assert sorted(talk.seen_by("ann")) == ["bob", "cid"]
    assert not any(entry.source == "screen" for entry in talk["ann"].slot_map())


def test_who_joins_hears_the_others_without_waiting_for_a_tick(router: Router) -> None:
    ann = join(router, "ann")
    router.handle_rtp(ann, rtp(100, 1, b"opus", mid=b"0"), 1.0)
    join(router, "bob", 1.1)
    assert any(isinstance(e, SendMedia) for e in router.handle_rtp(ann, rtp(100, 2, b"opus", mid=b"0"), 1.12))


def test_receiver_without_room_gets_the_lowest_layer_and_with_it_the_highest(router: Router) -> None:
    ann, bob = join(router, "ann", simulcast=True), join(router, "bob", transport_cc=False)
    router.handle_rtcp(bob, rtcp.build_remb(1, 250_000, []), 1.0)
    now = send_layers(router, ann, 3, 1.0)
    source = bob.slots[1].source
    assert source is not None
    assert source.rid == "q"
    router.handle_rtcp(bob, rtcp.build_remb(1, 9_000_000, []), now)
    send_layers(router, ann, 3, now, first=200)
    source = bob.slots[1].source
    assert source is not None
    assert source.rid == "f"


def test_fall_of_the_estimate_is_acted_on_at_once(router: Router) -> None:
    ann, bob = join(router, "ann", simulcast=True), join(router, "bob", transport_cc=False)
    now = send_layers(router, ann, 2, 1.0)
    assert bob.slots[1].source is ann.publications[1].layers["f"]
    effects = router.handle_rtcp(bob, rtcp.build_remb(1, 300_000, []), now + 0.2)
    assert bob.slots[1].wanted is ann.publications[1].layers["q"]
    plis = [r for e in effects if isinstance(e, SendRtcp) for r in rtcp.parse_compound(e.payload)]
    assert rtcp.KeyFrameRequest(LAYERS[b"q"]) in plis


def test_requested_height_bounds_the_layer(router: Router) -> None:
    ann, bob = join(router, "ann", simulcast=True), join(router, "bob", transport_cc=False)
    router.handle_video_requests(bob, VideoRequests((VideoRequest(UserId("ann"), "", False, 300, False),)), 1.0)
    for rid, height in ((b"q", 180), (b"h", 360), (b"f", 720)):
        size = b"\x9d\x01\x2a" + (16 * height // 9).to_bytes(2, "little") + height.to_bytes(2, "little")
        payload = b"\x90\x80\x80\x01" + b"\x00\x00\x00" + size
        router.handle_rtp(ann, rtp(LAYERS[rid], 1, payload, pt=96, mid=b"1", rid=rid), 1.1)
    router.tick(1.4)
    assert (bob.slots[1].wanted or bob.slots[1].source) is ann.publications[1].layers["h"]


def test_path_is_probed_by_repairs_when_a_better_layer_is_there(router: Router) -> None:
    ann, bob = join(router, "ann", simulcast=True), join(router, "bob")
    effects: list[Effect] = []
    send_layers(router, ann, 2, 1.0, effects=effects)
    probes = [effect for effect in effects if isinstance(effect, SendRepair) and effect.is_probe]
    assert probes
    assert probes[0].slot is bob.slots[1]
    assert len(probes) < 200


def test_publisher_gets_feedback_on_its_numbered_packets(router: Router) -> None:
    ann = join(router, "ann")
    router.tick(0.9)
    for number in (7, 8, 10):
        router.handle_rtp(ann, rtp(5, number, b"\x10\x00", pt=96, mid=b"1", wide=number.to_bytes(2, "big")), 1.0)
    payloads = [e.payload for e in router.tick(1.0 + FEEDBACK_INTERVAL_S) if isinstance(e, SendRtcp)]
    reports = [r for payload in payloads for r in rtcp.parse_compound(payload)]
    feedback = next(r for r in reports if isinstance(r, rtcp.TransportFeedback))
    parsed = parse_feedback(feedback.fci)
    assert parsed is not None
    assert (parsed.base, [at is None for at in parsed.arrivals]) == (7, [False, False, True, False])


def test_repair_of_a_publisher_fills_its_gap_and_is_forwarded_once(router: Router) -> None:
    ann, bob = join(router, "ann", simulcast=True), join(router, "bob")
    for number in (1, 2, 4):
        router.handle_rtp(ann, video(21, number, number, key_frame=number == 1, rid=b"q"), 1.0)
    inner = video(21, 3, 3)[12 + 8 :]
    repair = rtp(31, 900, b"\x00\x03" + inner, pt=97, mid=b"1", rrid=b"q")
    effects = router.handle_rtp(ann, repair, 1.05)
    forwarded = [effect for effect in effects if isinstance(effect, SendMedia)]
    assert [effect.packet.sequence_number for effect in forwarded] == [3]
    assert not ann.streams[21].gaps.missing
    again = rtp(31, 901, b"\x00\x03" + inner, pt=97, mid=b"1", rrid=b"q")
    assert router.handle_rtp(ann, again, 1.06) == []
    assert router.handle_rtp(ann, video(21, 3, 3), 1.07) == []
    assert bob.slots[1].source is ann.streams[21]
    block = next(
        r
        for e in router.tick(2.5)
        if isinstance(e, SendRtcp) and e.receiver == ann.number
        for r in rtcp.parse_compound(e.payload)
        if isinstance(r, rtcp.ReportBlock)
    )
    assert block.packets_lost <= 1


def test_repairs_of_nothing_known_are_refused_and_padding_is_passed_over(router: Router) -> None:
    ann = join(router, "ann", simulcast=True)
    with pytest.raises(ValueError, match="unknown_ssrc"):
        router.handle_rtp(ann, rtp(31, 1, b"\x00\x03x", pt=97, mid=b"1", rrid=b"q"), 1.0)
    router.handle_rtp(ann, video(21, 1, 1, key_frame=True, rid=b"q"), 1.0)
    assert router.handle_rtp(ann, rtp(31, 2, b"", pt=97, mid=b"1", rrid=b"q"), 1.0) == []


def test_who_says_that_it_is_muted_does_not_speak_whatever_comes(router: Router) -> None:
    talk = Talk(router, "ann", "bob", "cid", "dan", slots=1)
    talk.speak("bob", seconds=2.0)
    for name in ("bob", "cid", "dan"):
        router.handle_mute(talk[name], name == "bob", False, talk.now)
    talk.effects.clear()
    talk.speak("bob", "cid", seconds=6.0)
    assert talk.heard_by("ann") == {"cid"}
    assert talk.seen_by("ann") == ["cid"]
    told = [e.speakers for e in talk.effects if isinstance(e, SendSpeakers) and e.receiver == talk["ann"].number]
    assert [[key.user_id for key in speakers] for speakers in told][-1] == ["cid"]


def pairs_of(member: Participant) -> dict[str, str]:
    """Whose camera is in the stream of whose sound."""
    return {
        slot.publication.publisher.user_id: partner.publication.publisher.user_id
        for slot, partner in member.partners.items()
        if slot.kind == "audio" and slot.publication is not None and partner.publication is not None
    }


def test_sound_and_camera_of_a_person_are_in_one_stream(router: Router) -> None:
    talk = Talk(router, "ann", "bob", "cid", "dan", slots=3)
    assert pairs_of(talk["ann"]) == {name: name for name in ("bob", "cid", "dan")}
    router.members.remove(talk["bob"].key, talk.now)
    talk.members["eve"] = join(router, "eve", talk.now, slots=3)
    talk.speak("eve")
    assert pairs_of(talk["ann"]) == {name: name for name in ("cid", "dan", "eve")}


def test_a_screen_leaves_the_stream_of_a_persons_sound_to_the_camera(router: Router) -> None:
    ann = join(router, "ann", slots=2)
    bob = join(router, "bob", screen=True)
    router.handle_mute(bob, False, False, 1.0, True)
    router.handle_rtp(bob, rtp(77, 1, vp8(1, key_frame=True), pt=96, mid=b"5"), 1.0)
    shown = {slot.publication.source: slot for slot in ann.slots if slot.publication is not None}
    assert set(shown) == {None, "camera", "screen"}
    assert ann.partners[shown[None]] is shown["camera"]
