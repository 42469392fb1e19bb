"""M-lines that send, receive, or do both: what is answered, and that the two directions of one line do not mix."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from services.sfu.core.congestion.arrival_log import FEEDBACK_INTERVAL_S
from services.sfu.core.forwarding.publications import START_S
from services.sfu.core.ids import UserId
from services.sfu.core.selection.video_requests import VideoRequest, VideoRequests
from services.sfu.core.session.budgets import MAX_CHANGES_PER_S
from services.sfu.core.session.effects import Effect, LeaveReason, SendMedia, SendRtcp
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.router import Router
from services.sfu.core.wire import rtcp
from services.sfu.core.wire.answer import LocalTransport, SlotSsrcs, build_answer
from services.sfu.core.wire.media_line import LEVEL_URI, MID_URI, RID_URI, TRANSPORT_CC_URI
from services.sfu.core.wire.rtcp import ReportBlock, SenderReport
from services.sfu.core.wire.rtp import parse_header
from services.sfu.core.wire.sdp import Fingerprint, Offer, parse_offer
from services.sfu.core.wire.transport_cc import parse_feedback
from tests.unit.sfu.builders import AUDIO, CHANNEL, HEAD, SIMULCAST, VIDEO, key, make_router, receivers, rtp, video
from tests.unit.sfu.counting import MOST_LINES, count_lines
from tests.unit.sfu.effects import key_frame_requests, media, payload_of, repairs, reports, sent, unwrapped
from tests.unit.sfu.publishing import LAYERS, send_layers

LOUD, QUIET = b"\x8a", b"\x78"
Edit = Callable[[str], str]


@pytest.fixture
def router() -> Router:
    return make_router()


def offer_of(*lines: tuple[str, str, str], simulcast: bool = False, session: str = "", head: str = HEAD) -> str:
    """An offer of m-lines: kind, MID and direction ("" for none, "rejected"); the first video has the layers."""
    text = head.replace("0 1 2 3 4", " ".join(mid for _, mid, _ in lines) + " data") + session
    for kind, mid, direction in lines:
        part = (AUDIO if kind == "audio" else VIDEO).format(mid=mid, direction=direction)
        part = part.replace("a=\n", "")
        if direction == "rejected":
            part = part.replace(f"m={kind} 9", f"m={kind} 0").replace("a=rejected\n", "")
        if simulcast and kind == "video":
            part, simulcast = part + SIMULCAST, False
        text += part
    return (text + CHANNEL.replace("a=mid:4", "a=mid:data")).replace("\n", "\r\n")


BOTH = (("audio", "0", "sendrecv"), ("video", "1", "sendrecv"))
APART = (
    ("audio", "0", "sendonly"),
    ("video", "1", "sendonly"),
    ("audio", "2", "recvonly"),
    ("video", "3", "recvonly"),
)


def enter(router: Router, name: str, text: str, now: float = 0.0) -> Participant:
    member, _ = router.members.join(key(name), parse_offer(text), now)
    router.handle_transport_up(member, now)
    return member


def answer_of(offer: Offer, *mids: str) -> dict[str, list[str]]:
    """The sections of the answer by MID, where the SFU has SSRCs for these slots."""
    ssrcs = {mid: SlotSsrcs(70 + place, 80 + place) for place, mid in enumerate(mids)}
    transport = LocalTransport("u", "p", Fingerprint("sha-256", "CD"), [])
    parts = build_answer(offer, transport, ssrcs, 1).split("m=")[1:]
    found = [part.rstrip().split("\r\n") for part in parts]
    return {next(line[6:] for line in part if line.startswith("a=mid:")): part for part in found}


def answer_to(member: Participant) -> dict[str, list[str]]:
    return answer_of(member.offer, *(slot.mid for slot in member.slots))


def slots_of(member: Participant, kind: str) -> list[str]:
    return [slot.mid for slot in member.slots if slot.kind == kind]


# What is answered


DIRECTIONS = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}


@pytest.mark.parametrize("offered", [*DIRECTIONS, ""])
@pytest.mark.parametrize("kind", ["audio", "video"])
def test_each_direction_is_answered_by_its_mirror(router: Router, kind: str, offered: str) -> None:
    other = {"audio": "video", "video": "audio"}[kind]
    member = enter(router, "ann", offer_of((kind, "x", offered), (other, "y", "sendrecv")))
    direction = offered or "sendrecv"
    part = answer_to(member)["x"]
    assert [line for line in part if line[2:] in DIRECTIONS] == [f"a={DIRECTIONS[direction]}"]
    assert ("x" in slots_of(member, kind)) == (direction in ("sendrecv", "recvonly"))
    assert ("x" in [p.mid for p in member.publications]) == (direction in ("sendrecv", "sendonly"))
    receives = direction in ("sendrecv", "recvonly")
    slot = next((slot for slot in member.slots if slot.mid == "x"), None)
    assert any(line.startswith("a=msid:") for line in part) == receives
    assert (slot is not None and f"a=ssrc:{70 + member.slots.index(slot)} cname:parley" in part) == receives


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_sessions_direction_is_that_of_lines_without_one(router: Router, direction: str) -> None:
    text = offer_of(("audio", "0", ""), ("video", "1", "sendrecv"), session=f"a={direction}\n")
    parts = answer_to(enter(router, "ann", text))
    assert f"a={DIRECTIONS[direction]}" in parts["0"]
    assert "a=sendrecv" in parts["1"]


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_a_rejected_line_is_rejected_in_both_directions(router: Router, kind: str) -> None:
    lines = tuple((k, mid, "rejected" if k == kind else direction) for k, mid, direction in BOTH)
    member = enter(router, "ann", offer_of(*lines))
    mid = "0" if kind == "audio" else "1"
    part = answer_to(member)[mid]
    assert part[0].startswith(f"{kind} 0 ")
    assert mid not in [slot.mid for slot in member.slots] + [p.mid for p in member.publications]
    assert len(member.slots) == len(member.publications) == 1


def test_video_of_no_codec_that_is_served_is_rejected_in_both_directions(router: Router) -> None:
    member = enter(router, "ann", offer_of(*BOTH).replace("VP8/90000", "H265/90000"))
    assert answer_to(member)["1"][0].startswith("video 0 ")
    assert slots_of(member, "audio") == ["0"]
    assert slots_of(member, "video") == []


def test_a_line_of_both_has_what_each_direction_needs_once(router: Router) -> None:
    parts = answer_to(enter(router, "ann", offer_of(*BOTH, simulcast=True)))
    audio, own = parts["0"], parts["1"]
    for part in parts.values():
        assert len(part) - len(set(part)) == 0, "a line stands twice"
    assert {f"a=extmap:4 {MID_URI}", f"a=extmap:1 {LEVEL_URI}", "a=ssrc:70 cname:parley"} <= set(audio)
    # Layers come from the client; what goes to it is one stream.
    assert {"a=rid:q recv", "a=simulcast:recv q;h;f", f"a=extmap:10 {RID_URI}"} <= set(own)
    assert not [line for line in own if re.match("a=(rid|simulcast).* send", line)]
    assert {"a=ssrc-group:FID 71 81", "a=ssrc:71 cname:parley", "a=fmtp:97 apt=96"} <= set(own)
    assert {"a=rtcp-fb:96 nack", "a=rtcp-fb:96 nack pli", "a=rtcp-fb:96 transport-cc"} <= set(own)
    assert f"a=extmap:3 {TRANSPORT_CC_URI}" in own


def test_layers_that_a_client_wants_to_receive_are_not_taken_for_its_own(router: Router) -> None:
    text = offer_of(*BOTH, simulcast=True).replace(" send\r\n", " recv\r\n").replace("simulcast:send", "simulcast:recv")
    member = enter(router, "ann", text)
    assert not [line for line in answer_to(member)["1"] if line.startswith(("a=rid", "a=simulcast"))]
    assert member.publications[1].ordered_rids == ("",)


def test_an_id_with_no_room_in_what_is_sent_leaves_remb_for_both_directions(router: Router) -> None:
    text = offer_of(*BOTH).replace(f"a=extmap:3 {TRANSPORT_CC_URI}", f"a=extmap:200 {TRANSPORT_CC_URI}")
    part = answer_to(enter(router, "ann", text))["1"]
    assert "a=rtcp-fb:96 goog-remb" in part
    assert not [line for line in part if "transport" in line and line.startswith(("a=rtcp-fb", "a=extmap"))]


def test_each_pair_of_lines_is_in_one_stream_those_of_both_directions_apart_from_slots(router: Router) -> None:
    lines = (*BOTH, *((kind, f"{mid}b", "sendrecv") for kind, mid, _ in BOTH), *APART[2:])
    parts = answer_to(enter(router, "ann", offer_of(*lines)))
    msids = {
        mid: next((line[7:].split() for line in part if line.startswith("a=msid:")), []) for mid, part in parts.items()
    }
    streams = {mid: msid[0] for mid, msid in msids.items() if msid}
    assert streams["0"] == streams["1"] != streams["0b"] == streams["1b"]
    assert streams["2"] == streams["3"]
    assert len({streams["2"], streams["0"], streams["0b"]}) == 3
    assert len({msid[1] for msid in msids.values() if msid}) == 6, "each track has a name of its own"


ONE_WAY = {
    # What an extension's line says, on a line of which direction; whether it comes, goes, and how it is answered.
    ("", "sendrecv"): (True, True, ""),
    ("/sendrecv", "sendrecv"): (True, True, ""),
    ("/sendonly", "sendrecv"): (True, False, "/recvonly"),
    ("/recvonly", "sendrecv"): (False, True, "/sendonly"),
    ("/inactive", "sendrecv"): (False, False, None),
    ("/sendonly", "sendonly"): (True, False, ""),
    ("/recvonly", "sendonly"): (False, False, None),
    ("/recvonly", "recvonly"): (False, True, ""),
    ("/sendonly", "recvonly"): (False, False, None),
}


@pytest.mark.parametrize(("said", "direction"), ONE_WAY)
@pytest.mark.parametrize("is_common", [False, True], ids=["of the line", "of the session"])
def test_an_extension_is_used_in_the_directions_that_it_was_offered_for(
    router: Router, said: str, direction: str, is_common: bool
) -> None:
    comes, goes, answered = ONE_WAY[said, direction]
    text = offer_of(("audio", "0", direction), ("video", "1", "sendrecv"))
    plain, restricted = f"a=extmap:1 {LEVEL_URI}\r\n", f"a=extmap:1{said} {LEVEL_URI}\r\n"
    text = (
        text.replace(plain, "").replace("a=setup", restricted + "a=setup", 1)
        if is_common
        else text.replace(plain, restricted)
    )
    ann = enter(router, "ann", text)
    found = [line for line in answer_to(ann)["0"] if LEVEL_URI in line]
    assert found == ([] if answered is None else [f"a=extmap:1{answered} {LEVEL_URI}"])
    publication = next((p for p in ann.publications if p.kind == "audio"), None)
    assert (publication is not None and publication.level_id == 1) == comes
    slot = next((slot for slot in ann.slots if slot.kind == "audio"), None)
    assert (slot is not None and slot.packet_format.level_id == 1) == goes


@pytest.mark.parametrize("said", ["/sendonly", "/recvonly"])
def test_numbers_for_the_whole_transport_need_both_directions_of_a_line_of_both(router: Router, said: str) -> None:
    text = offer_of(*BOTH).replace(f"a=extmap:3 {TRANSPORT_CC_URI}", f"a=extmap:3{said} {TRANSPORT_CC_URI}")
    ann = enter(router, "ann", text)
    part = answer_to(ann)["1"]
    assert "a=rtcp-fb:96 goog-remb" in part
    assert not [line for line in part if "transport" in line and line.startswith(("a=rtcp-fb", "a=extmap"))]
    assert not ann.slots[1].packet_format.stamp_id


# Who sees and hears whom


class Talk:
    """Several participants on one clock. The m-lines of their own are the first audio and the first video."""

    def __init__(self, router: Router, **offers: str) -> None:
        self.router, self.now, self.number = router, 1.0, 0
        self.members = {name: enter(router, name, text, self.now) for name, text in offers.items()}
        self.sent: dict[int, int] = {}

    def __getitem__(self, name: str) -> Participant:
        return self.members[name]

    def run(self, *loud: str, seconds: float = 1.0, senders: tuple[str, ...] = ()) -> None:
        """Everyone (or only `senders`) sends sound and pictures, the loud ones speak."""
        self.sent = {}
        for _ in range(round(seconds * 50)):
            self.now += 0.02
            self.number += 1
            effects: list[Effect] = []
            for place, (name, member) in enumerate(self.members.items()):
                if not senders or name in senders:
                    effects += self._send(member, place, LOUD if name in loud else QUIET)
            effects += self.router.tick(self.now)
            for effect in effects:
                for packet in sent([effect]) if isinstance(effect, SendMedia) else ():
                    ssrc = parse_header(packet).ssrc
                    self.sent[ssrc] = self.sent.get(ssrc, 0) + 1

    def _send(self, member: Participant, place: int, level: bytes) -> list[Effect]:
        mids = {p.kind: p.mid.encode() for p in reversed(member.publications)}
        n = self.number
        voice = rtp(100 + place, n, b"opus", mid=mids["audio"], level=level, timestamp=n * 960)
        effects = self.router.handle_rtp(member, voice, self.now)
        frame = b"\x10\x00" if n % 10 == 1 else b"\x10\x01"
        picture = rtp(200 + place, n, frame, pt=96, mid=mids["video"], timestamp=n * 1800)
        return effects + self.router.handle_rtp(member, picture, self.now)

    def gets(self, name: str) -> dict[str, str]:
        """Whom the slots of one bring media of, by MID."""
        entries = {entry.mid: entry for entry in self[name].slot_map()}
        flowing = [slot.mid for slot in self[name].slots if self.sent.get(slot.ssrc, 0) > 4]
        return {mid: who.user_id for mid in flowing if (who := entries[mid].publisher) is not None}


VIDEO_FIRST = BOTH[::-1]
WITH_MORE = (*BOTH, *APART[2:])
CALLS: dict[str, tuple[tuple[tuple[str, str, str], ...], tuple[tuple[str, str, str], ...]]] = {
    "both of two": (BOTH, BOTH),
    "one of two": (BOTH, APART),
    "the other of two": (APART, BOTH),
    "video first": (VIDEO_FIRST, VIDEO_FIRST),
    "video first, and apart": (VIDEO_FIRST, APART),
}


@pytest.mark.parametrize("call", CALLS)
def test_two_see_and_hear_each_other(router: Router, call: str) -> None:
    ann, bob = (offer_of(*lines) for lines in CALLS[call])
    talk = Talk(router, ann=ann, bob=bob)
    talk.run("ann", seconds=2.0)
    for name, other in (("ann", "bob"), ("bob", "ann")):
        assert sorted(talk.gets(name).values()) == [other, other]
        assert {slot.kind for slot in talk[name].slots if slot.mid in talk.gets(name)} == {"audio", "video"}


def test_of_three_the_one_who_speaks_is_heard_and_seen(router: Router) -> None:
    talk = Talk(router, ann=offer_of(*BOTH), bob=offer_of(*BOTH), cid=offer_of(*BOTH))
    for speaker, listeners in (("bob", ("ann", "cid")), ("cid", ("ann", "bob")), ("ann", ("bob", "cid"))):
        talk.run(speaker, seconds=6.0)
        for name in listeners:
            assert talk.gets(name) == {"0": speaker, "1": speaker}, name


def test_a_screen_takes_the_one_video_and_gives_it_back(router: Router) -> None:
    screen = offer_of(*BOTH, ("video", "s", "sendonly"))
    talk = Talk(router, ann=offer_of(*BOTH), bob=screen, cid=offer_of(*BOTH))
    talk.run("cid", seconds=6.0)
    assert talk.gets("ann")["1"] == "cid"
    talk.router.handle_rtp(talk["bob"], rtp(55, 1, b"\x10\x00", pt=96, mid=b"s"), talk.now)
    assert [(e.publisher and e.publisher.user_id, e.source) for e in talk["ann"].slot_map()][1] == ("bob", "screen")
    talk.run("cid", seconds=6.0)
    assert talk.gets("ann")["1"] == "cid"


def test_a_request_brings_a_person_to_a_line_of_both(router: Router) -> None:
    talk = Talk(router, ann=offer_of(*BOTH), bob=offer_of(*BOTH), cid=offer_of(*BOTH))
    talk.run("bob", seconds=6.0)
    router.handle_video_requests(
        talk["ann"], VideoRequests((VideoRequest(UserId("cid"), "", False, 360, False),)), talk.now
    )
    talk.run("bob", seconds=2.0)
    assert talk.gets("ann") == {"0": "bob", "1": "cid"}
    assert [slot.max_height for slot in talk["ann"].slots if slot.mid == "1"] == [360]
    router.handle_video_requests(talk["ann"], VideoRequests(), talk.now)
    talk.run("bob", seconds=6.0)
    assert talk.gets("ann") == {"0": "bob", "1": "bob"}


def test_no_more_videos_come_than_are_asked_for_on_lines_of_both_sorts(router: Router) -> None:
    talk = Talk(router, ann=offer_of(*WITH_MORE), bob=offer_of(*BOTH), cid=offer_of(*BOTH))
    router.handle_video_requests(talk["ann"], VideoRequests((), 1), talk.now)
    talk.run("bob", seconds=2.0)
    assert len([mid for mid in talk.gets("ann") if mid in slots_of(talk["ann"], "video")]) == 1


def test_lines_that_only_receive_are_filled_first(router: Router) -> None:
    """Some clients play nothing of the lines that they send on, whatever direction they offer there."""
    talk = Talk(router, ann=offer_of(*WITH_MORE), bob=offer_of(*BOTH))
    talk.run(seconds=2.0)
    assert talk.gets("ann") == {"2": "bob", "3": "bob"}
    talk.members["cid"] = enter(router, "cid", offer_of(*BOTH), talk.now)
    talk.run(seconds=2.0)
    assert talk.gets("ann") == {"2": "bob", "3": "bob", "0": "cid", "1": "cid"}


def test_lines_of_one_kind_twice_bring_two_people(router: Router) -> None:
    twice = offer_of(*BOTH, *((kind, f"{mid}b", "sendrecv") for kind, mid, _ in BOTH))
    talk = Talk(router, ann=twice, bob=offer_of(*BOTH), cid=offer_of(*BOTH))
    talk.run(seconds=2.0)
    assert sorted(talk.gets("ann").values()) == ["bob", "bob", "cid", "cid"]


def test_who_sends_nothing_on_lines_of_both_sees_and_hears_and_hides_nobody(router: Router) -> None:
    """As a page makes them that adds transceivers without tracks."""
    watching = offer_of(*BOTH, *((kind, f"{mid}b", "sendrecv") for kind, mid, _ in BOTH))
    talk = Talk(router, eve=watching, ann=offer_of(*BOTH), bob=offer_of(*BOTH))
    talk.run(seconds=START_S + 2.0, senders=("ann", "bob"))
    assert sorted(talk.gets("eve").values()) == ["ann", "ann", "bob", "bob"]
    assert talk.gets("ann") == {"0": "bob", "1": "bob"}
    assert talk.gets("bob") == {"0": "ann", "1": "ann"}


@pytest.mark.parametrize("people", [2, 3])
def test_a_voice_is_heard_on_whichever_of_its_own_lines_it_comes(router: Router, people: int) -> None:
    lines = (("audio", "x", "sendrecv"), ("audio", "y", "sendrecv"), *BOTH)
    others = {f"o{place}": offer_of(*BOTH) for place in range(people - 1)}
    talk = Talk(router, eve=offer_of(*lines), **others)
    eve, number = talk["eve"], 0
    while talk.now < 4.0:
        talk.now, number = talk.now + 0.02, number + 1
        router.handle_rtp(eve, rtp(9, number, b"opus", mid=b"0", level=LOUD), talk.now)
        router.tick(talk.now)
    for name in others:
        slot = next(slot for slot in talk[name].slots if slot.kind == "audio")
        assert slot.publication is eve.publications[2]
        assert slot.source is eve.streams[9]


# The two directions of one line


@pytest.fixture
def two(router: Router) -> tuple[Participant, Participant]:
    """Two of whom each gets the other's picture on the line that it sends its own on."""
    ann, bob = enter(router, "ann", offer_of(*BOTH)), enter(router, "bob", offer_of(*BOTH))
    for number in range(1, 4):
        sent(router.handle_rtp(ann, video(11, number, number, key_frame=number == 1), 1.0))
        sent(router.handle_rtp(bob, video(12, number, number, key_frame=number == 1), 1.0))
    return ann, bob


