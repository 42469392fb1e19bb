"""RED for voices (RFC 2198), where a receiver loses packets: made for that receiver alone."""

from struct import unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.forwarding.packet_formats import redundant_types_of
from services.sfu.core.forwarding.redundancy import (
    BEGIN_LOSS,
    END_LOSS,
    QUIET_WINDOWS,
    WINDOW_PACKETS,
    RedundancySwitch,
    bundle,
)
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.router import Router
from services.sfu.core.wire import rtcp
from services.sfu.core.wire.codecs import PayloadInfo, primary_of_red
from services.sfu.core.wire.rtp import MediaPacket, parse_header
from services.sfu.core.wire.sdp import parse_offer
from tests.unit.sfu.builders import RED_FIRST, copies, join, key, make_router, offer, offer_text, receivers, rtp
from tests.unit.sfu.effects import media, payload_of, repairs


def opus(payload: bytes, timestamp: int) -> MediaPacket:
    return MediaPacket(1, 1, timestamp, False, "opus", PayloadInfo(payload, is_key_frame=True), 20)


def test_red_begins_with_loss_and_ends_when_there_was_none_for_a_while() -> None:
    switch = RedundancySwitch()
    assert not switch.note_report(1000, int(BEGIN_LOSS * 1000) - 1)
    assert not switch.note_report(WINDOW_PACKETS - 1, WINDOW_PACKETS - 1)
    # The reports of browsers that say it often count together.
    assert switch.note_report(1, 0)
    assert switch.is_on
    for _ in range(QUIET_WINDOWS - 1):
        assert not switch.note_report(1000, 0)
    # A little is enough to keep it, where it would not have begun.
    assert not switch.note_report(1000, int(END_LOSS * 1000))
    for _ in range(QUIET_WINDOWS - 1):
        assert not switch.note_report(1000, 0)
    assert switch.note_report(1000, 0)
    assert (switch.is_on, switch.was_on) == (False, True)


def test_a_packet_is_bundled_with_the_one_before_as_rfc_2198_has_it() -> None:
    bundled = bundle(opus(b"new", 1920), opus(b"before", 960), 111)
    header, opus_type = unpack("!IB", bundled.info.payload[:5])
    assert (header >> 31, header >> 24 & 0x7F, header >> 10 & 0x3FFF, header & 0x3FF) == (1, 111, 960, 6)
    assert (opus_type, bundled.info.payload[5:]) == (111, b"beforenew")
    assert (bundled.codec, bundled.timestamp, bundled.level) == ("red", 1920, 20)


@pytest.mark.parametrize(
    "before",
    [None, opus(b"before", 1920), opus(b"before", 1921), opus(b"before", 1920 - (1 << 14)), opus(b"", 960)],
    ids=["the first", "of the same time", "a later one", "too long ago", "empty"],
)
def test_a_packet_goes_alone_where_the_one_before_does_not_fit(before: MediaPacket | None) -> None:
    assert bundle(opus(b"new", 1920), before, 111).info.payload == b"\x6fnew"


