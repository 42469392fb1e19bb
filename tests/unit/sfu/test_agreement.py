"""Codecs are agreed so that everyone sees a picture; where that cannot be, both sides are told."""

import itertools

import pytest

from services.sfu.core.session.agreement import agree
from services.sfu.core.session.effects import SendMedia, SendSlotMap
from services.sfu.core.session.participants import Participant, UnseenVideo
from services.sfu.core.session.router import Router
from services.sfu.core.wire.answer import LocalTransport, SlotSsrcs, build_answer
from services.sfu.core.wire.media_line import DESCRIPTOR_URI
from services.sfu.core.wire.sdp import Fingerprint, parse_offer
from tests.unit.sfu.builders import key, make_router, offer_text, rtp

VP8, VP9, AV1 = ("VP8", ""), ("VP9", "profile-id=0"), ("AV1", "")


def h264(profile: str, mode: int = 1) -> tuple[str, str]:
    return "H264", f"level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={profile}"


CBP, CBP_0, HIGH, BARE = h264("42e01f"), h264("42e01f", 0), h264("64001f"), ("H264", "")


def offer_of(own: tuple[tuple[str, str], ...], slot: tuple[tuple[str, str], ...], slots: int = 1) -> str:
    """An offer whose own video and whose slots have these codecs."""
    head, *parts = offer_text(slots=slots).split("m=video 9 UDP/TLS/RTP/SAVPF 96 97")
    lines = [head]
    for place, part in enumerate(parts):
        codecs = own if place == 0 else slot
        types = range(96, 96 + len(codecs))
        described = "".join(
            f"a=rtpmap:{number} {name}/90000\r\n" + (f"a=fmtp:{number} {fmtp}\r\n" if fmtp else "")
            for number, (name, fmtp) in zip(types, codecs, strict=True)
        )
        body = part.replace("a=rtpmap:96 VP8/90000\r\n", described)
        body = body.replace("a=rtpmap:97 rtx/90000\r\n", "").replace("a=fmtp:97 apt=96\r\n", "")
        lines.append("m=video 9 UDP/TLS/RTP/SAVPF " + " ".join(map(str, types)) + body.replace("fb:96", "fb:*"))
    return "".join(lines)


def enter(
    router: Router, name: str, own: tuple[tuple[str, str], ...], slot: tuple[tuple[str, str], ...]
) -> Participant:
    member, _ = router.members.join(key(name), parse_offer(offer_of(own, slot)), 0.0)
    router.handle_transport_up(member, 0.0)
    return member


KEY_FRAMES = {"VP8": b"\x10\x00", "H264": b"\x67x", "VP9": b"\x08x", "AV1": b"\x18x"}


def show(router: Router, member: Participant, now: float = 1.0) -> set[int]:
    """Send a key frame of what was agreed; gives who gets it."""
    agreed = member.publications[1].format.partition("/")[0].upper()
    payload_type = next(iter(member.publications[1].codecs))
    reached: set[int] = set()
    for number in range(5):
        packet = rtp(31, number, KEY_FRAMES[agreed], pt=payload_type, mid=b"1", timestamp=number * 3000)
        for effect in router.handle_rtp(member, packet, now + number / 10):
            if isinstance(effect, SendMedia):
                reached |= (
                    {s.receiver for s in effect.to.slots} if hasattr(effect.to, "slots") else {effect.to.receiver}
                )
        router.tick(now + number / 10)
    return reached


@pytest.mark.parametrize("own", list(itertools.permutations((VP8, CBP, VP9))))
def test_who_offers_vp8_sends_it_in_whatever_order_it_offers(own: tuple[tuple[str, str], ...]) -> None:
    router = make_router()
    ann = enter(router, "ann", own, (VP8, CBP))
    bob = enter(router, "bob", (VP8,), (VP8,))
    assert show(router, ann) == {bob.number}
    assert not bob.unseen
    assert not ann.unseen_by


@pytest.mark.parametrize("slot", [(CBP,), (HIGH,), (VP9,), (AV1,)])
def test_who_comes_later_sends_what_those_in_the_call_take(slot: tuple[tuple[str, str], ...]) -> None:
    router = make_router()
    bob = enter(router, "bob", (VP8,), slot)
    ann = enter(router, "ann", (VP8, VP9, AV1, HIGH, CBP), (VP8,))
    assert show(router, ann) == {bob.number}