def slot_for(member: Participant, kind: str = "video") -> int:
    return next(slot.ssrc for slot in member.slots if slot.kind == kind)


def test_losses_are_repaired_each_way(router: Router, two: tuple[Participant, Participant]) -> None:
    ann, _ = two
    effects = router.handle_rtp(ann, video(11, 6, 6), 1.1)
    number = parse_header(sent(effects)[0]).sequence_number
    # Downwards: what the receiver asks for again.
    found = repairs(router.handle_rtcp(ann, rtcp.build_nack(1, slot_for(ann), [number]), 1.2))
    assert found == [], "that is a number of the other's slot"
    bob = two[1]
    found = repairs(router.handle_rtcp(bob, rtcp.build_nack(1, slot_for(bob), [number]), 1.2))
    assert [unwrapped(packet)[0] for packet in sent(list(found))] == [number]
    # Upwards: what the sender is asked for.
    asked = [r for r in reports(router.tick(1.3), ann) if isinstance(r, rtcp.Nack)]
    assert [(nack.media_ssrc, list(nack.sequence_numbers)) for nack in asked] == [(11, [4, 5])]


def test_key_frames_are_asked_for_each_way(router: Router, two: tuple[Participant, Participant]) -> None:
    ann, bob = two
    for asking, asked, ssrc in ((ann, bob, 12), (bob, ann, 11)):
        effects = router.handle_rtcp(asking, rtcp.build_pli(1, slot_for(asking)), 2.0)
        assert key_frame_requests(effects, asked) == [ssrc]
        assert key_frame_requests(effects, asking) == []