@given(st.binary(max_size=1400), st.binary(max_size=1400), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_of_whatever_publishers_send_the_newest_is_found_again(
    old: bytes, new: bytes, old_time: int, new_time: int
) -> None:
    bundled = bundle(opus(new, new_time), opus(old, old_time), 111).info.payload
    assert primary_of_red(bundled) == (111, new)
    assert len(bundled) <= max(len(new) + 1, 1205)


def test_red_is_for_clients_that_put_it_first_and_ask_for_no_repairs() -> None:
    def types(text: str) -> tuple[int, int] | None:
        return redundant_types_of(parse_offer(text).media[2])

    assert types(offer_text(red=True)) == (63, 111)
    assert types(offer_text()) is None
    assert types(offer_text(red=True).replace("a=fmtp:63 111/111", "a=fmtp:63 96/96")) is None
    assert types(offer_text(red=True).replace("a=rtcp-fb:111 transport-cc", "a=rtcp-fb:111 nack")) is None
    assert RED_FIRST[1] in offer_text(red=True).replace("\r\n", "\n")


class Talk:
    """Ann speaks; Bob and Cid prefer RED, Dan does not."""

    def __init__(self, router: Router) -> None:
        self.router = router
        self.ann = join(router, "ann")
        self.bob, self.cid = (join(router, name, red=True) for name in ("bob", "cid"))
        self.dan = join(router, "dan")
        self.number = 0
        # What the receiver says that it has got of all, by participant.
        self.lost: dict[Participant, int] = {}

    def speak(self) -> dict[Participant, bytes]:
        """One packet: what each of the others gets of it."""
        self.number += 1
        packet = rtp(7, self.number, f"opus{self.number}".encode(), timestamp=self.number * 960, mid=b"0")
        got = {}
        for effect in media(self.router.handle_rtp(self.ann, packet, 1.0 + self.number / 50)):
            for number, copy in zip(receivers(effect), copies(effect), strict=True):
                participant = self.router.members.get(number)
                assert participant is not None
                got[participant] = copy
        return got

    def report(self, participant: Participant, lost: int, packets: int = WINDOW_PACKETS) -> None:
        """So many packets are sent, and the participant reports that so many of them were lost."""
        for _ in range(packets):
            last = self.speak()[participant]
        self.lost[participant] = self.lost.get(participant, 0) + lost
        header = parse_header(last)
        block = rtcp.ReportBlock(header.ssrc, 0, self.lost[participant], header.sequence_number, 0, 0, 0)
        self.router.handle_rtcp(participant, rtcp.build_receiver_report(1, [block]), 1.0 + self.number / 50)


@pytest.fixture
def talk() -> Talk:
    return Talk(make_router())


def kinds(got: dict[Participant, bytes]) -> dict[str, int]:
    """The payload types, by user."""
    return {str(participant.key.user_id): parse_header(packet).payload_type for participant, packet in got.items()}


def test_only_who_loses_packets_gets_red_and_the_numbers_go_on(talk: Talk) -> None:
    for participant in (talk.bob, talk.cid, talk.dan):
        talk.report(participant, 0)
    assert kinds(talk.speak()) == {"bob": 111, "cid": 111, "dan": 111}
    for participant in (talk.bob, talk.dan):
        talk.report(participant, 50)
    before, first, second = (talk.speak()[talk.bob] for _ in range(3))
    assert kinds(talk.speak()) == {"bob": 63, "cid": 111, "dan": 111}
    assert payload_of(second).endswith(f"opus{talk.number - 2}opus{talk.number - 1}".encode())
    headers = [parse_header(packet) for packet in (before, first, second)]
    assert [header.sequence_number - headers[0].sequence_number for header in headers] == [0, 1, 2]
    assert [header.timestamp - headers[0].timestamp for header in headers] == [0, 960, 1920]
    for _ in range(QUIET_WINDOWS):
        talk.report(talk.bob, 0)
    assert kinds(talk.speak()) == {"bob": 111, "cid": 111, "dan": 111}


def test_a_number_that_stood_for_red_is_never_sent_again_as_mere_opus(talk: Talk) -> None:
    talk.report(talk.bob, 0)
    talk.report(talk.bob, 50)
    header = parse_header(talk.speak()[talk.bob])
    nack = rtcp.build_nack(1, header.ssrc, [header.sequence_number])
    assert repairs(talk.router.handle_rtcp(talk.bob, rtcp.build_receiver_report(1) + nack, 9.0)) == []


def test_what_a_publisher_sends_as_red_goes_as_it_is_to_who_has_its_numbers_and_as_opus_to_the_others() -> None:
    text = offer_text().replace("a=rtpmap:63 red/48000/2", "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111")
    other_numbers = text.replace("111", "109")
    router, got = make_router(), {}
    people = [
        router.members.join(key(name), parse_offer(sdp), 0.0)[0]
        for name, sdp in (
            ("ann", text),
            ("bob", text),
            ("cid", other_numbers),
            ("dan", offer_text().replace("111 63 9", "111 9")),
        )
    ]
    for participant in people:
        router.handle_transport_up(participant, 0.0)
    red = b"\xef\x00\x40\x03\x6foldnew"
    for effect in media(router.handle_rtp(people[0], rtp(7, 1, red, pt=63, mid=b"0"), 1.0)):
        got |= dict(zip(receivers(effect), copies(effect), strict=True))
    found = [(parse_header(got[one.number]).payload_type, payload_of(got[one.number])) for one in people[1:]]
    assert found == [(63, red), (109, b"new"), (111, b"new")]


def test_a_client_without_red_first_is_never_given_any() -> None:
    assert offer(red=True).media[0].codecs[0].codec == "opus"
    assert all(slot.redundancy is None for slot in join(make_router(), "ann").slots)