def test_the_answer_names_the_agreed_codec_first_with_the_lower_level() -> None:
    router = make_router()
    enter(router, "bob", (VP8,), (h264("42e01e"),))
    ann = enter(router, "ann", (VP8, h264("42e034")), (VP8,))
    transport = LocalTransport("u", "p", Fingerprint("sha-256", "CD"), [])
    answer = build_answer(ann.offer, transport, {"2": SlotSsrcs(1, 2), "3": SlotSsrcs(3, 4)}, 1)
    own = answer.split("m=")[2]
    # The others stand behind it: a client goes over to them without another offer.
    assert own.startswith("video 9 UDP/TLS/RTP/SAVPF 97 96\r\n")
    assert "profile-level-id=42e01e" in own


@pytest.mark.parametrize(("people", "others"), [(2, 0), (6, 4)])
def test_both_sides_are_told_of_a_picture_that_cannot_be_decoded_and_of_its_end(people: int, others: int) -> None:
    router = make_router()
    ann = enter(router, "ann", (HIGH,), (VP8, HIGH))
    bob = enter(router, "bob", (VP8,), (VP8,))
    for place in range(others):
        enter(router, f"o{place}", (VP8,), (VP8, HIGH))
    assert len(router.members) == people
    show(router, ann)
    assert bob.unseen == (UnseenVideo(ann.key, "camera", "h264/high/1"),)
    assert ann.unseen_by == (UnseenVideo(bob.key, "camera", "h264/high/1"),)
    effects = router.handle_mute(ann, False, True, 2.0)
    assert {SendSlotMap(ann.number), SendSlotMap(bob.number)} <= set(effects)
    assert not bob.unseen
    assert not ann.unseen_by
    router.handle_mute(ann, False, False, 2.1)
    assert bob.unseen
    router.members.remove(bob.key, 3.0)
    assert not ann.unseen_by


def test_the_dependency_descriptor_is_taken_where_another_codec_than_vp8_is_wanted() -> None:
    extension = f"a=extmap:12 {DESCRIPTOR_URI}\r\n"
    for own, order, is_taken in [
        ((VP8, VP9), ("vp8",), False),
        ((VP8, VP9), ("vp9", "vp8"), True),
        ((VP8, CBP), ("vp9", "vp8"), False),
        ((AV1, CBP), ("vp8",), True),
    ]:
        text = offer_of(own, (VP8,)).replace("a=extmap:10 ", extension + "a=extmap:10 ")
        agreed = agree(parse_offer(text), [], order)
        assert (DESCRIPTOR_URI in agreed.media[1].extensions) == is_taken


FITS = {
    # What is sent, what is taken, whether it is decoded: RFC 6184 section 8.1 and ITU-T H.264 annex A.
    (CBP, CBP): True,
    (CBP, h264("42c01e")): True,
    (CBP, h264("4d801f")): True,
    (CBP, HIGH): True,
    (CBP, h264("42001f")): True,
    (HIGH, CBP): False,
    (HIGH, h264("640c1f")): False,
    (h264("640c1f"), HIGH): True,
    (h264("4d001f"), HIGH): True,
    (h264("42001f"), CBP): False,
    (CBP_0, CBP): True,
    (CBP, CBP_0): False,
    (BARE, CBP): False,
    (BARE, h264("42001f")): True,
    (CBP, h264("42E01F")): True,
    (VP9, ("VP9", "")): True,
    (("VP9", "profile-id=2"), VP9): False,
    (AV1, ("AV1", "profile=0;level-idx=5")): True,
}


@pytest.mark.parametrize(("sent", "taken"), FITS)
def test_formats_fit_by_their_profiles_and_packetization(sent: tuple[str, str], taken: tuple[str, str]) -> None:
    router = make_router()
    ann, bob = enter(router, "ann", (sent,), (VP8,)), enter(router, "bob", (VP8,), (taken,))
    reached = show(router, ann)
    assert (reached == {bob.number}) == FITS[sent, taken]
    assert bool(bob.unseen) != FITS[sent, taken]


def test_each_format_goes_out_under_the_payload_type_that_takes_it() -> None:
    decodable = parse_offer(offer_of((VP8,), (CBP, HIGH, CBP_0, VP8))).media[3].decodable
    found = {name: line.payload_type for name, line in decodable.items()}
    assert found["h264/constrained-baseline/1"] == found["h264/constrained-baseline/0"] == 96
    assert (found["h264/high/1"], found["vp8"]) == (97, 99)