def test_numbers_for_the_whole_transport_go_each_way(router: Router, two: tuple[Participant, Participant]) -> None:
    ann, bob = two
    router.tick(1.5)
    packet = rtp(11, 4, b"\x10\x01", pt=96, mid=b"1", wide=(77).to_bytes(2, "big"), timestamp=12_000)
    down = sent(router.handle_rtp(ann, packet, 1.6))
    assert b"\xbe\xde\x00\x01\x31" in down[0], "numbered for who gets it"
    assert bytes((0x31, 0, 77)) not in down[0], "by the SFU, not by who sent it"
    told = router.tick(1.6 + FEEDBACK_INTERVAL_S)
    feedback = {
        str(m.key.user_id): [r for r in reports(told, m) if isinstance(r, rtcp.TransportFeedback)] for m in (ann, bob)
    }
    parsed = parse_feedback(feedback["ann"][0].fci)
    assert parsed is not None
    assert (parsed.base, len(parsed.arrivals)) == (77, 1)
    assert feedback["bob"] == [], "it numbered nothing"


def test_one_compound_is_a_report_of_what_is_sent_and_of_what_comes(
    router: Router, two: tuple[Participant, Participant]
) -> None:
    ann, _ = two
    slot = next(slot for slot in ann.slots if slot.kind == "video")
    router.handle_rtcp(ann, _sender_report(11, slot.ssrc, lost=0, highest=10), 2.0)
    router.handle_rtcp(ann, _sender_report(11, slot.ssrc, lost=1, highest=20), 3.0)
    assert slot.downlink.packets_lost == 1
    assert ann.publications[1].reported_at == 3.0


