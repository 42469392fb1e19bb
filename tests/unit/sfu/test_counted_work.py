"""No datagram and no offer costs the worker more than its share, by counted work; and storms stay within theirs."""

import struct
from collections.abc import Callable
from itertools import count
from struct import pack

import pytest
from aioice import stun
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sfu import ice
from services.sfu.core.errors import PacketError, SdpError
from services.sfu.core.forwarding.offsets import MAX_SHIFTS
from services.sfu.core.ids import ParticipantNumber
from services.sfu.core.session.addresses import AddressBook, Route
from services.sfu.core.session.budgets import CONTROL_BYTES, MAX_CHANGES_PER_S, MAX_CONTROL_PER_S
from services.sfu.core.session.effects import SendRepair, SendRtcp
from services.sfu.core.session.participants import Participant
from services.sfu.core.wire import rtcp
from services.sfu.core.wire.dtls_records import MAX_RECORDS, split_records
from services.sfu.core.wire.rtp import MAX_PACKET_SIZE, parse_header
from services.sfu.core.wire.sdp import MAX_ATTRIBUTES, MAX_LINES, MAX_OFFER_SIZE, parse_offer
from tests.unit.sfu.builders import extensions, join, make_router, offer_text, rtp, video
from tests.unit.sfu.counting import MOST_LINES, count_lines
from tests.unit.sfu.effects import sent

# SRTP's trailer takes the rest.
MAX_CLEAR = MAX_PACKET_SIZE - 20
# An offer is parsed once a join, and joins are limited (signaling); yet none holds up the media for long.
MOST_LINES_OF_AN_OFFER = 60_000


class World:
    """A call of ten in which all send, and mallory, the first of them, does what the test does."""

    def __init__(self, members: int = 10) -> None:
        self.router = make_router()
        self.members = [join(self.router, f"u{n}", slots=8, simulcast=True) for n in range(members)]
        self.mallory = self.members[0]
        self.now = 1.0
        self._numbers = count(1)
        for turn in range(60):
            self.pass_time(0.02)
            number = next(self._numbers)
            for at, member in enumerate(self.members, 1):
                for layer, rid in enumerate((b"q", b"h", b"f"), 1):
                    packet = video(100 * at + layer, number, number, key_frame=turn % 10 == 0, rid=rid)
                    self.router.handle_rtp(member, packet, self.now)
                self.router.handle_rtp(member, rtp(100 * at, number, b"opus", level=b"\x14", mid=b"0"), self.now)
        self.number = number
        # As the shell writes copies.
        for turn in range(1000):
            self.mallory.path.history.note((self.now - 1.0 + turn / 1000, 1000))

    @property
    def video_slot(self) -> int:
        slots = [slot for slot in self.mallory.slots if slot.kind == "video" and slot.source is not None]
        return slots[0].ssrc

    def pass_time(self, elapsed_s: float) -> None:
        self.now += elapsed_s
        for member in self.members:
            self.router.handle_consent(member, self.now)
        self.router.tick(self.now)

    def cost_of_rtcp(self, datagram: bytes) -> int:
        return count_lines(lambda: self.router.handle_rtcp(self.mallory, datagram, self.now))

    def cost_of_rtp(self, datagram: bytes) -> int:
        return count_lines(lambda: self.router.handle_rtp(self.mallory, datagram, self.now))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def lasting() -> World:
    """For what is generated: its participants stay, whatever comes."""
    return World()