def _sender_report(sender: int, about: int, *, lost: int, highest: int) -> bytes:
    report = rtcp.build_sender_report(SenderReport(sender, 1 << 32, 0, 3, 300))
    block = rtcp.build_receiver_report(1, [ReportBlock(about, 0, lost, highest, 0, 0, 0)])[8:]
    words = (len(report) + len(block)) // 4 - 1
    return bytes((0x81, 200)) + words.to_bytes(2, "big") + report[4:] + block


def test_who_ends_its_own_stream_goes_on_receiving(router: Router, two: tuple[Participant, Participant]) -> None:
    ann, bob = two
    bye = bytes((0x81, 203, 0, 1)) + (11).to_bytes(4, "big")
    router.handle_rtcp(ann, bye, 2.0)
    assert len(media(router.handle_rtp(bob, video(12, 4, 4), 2.1))) == 1
    assert next(slot for slot in ann.slots if slot.kind == "video").source is bob.streams[12]
    # And it is seen again when it goes on.
    router.handle_rtp(ann, video(11, 4, 4, key_frame=True), 3.0)
    assert len(media(router.handle_rtp(ann, video(11, 5, 5), 3.1))) == 1


def test_who_says_bye_for_the_stream_that_it_gets_ends_nothing(
    router: Router, two: tuple[Participant, Participant]
) -> None:
    ann, bob = two
    router.handle_rtcp(ann, bytes((0x81, 203, 0, 1)) + slot_for(ann).to_bytes(4, "big"), 2.0)
    assert len(media(router.handle_rtp(bob, video(12, 4, 4), 2.1))) == 1
    assert len(media(router.handle_rtp(ann, video(11, 4, 4), 2.1))) == 1


def test_an_echo_under_the_ssrc_of_the_slot_is_its_senders_own(router: Router) -> None:
    """A client that sends back what it gets, with its SSRC."""
    ann, echo = enter(router, "ann", offer_of(*BOTH)), enter(router, "echo", offer_of(*BOTH))
    for number in range(1, 4):
        router.handle_rtp(ann, video(11, number, number, key_frame=number == 1), 1.0)
    ssrc = slot_for(echo)
    back = router.handle_rtp(echo, video(ssrc, 1, 1, key_frame=True), 1.1)
    assert [number for effect in media(back) for number in receivers(effect)] == [ann.number]
    assert parse_header(sent(back)[0]).ssrc == slot_for(ann)
    forth = router.handle_rtp(ann, video(11, 4, 4), 1.2)
    assert [number for effect in media(forth) for number in receivers(effect)] == [echo.number]
    assert parse_header(sent(forth)[0]).ssrc == ssrc


def test_layers_go_up_and_one_stream_comes_down(router: Router) -> None:
    ann = enter(router, "ann", offer_of(*BOTH, simulcast=True))
    bob = enter(router, "bob", offer_of(*BOTH, simulcast=True).replace("a=rtcp-fb:96 transport-cc\r\n", ""))
    router.handle_rtcp(bob, rtcp.build_remb(1, 9_000_000, []), 1.0)
    send_layers(router, ann, 3, 1.0)
    assert set(ann.publications[1].layers) == {"q", "h", "f"}
    slot = next(slot for slot in bob.slots if slot.kind == "video")
    assert slot.source is ann.streams[LAYERS[b"f"]]
    assert [s.mid for s in bob.slots] == ["0", "1"]