def fill(part: bytes) -> bytes:
    """As many of these as a datagram has room for."""
    return part * (MAX_CLEAR // len(part))


def feedback(kind: int, fmt: int, media_ssrc: int, fci: bytes) -> bytes:
    fci = fci[: (MAX_CLEAR - 12) // 4 * 4]
    return pack("!BBHII", 0x80 | fmt, kind, 2 + len(fci) // 4, 1, media_ssrc) + fci


def nothing_came(base: int, statuses: int) -> bytes:
    """Transport-wide feedback of two dozen bytes that tells of thousands of packets."""
    return feedback(205, 15, 0, pack("!HHI8H", base, statuses, 0, *[0x1FFF] * 8))


def all_came(base: int, statuses: int) -> bytes:
    fci = pack("!HHIH", base, statuses, 0, 0x2000 | statuses) + b"\x01" * statuses
    return feedback(205, 15, 0, fci + bytes(-len(fci) % 4))


RTCP: dict[str, Callable[[World], bytes]] = {
    "nothing in each": lambda _: fill(pack("!BBH", 0x80, 202, 0)),
    "of no known type": lambda _: fill(pack("!BBH", 0x80, 210, 0)),
    "report blocks": lambda w: fill(
        rtcp.build_receiver_report(1, [rtcp.ReportBlock(w.video_slot, 1, 2, 3, 4, 5, 6)] * 31)
    ),
    "reports of one block": lambda w: fill(
        rtcp.build_receiver_report(1, [rtcp.ReportBlock(w.video_slot, 1, 2, 3, 4, 5, 6)])
    ),
    "sender reports": lambda _: fill(rtcp.build_sender_report(rtcp.SenderReport(101, 1, 1, 1, 1))),
    "names": lambda _: fill(rtcp.build_cname(101, b"x")),
    "long names": lambda _: fill(rtcp.build_cname(101, b"x" * 255)),
    "goodbyes": lambda _: fill(pack("!BBH31I", 0x9F, 203, 31, *range(101, 132))),
    "one goodbye each": lambda _: fill(pack("!BBHI", 0x81, 203, 1, 101)),
    "picture losses": lambda w: fill(rtcp.build_pli(1, w.video_slot)),
    "intra requests": lambda w: feedback(206, 4, 0, pack("!II", w.video_slot, 1) * 200),
    "bandwidths": lambda _: fill(rtcp.build_remb(1, 1 << 60, [1])),
    "bandwidth of many": lambda _: rtcp.build_remb(1, 1 << 60, range(255)),
    "ten thousand numbers": lambda w: feedback(205, 1, w.video_slot, pack("!HH", 1, 0xFFFF) * 360),
    "numbers in small packets": lambda w: fill(feedback(205, 1, w.video_slot, pack("!HH", 1, 0xFFFF))),
    "numbers of nobody": lambda _: fill(feedback(205, 1, 7, pack("!HH", 1, 0xFFFF))),
    "statuses": lambda _: nothing_came(0, 65_535),
    "statuses in small packets": lambda _: fill(nothing_came(0, 65_535)),
    "a status each": lambda w: fill(nothing_came(w.mallory.path.history.next_number - 1 & 0xFFFF, 1)),
    "all came": lambda w: all_came(w.mallory.path.history.next_number - 1000 & 0xFFFF, 1000),
    "all came in small packets": lambda w: fill(all_came(w.mallory.path.history.next_number - 50 & 0xFFFF, 50)),
    "padding": lambda _: pack("!BBH", 0xA0, 201, 255) + bytes(1019) + b"\xff",
}


@pytest.mark.parametrize("name", RTCP)
def test_no_rtcp_packet_costs_more_than_its_share(world: World, name: str) -> None:
    datagram = RTCP[name](world)
    assert len(datagram) <= MAX_CLEAR
    assert world.cost_of_rtcp(datagram) < MOST_LINES


def test_numbers_of_a_slot_with_many_left_out_frames_are_found_without_a_walk(world: World) -> None:
    """Each left-out frame shifts the numbers; a NACK must not pass all of the shifts for each number."""
    slot = next(slot for slot in world.mallory.slots if slot.kind == "video" and slot.source is not None)
    stream = slot.source
    assert stream is not None
    owner = world.router.members.find(stream.publication.publisher)
    assert owner is not None
    slot.want(stream, 0)
    first = stream.stats.highest
    numbers: list[int] = []
    for step in range(1, 2 * MAX_SHIFTS + 2):
        packet = video(stream.ssrc, first + step, step, rid=stream.rid.encode(), tl0=step & 0xFF, tid=step % 2)
        came = [parse_header(copy) for copy in sent(world.router.handle_rtp(owner, packet, world.now))]
        numbers += [header.sequence_number for header in came if header.ssrc == slot.ssrc]
    # Each other frame was left out: as many shifts as a slot remembers.
    assert len(numbers) >= MAX_SHIFTS
    assert numbers == [numbers[0] + place & 0xFFFF for place in range(len(numbers))]
    newest = numbers[-1] + 1 & 0xFFFF
    items = b"".join(pack("!HH", newest - 17 * back & 0xFFFF, 0xFFFF) for back in range(1, 9))
    assert world.cost_of_rtcp(feedback(205, 1, slot.ssrc, items)) < MOST_LINES
    world.pass_time(1.1)
    repaired = world.router.handle_rtcp(
        world.mallory, feedback(205, 1, slot.ssrc, pack("!HH", newest - 3 & 0xFFFF, 0)), world.now
    )
    assert any(isinstance(effect, SendRepair) for effect in repaired)


def rtp_with(
    block: bytes, payload: bytes, pt: int = 96, ssrc: int = 101, first: int = 0x90, number: int = 9000
) -> bytes:
    datagram = pack("!BBHII", first, pt, number, 1, ssrc) + bytes(4 * (first & 15)) + block + payload
    assert len(datagram) <= MAX_CLEAR
    return datagram


def block(profile: int, element: bytes, words: int = 340) -> bytes:
    return pack("!HH", profile, words) + (element * (4 * words))[: 4 * words]


RTP: dict[str, bytes] = {
    f"{what}, {whose}": rtp_with(chain, b"x", pt, ssrc)
    for what, chain in {
        "elements": block(0xBEDE, b"\x50x"),
        "padding": block(0xBEDE, b"\0"),
        "elements of two bytes": block(0x1000, b"\x63\0"),
        "long elements": block(0x1000, b"\x63\xff" + bytes(255)),
        "as many as are read": block(0x1000, b"\x63\0", 96),
        "as much padding as is read": block(0xBEDE, b"\0", 96),
    }.items()
    for whose, pt, ssrc in (
        ("known", 96, 101),
        ("unknown", 96, 9),
        ("repair", 97, 10),
        ("audio", 111, 100),
        ("no type", 5, 101),
    )
}
RTP |= {
    "sources": rtp_with(extensions(mid=b"1"), b"x", first=0x9F),
    "padding of its own": rtp_with(b"", bytes(254) + b"\xff", first=0xB0 & ~0x10),
    "redundant blocks": rtp_with(extensions(mid=b"0"), b"\x80\0\0\0" * 340, pt=63, ssrc=100),
    "a repair of nothing": rtp_with(extensions(mid=b"1", rrid=b"q"), b"\0\1", pt=97, ssrc=11),
    "gap": rtp_with(extensions(mid=b"1", rid=b"q"), b"x", number=260),
    "jump": rtp_with(extensions(mid=b"1", rid=b"q"), b"x", number=30_000),
}


@pytest.mark.parametrize("name", RTP)
def test_no_rtp_packet_costs_more_than_its_share(world: World, name: str) -> None:
    assert world.cost_of_rtp(RTP[name]) < MOST_LINES


@pytest.mark.parametrize("codec", ["H264", "VP9", "AV1", "VP8"])
@pytest.mark.parametrize(
    "payload", [b"\x78" + b"\0\0" * 700, b"\x78" + b"\0\1\x09" * 480, b"\xff" * 1400, b"\x8f\xff" * 700]
)
def test_no_payload_costs_more_than_its_share(codec: str, payload: bytes) -> None:
    router = make_router()
    text = offer_text().replace("VP8/90000", f"{codec}/90000")
    member, _ = router.members.join(join(router, "u").key, parse_offer(text), 0.0)
    router.handle_transport_up(member, 0.0)
    router.handle_rtp(member, rtp(1, 1, b"\0", pt=96, mid=b"1"), 0.1)
    assert count_lines(lambda: router.handle_rtp(member, rtp(1, 2, payload, pt=96, mid=b"1"), 0.1)) < MOST_LINES


entries = st.sampled_from([0, 1, 100, 101, 102, 0xFFFFFFFF]) | st.integers(0, 0xFFFFFFFF)
words = st.lists(entries, max_size=30).map(lambda some: pack(f"!{len(some)}I", *some))
packets = st.builds(
    lambda kind, fmt, body: pack("!BBH", 0x80 | fmt, kind, len(body) // 4) + body,
    st.sampled_from([200, 201, 202, 203, 204, 205, 206, 207]),
    st.integers(0, 31),
    words,
)


@given(st.lists(packets, min_size=1, max_size=6), st.booleans())
@settings(max_examples=150, deadline=None)
def test_no_compound_packet_costs_more_than_its_share(lasting: World, parts: list[bytes], is_repeated: bool) -> None:
    datagram = b"".join(parts)[:MAX_CLEAR]
    lasting.pass_time(1.1)
    assert lasting.cost_of_rtcp(fill(datagram) if is_repeated else datagram) < MOST_LINES


@given(
    st.integers(0, 255), st.integers(0, 255), st.integers(0, 65_535), st.sampled_from([100, 101, 102, 5]),
    st.sampled_from([0xBEDE, 0x1000, 0x100F, 0]), st.integers(0, 345), st.binary(min_size=1, max_size=8),
    st.binary(max_size=60),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_no_generated_rtp_packet_costs_more_than_its_share(
    lasting: World,
    first: int,
    kind: int,
    number: int,
    ssrc: int,
    profile: int,
    size: int,
    element: bytes,
    payload: bytes,
) -> None:
    datagram = pack("!BBHII", first, kind, number, 1, ssrc) + block(profile, element, size) + payload
    lasting.pass_time(1.1)
    assert lasting.cost_of_rtp(datagram[:MAX_CLEAR]) < MOST_LINES


def test_streams_that_flicker_cost_what_a_few_changes_do(world: World) -> None:
    """Each BYE, and each packet after it, changes who is seen: a storm of these is followed a few times a second."""
    goodbye = rtcp.build_receiver_report(1) + pack("!BBHIII", 0x83, 203, 3, 101, 102, 103)
    small = World(members=4)
    for place in (world, small):
        place.pass_time(1.1)
        once = place.cost_of_rtcp(goodbye) + place.cost_of_rtp(video(101, place.number + 1, 1, rid=b"q"))
        costs = 0
        for step in range(100):
            costs += place.cost_of_rtcp(goodbye) + place.cost_of_rtp(video(101, place.number + 2 + step, 1, rid=b"q"))
            costs += count_lines(lambda place=place: place.pass_time(0.0)) // 100  # type: ignore[misc]
        assert costs < (MAX_CHANGES_PER_S + 2) * max(once, MOST_LINES)


def test_a_change_that_waited_is_followed_when_its_time_comes() -> None:
    small = World(members=2)
    other = small.members[1]
    for step in range(40):
        goodbye = rtcp.build_receiver_report(1) + pack("!BBHIII", 0x83, 203, 3, 101, 102, 103)
        small.router.handle_rtcp(small.mallory, goodbye, small.now)
        small.router.handle_rtp(small.mallory, video(101, small.number + 1 + step, 1, rid=b"q"), small.now)
    small.router.handle_rtcp(small.mallory, goodbye, small.now)
    small.pass_time(1.1)
    assert [slot.publication.is_reported_off for slot in other.slots if slot.kind == "video" and slot.publication] == [
        True
    ]


def test_who_begins_in_a_large_call_is_asked_for_a_picture_at_the_next_tick() -> None:
    large = World(members=7)
    new = join(large.router, "new", large.now, slots=8, simulcast=True)
    large.pass_time(1.1)
    large.router.handle_rtp(new, video(9001, 1, 1, rid=b"q"), large.now)
    effects = large.router.tick(large.now)
    pending = [each for each in effects if isinstance(each, SendRtcp) and each.receiver == new.number]
    assert any(isinstance(r, rtcp.KeyFrameRequest) for each in pending for r in rtcp.parse_compound(each.payload))


def test_long_control_packets_count_for_more() -> None:
    participant: Participant = join(make_router(), "u")
    longest = 1 + MAX_PACKET_SIZE // CONTROL_BYTES
    passed = sum(participant.control.spend(longest, 5.0) for _ in range(MAX_CONTROL_PER_S))
    assert passed <= MAX_CONTROL_PER_S // longest + 1


ROUTE = Route(ParticipantNumber(1), "ours", "password", "theirs", "their-password")
SOURCE = ("2001:db8::1", 5000)
BOOK = AddressBook()
BOOK.add_route(ROUTE)


def check(password: bytes = b"password", **more: object) -> bytes:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, attributes={"USERNAME": "ours:theirs", **more})
    message.add_message_integrity(password)
    return bytes(message)


def attributes(part: bytes) -> bytes:
    body = fill(part)[: MAX_CLEAR - 20]
    return pack("!HHI12s", 1, len(body), 0x2112A442, b"x" * 12) + body


STUN: dict[str, bytes] = {
    "plain": check(),
    "wrong password": check(b"guess"),
    "long name": check(USERNAME="ours:" + "x" * 500),
    "longer name": check(USERNAME="ours:" + "x" * 1300),
    "longer name and wrong password": check(b"guess", USERNAME="ours:" + "x" * 1300),
    "names": attributes(pack("!HH", 6, 0)),
    "unknown attributes": attributes(pack("!HH", 0x7777, 0)),
    "marks": attributes(pack("!HHI", 0x8028, 4, 0)),
    "addresses": attributes(pack("!HHHHI", 0x20, 8, 1, 2, 3)),
    "long address": attributes(pack("!HH", 0x20, 1400) + bytes(1400)),
    "integrities": attributes(pack("!HH", 8, 20) + bytes(20)),
    "another class": pack("!HHI12s", 0x111, 0, 0x2112A442, b"x" * 12),
    "another method": pack("!HHI12s", 3, 0, 0x2112A442, b"x" * 12),
    "an answer to nobody": pack("!HHI12s", 0x101, 0, 0x2112A442, b"x" * 12),
}


@pytest.mark.parametrize("name", STUN)
def test_no_stun_message_costs_more_than_its_share_and_none_is_answered_with_more_than_three_times_its_size(
    name: str,
) -> None:
    assert count_lines(lambda: ice.answer_check(STUN[name], SOURCE, BOOK)) < MOST_LINES // 5
    try:
        _, _, response = ice.answer_check(STUN[name], SOURCE, BOOK)
    except PacketError:
        assert name not in ("plain", "long name")
        return
    assert name in ("plain", "long name")
    assert len(response) <= 3 * len(STUN[name])


@given(st.binary(max_size=400), st.booleans())
@settings(deadline=None)
def test_garbage_is_neither_answered_nor_worked_on(garbage: bytes, has_cookie: bool) -> None:
    datagram = pack("!HHI12s", 1, len(garbage), 0x2112A442, b"x" * 12) + garbage if has_cookie else garbage
    assert count_lines(lambda: ice.answer_check(datagram, SOURCE, BOOK)) < MOST_LINES // 5
    for act in (ice.answer_check, ice.read_response):
        with pytest.raises(PacketError):
            act(datagram, SOURCE, BOOK)


def record(kind: int, body: bytes) -> bytes:
    return pack("!BHHIHH", kind, 0xFEFD, 0, 0, 1, len(body))[:11] + struct.pack("!H", len(body)) + body


@given(st.lists(st.tuples(st.integers(20, 24), st.binary(max_size=60)), max_size=20), st.binary(max_size=20))
def test_records_are_taken_apart_and_many_of_them_are_refused(parts: list[tuple[int, bytes]], rest: bytes) -> None:
    records = [record(kind, body) for kind, body in parts]
    datagram = b"".join(records)
    if len(records) > MAX_RECORDS:
        with pytest.raises(PacketError):
            split_records(datagram)
    elif records:
        assert split_records(datagram) == records
        assert count_lines(lambda: split_records(datagram + rest)) < MOST_LINES // 10


OFFER = offer_text(slots=4)


def with_lines(line: str, many: int = 4000) -> str:
    lines = "".join(line.replace("#", str(number)) + "\r\n" for number in range(many))
    return OFFER.replace("a=mid:1\r\n", "a=mid:1\r\n" + lines, 1)


def with_sections(section: str, session: str = "") -> str:
    """As many m-lines of this as an offer has room for, after `session` lines."""
    many = range(min((MAX_OFFER_SIZE - len(OFFER) - len(session)) // (len(section) + 4), 118))
    bundle = OFFER.replace("BUNDLE 0", "BUNDLE " + " ".join(f"z{n}" for n in many) + " 0", 1)
    return bundle.replace("a=setup", session + "a=setup", 1) + "".join(section.replace("#", str(n)) for n in many)


SECTION = "m=audio 9 RTP/SAVPF 111\r\na=mid:z#\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=recvonly\r\n"
TYPES = [*range(64), *range(96, 128)]
CODECS = (
    "m=video 9 UDP/TLS/RTP/SAVPF " + " ".join(map(str, TYPES)) + "\r\na=mid:z#\r\na=rtcp-mux\r\na=recvonly\r\n"
    + "".join(f"a=rtpmap:{t} H264/90000\r\na=fmtp:{t} profile-level-id={t:02x}e01f\r\n" for t in TYPES)
)  # fmt: skip
OFFERS: dict[str, str] = {
    "candidates": with_lines("a=candidate:1 1 udp 2122260223 192.0.2.1 5000 typ host", 1000),
    "sources": with_lines("a=ssrc:# cname:x"),
    "sources within bounds": with_lines("a=ssrc:# cname:x", MAX_ATTRIBUTES - 30),
    "groups of sources": with_lines("a=ssrc-group:FID 1 2"),
    "parameters": with_lines("a=fmtp:96 x=1"),
    "long parameters": with_lines("a=fmtp:96 " + "a=1;" * 10_000, 1),
    "feedback": with_lines("a=rtcp-fb:* nack"),
    "feedback of many codecs": with_sections(CODECS + "a=rtcp-fb:* nack\r\n" * 190),
    "feedback of many codecs, of both directions": with_sections(
        CODECS.replace("recvonly", "sendrecv") + "a=rtcp-fb:* nack\r\n" * 190
    ),
    "extensions": with_lines("a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid", 1000),
    "extensions of the session": with_sections(SECTION, "a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid\r\n" * 390),
    "layers": with_lines("a=rid:r# send"),
    "layers within bounds": with_lines("a=rid:r# send", 300) + "a=simulcast:send " + "q;" * 20_000 + "\r\n",
    "names without a value": with_lines("a=x", 9000),
    "short lines": OFFER + "x=\r\n" * 10_000,
    "empty lines": OFFER + "\r\n" * 20_000,
    "formats": OFFER.replace("SAVPF 96 97", "SAVPF " + "96 " * 15_000 + "97", 1),
    "m-lines": with_sections(SECTION),
    "m-lines of both directions": with_sections(SECTION.replace("recvonly", "sendrecv")),
    "a bundle of many": OFFER.replace("BUNDLE 0", "BUNDLE " + "y " * 25_000 + "0", 1),
    "fingerprints": with_lines("a=fingerprint:md5 x"),
    "one long line": with_lines("a=" + "x" * 60_000, 1),
}


@pytest.mark.parametrize("name", OFFERS)
def test_no_offer_costs_more_than_its_share(name: str) -> None:
    offer = OFFERS[name][:MAX_OFFER_SIZE]
    assert count_lines(lambda: make_and_join(offer)) < MOST_LINES_OF_AN_OFFER


def make_and_join(offer: str) -> None:
    join_key = join(make_router(), "u").key
    make_router().members.join(join_key, parse_offer(offer), 0.0)


def test_offers_beyond_the_bounds_are_refused_and_browsers_are_within_them() -> None:
    for name in ("sources", "long parameters", "empty lines", "formats"):
        with pytest.raises(SdpError):
            parse_offer(OFFERS[name][:MAX_OFFER_SIZE])
    assert OFFER.count("\n") < MAX_LINES
    assert len(parse_offer(OFFERS["sources within bounds"]).media) == len(parse_offer(OFFER).media)