# Codecs


H264 = """a=rtpmap:98 H264/90000
a=fmtp:98 packetization-mode=1;profile-level-id=42e01f
a=rtpmap:99 rtx/90000
a=fmtp:99 apt=98
"""
KEYS = {96: b"\x10\x00vp8", 98: b"\x67h264"}


def of_two_codecs(text: str) -> str:
    """VP8 and H.264 on each line of video."""
    text = text.replace("SAVPF 96 97", "SAVPF 96 97 98 99").replace("fb:96 ", "fb:* ")
    return text.replace("a=fmtp:97 apt=96\r\n", "a=fmtp:97 apt=96\r\n" + H264.replace("\n", "\r\n"))


def of_h264(text: str) -> str:
    return of_two_codecs(text).replace("SAVPF 96 97 98 99", "SAVPF 98 99")


def test_a_line_of_both_takes_all_that_can_be_received_and_the_agreed_codec_first(router: Router) -> None:
    enter(router, "old", of_h264(offer_of(*APART)))
    ann = enter(router, "ann", of_two_codecs(offer_of(*BOTH)))
    assert answer_to(ann)["1"][0] == "video 9 UDP/TLS/RTP/SAVPF 98 99 96 97"
    cid = enter(router, "cid", of_two_codecs(offer_of(*APART)))
    assert answer_to(cid)["1"][0] == "video 9 UDP/TLS/RTP/SAVPF 98 99 96 97", "and so does one that only sends"
    assert answer_to(cid)["3"][0] == "video 9 UDP/TLS/RTP/SAVPF 96 97 98 99"


def shown(router: Router, publisher: Participant, ssrc: int, payload_type: int, first: int, now: float) -> list[bytes]:
    """What the others get of some key frames of a codec."""
    packets = []
    for number in range(first, first + 5):
        packet = rtp(ssrc, number, KEYS[payload_type], pt=payload_type, mid=b"1", timestamp=number * 3000)
        packets += sent(router.handle_rtp(publisher, packet, now + number / 10))
        router.tick(now + number / 10)
    return packets


@pytest.mark.parametrize("others", [1, 7])
def test_who_goes_over_to_another_codec_is_seen_in_it(router: Router, others: int) -> None:
    """As browsers do when their encoder fails: the same SSRC goes on, under another payload type."""
    ann = enter(router, "ann", of_two_codecs(offer_of(*BOTH)))
    members = [enter(router, f"o{place}", of_two_codecs(offer_of(*BOTH))) for place in range(others)]
    for payload_type, first in ((96, 1), (98, 20), (96, 40)):
        packets = shown(router, ann, 11, payload_type, first, 1.0)
        assert {parse_header(packet).payload_type for packet in packets} == {payload_type}
        assert {payload_of(packet) for packet in packets} == {KEYS[payload_type]}
        assert {parse_header(packet).ssrc for packet in packets} == {slot_for(member) for member in members}


@pytest.mark.parametrize("others", [1, 7])
def test_who_cannot_decode_it_gets_nothing_of_it_and_is_told(router: Router, others: int) -> None:
    ann = enter(router, "ann", of_two_codecs(offer_of(*BOTH)))
    members = [enter(router, f"o{place}", offer_of(*BOTH)) for place in range(others)]
    assert shown(router, ann, 11, 96, 1, 1.0)
    assert shown(router, ann, 11, 98, 20, 1.0) == []
    for member in members:
        assert [unseen.format for unseen in member.unseen] == ["h264/constrained-baseline/1"]
    assert len(ann.unseen_by) == others
    assert shown(router, ann, 11, 96, 40, 1.0)
    assert not ann.unseen_by


def test_a_slot_that_cannot_decode_it_gives_it_to_one_that_can(router: Router) -> None:
    text = offer_of(*APART, ("video", "h", "recvonly"))
    at = text.index("m=video", text.index("a=mid:3"))
    bob = enter(router, "bob", text[:at] + of_h264(text[at:]))
    ann = enter(router, "ann", of_two_codecs(offer_of(*BOTH)))
    router.handle_video_requests(bob, VideoRequests((), 1), 0.5)
    for payload_type, first, mid in ((96, 1, "3"), (98, 20, "h"), (96, 40, "3")):
        packets = shown(router, ann, 11, payload_type, first, 1.0)
        slot = next(slot for slot in bob.slots if slot.mid == mid)
        assert {(parse_header(p).ssrc, parse_header(p).payload_type) for p in packets} == {(slot.ssrc, payload_type)}


def test_a_repair_of_the_former_codec_is_refused(router: Router) -> None:
    ann = enter(router, "ann", of_two_codecs(offer_of(*BOTH)))
    enter(router, "bob", of_two_codecs(offer_of(*BOTH)))
    router.handle_rtp(ann, rtp(11, 1, KEYS[96], pt=96, mid=b"1"), 1.0)
    router.handle_rtp(ann, rtp(31, 1, b"\x00\x01" + KEYS[96], pt=97, mid=b"1"), 1.0)
    router.handle_rtp(ann, rtp(11, 3, KEYS[98], pt=98, mid=b"1"), 1.1)
    with pytest.raises(ValueError, match="unknown_payload_type"):
        router.handle_rtp(ann, rtp(31, 2, b"\x00\x02" + KEYS[96], pt=97, mid=b"1"), 1.2)


@pytest.mark.parametrize("others", [2, 9])
def test_who_flickers_between_codecs_costs_what_a_few_changes_do(router: Router, others: int) -> None:
    ann = enter(router, "ann", of_two_codecs(offer_of(*BOTH)))
    for place in range(others):
        enter(router, f"o{place}", of_two_codecs(offer_of(*BOTH, *APART[2:])))
    shown(router, ann, 11, 96, 1, 1.0)
    costs = 0
    for number in range(20, 120):
        payload_type = (96, 98)[number % 2]
        packet = rtp(11, number, KEYS[payload_type], pt=payload_type, mid=b"1", timestamp=number * 3000)
        costs += count_lines(lambda packet=packet: router.handle_rtp(ann, packet, 2.0))  # type: ignore[misc]
    assert costs < (MAX_CHANGES_PER_S + 2) * MOST_LINES
    assert len(ann.streams) == 1


def test_who_offers_lines_of_both_has_a_say_in_the_codec_of_who_comes_later(router: Router) -> None:
    enter(router, "ann", of_h264(offer_of(*BOTH)))
    bob = enter(router, "bob", of_two_codecs(offer_of(*BOTH)))
    assert bob.publications[1].format.startswith("h264")


# Joining anew: there is no renegotiation


@pytest.mark.parametrize(("before", "after"), [(APART, BOTH), (BOTH, APART), (BOTH, WITH_MORE), (WITH_MORE, BOTH)])
def test_who_joins_anew_with_other_directions_is_served_by_them(
    router: Router, before: tuple[tuple[str, str, str], ...], after: tuple[tuple[str, str, str], ...]
) -> None:
    talk = Talk(router, ann=offer_of(*before), bob=offer_of(*BOTH))
    talk.run(seconds=1.0)
    former = talk["ann"]
    ann, effects = router.members.join(former.key, parse_offer(offer_of(*after)), talk.now)
    assert [e.reason for e in effects if hasattr(e, "reason")] == [LeaveReason.REPLACED]
    router.handle_transport_up(ann, talk.now)
    talk.members["ann"] = ann
    talk.run(seconds=2.0)
    assert sorted(talk.gets("ann").values()) == ["bob", "bob"]
    assert talk.gets("bob") == {"0": "ann", "1": "ann"}
    assert not [e for e in router.tick(talk.now) if isinstance(e, SendRtcp) and e.receiver == former.number]
