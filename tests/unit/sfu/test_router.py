"""Who receives what: two or three participants without a socket between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.errors import PacketError
from services.sfu.core.session.effects import SendSlotMap
from services.sfu.core.session.participants import MAX_SSRCS, MAX_STREAMS, Participant
from services.sfu.core.session.router import Router
from services.sfu.core.wire import rtcp
from services.sfu.core.wire.rtp import parse_header
from tests.unit.sfu.builders import join, key, make_router, offer, receivers, rtp, video
from tests.unit.sfu.effects import key_frame_requests, media, payload_of, repairs, reports, sent

Q, H, F = 11, 12, 13


@pytest.fixture
def router() -> Router:
    return make_router()


def test_audio_goes_to_the_other_and_not_back(router: Router) -> None:
    ann, bob = join(router, "ann"), join(router, "bob")
    effects = router.handle_rtp(ann, rtp(7, 100, b"opus", mid=b"0"), 1.0)
    assert [number for effect in media(effects) for number in receivers(effect)] == [bob.number]
    header = parse_header(sent(effects)[0])
    assert header.ssrc == bob.slots[0].ssrc
    assert header.payload_type == 111


def test_nothing_goes_to_who_has_no_transport_yet(router: Router) -> None:
    ann = join(router, "ann")
    router.members.join(key("bob"), offer(), 0.0)
    assert media(router.handle_rtp(ann, rtp(7, 100, mid=b"0"), 1.0)) == []


def test_video_waits_for_a_key_frame_and_asks_for_it(router: Router) -> None:
    ann, _ = join(router, "ann"), join(router, "bob")
    effects = router.handle_rtp(ann, video(Q, 1, 1), 1.0)
    assert media(effects) == []
    assert key_frame_requests(effects, ann) == [Q]
    assert media(router.handle_rtp(ann, video(Q, 2, 2), 1.1)) == []
    assert len(sent(router.handle_rtp(ann, video(Q, 3, 3, key_frame=True), 1.2))) == 1
    assert len(sent(router.handle_rtp(ann, video(Q, 4, 4), 1.3))) == 1


def test_sequence_time_and_picture_go_on_when_the_publisher_changes(router: Router) -> None:
    ann, bob, cid = join(router, "ann"), join(router, "bob"), join(router, "cid")
    slot = cid.slots[1]
    assert slot.publication is ann.publications[1]
    first = sent(router.handle_rtp(ann, video(Q, 65535, 32767, key_frame=True, tl0=255, timestamp=1 << 31), 1.0))
    one = next(packet for packet in first if parse_header(packet).ssrc == slot.ssrc)
    router.members.remove(ann.key, 2.0)
    assert slot.publication is bob.publications[1]
    router.handle_rtp(bob, video(H, 9, 1), 1.9)
    two = sent(router.handle_rtp(bob, video(H, 10, 2, key_frame=True, tl0=3, timestamp=77), 2.0))[0]
    before, after = parse_header(one), parse_header(two)
    assert after.ssrc == before.ssrc
    assert (after.sequence_number - before.sequence_number) & 0xFFFF == 1
    assert (after.timestamp - before.timestamp) & 0xFFFFFFFF == 90000
    picture = [int.from_bytes(payload_of(packet)[2:4], "big") & 0x7FFF for packet in (one, two)]
    assert (picture[1] - picture[0]) & 0x7FFF == 1
    assert (payload_of(two)[4] - payload_of(one)[4]) & 0xFF == 1


def test_highest_flowing_layer_is_sent_and_a_silent_one_is_left(router: Router) -> None:
    ann, bob = join(router, "ann", simulcast=True), join(router, "bob", transport_cc=False)
    for number, (ssrc, rid) in enumerate(((Q, b"q"), (F, b"f"), (H, b"h"))):
        router.handle_rtp(ann, video(ssrc, 1, 1, key_frame=True, rid=rid), 1.0 + number / 100)
    slot = bob.slots[1]
    router.handle_rtp(ann, video(F, 2, 2, key_frame=True, rid=b"f"), 1.1)
    assert slot.source is ann.streams[F]
    for step in range(1, 80):
        now = 1.1 + step * 0.02
        router.handle_rtp(ann, video(H, step + 1, step + 1), now)
        router.tick(now)
    assert slot.wanted is ann.streams[H]
    router.handle_rtp(ann, video(H, 90, 90, key_frame=True), 2.8)
    assert slot.source is ann.streams[H]


def report_from(router: Router, publisher: Participant, ssrc: int) -> None:
    """A sender report: without one there is none to receivers."""
    report = rtcp.build_sender_report(rtcp.SenderReport(ssrc, 5 << 32, 0, 1, 1))
    router.handle_rtcp(publisher, report, 1.0)


def test_reports_say_what_came_and_open_the_uplink(router: Router) -> None:
    ann, bob = join(router, "ann", transport_cc=False), join(router, "bob")
    router.tick(0.5)
    for number in (1, 2, 4):
        sent(router.handle_rtp(ann, video(Q, number, number, key_frame=True), 1.0))
    report_from(router, ann, Q)
    effects = router.tick(1.6)
    block = next(r for r in reports(effects, ann) if isinstance(r, rtcp.ReportBlock))
    assert (block.ssrc, block.fraction_lost, block.packets_lost) == (Q, 64, 1)
    assert any(isinstance(r, rtcp.Remb) and r.bitrate_bps > 4_900_000 for r in reports(effects, ann))
    sender = next(r for r in reports(effects, bob) if isinstance(r, rtcp.SenderReport))
    assert (sender.ssrc, sender.packet_count) == (bob.slots[1].ssrc, 3)


def test_round_trip_comes_from_the_receivers_report(router: Router) -> None:
    ann, bob = join(router, "ann"), join(router, "bob")
    router.handle_rtp(ann, rtp(7, 1, mid=b"0"), 1.0)
    report_from(router, ann, 7)
    sender = next(r for r in reports(router.tick(2.0), bob) if isinstance(r, rtcp.SenderReport))
    block = rtcp.ReportBlock(sender.ssrc, 26, 3, 1, 480, sender.ntp >> 16 & 0xFFFFFFFF, 65536 // 10)
    router.handle_rtcp(bob, rtcp.build_receiver_report(1, [block]), 2.15)
    assert bob.round_trip_s == pytest.approx(0.05, abs=0.001)
    assert bob.slots[0].downlink.jitter_s == pytest.approx(0.01)


def test_mute_is_told_to_the_receivers_once(router: Router) -> None:
    ann, bob = join(router, "ann"), join(router, "bob")
    assert router.handle_mute(ann, audio=True, video=False, now=1.0) == [SendSlotMap(bob.number)]
    assert router.handle_mute(ann, audio=True, video=False, now=1.0) == []
    assert [entry.muted for entry in bob.slot_map()] == [True, False]


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (rtp(7, 1, pt=9, mid=b"0"), "unknown_ssrc"),
        (rtp(7, 1, mid=b"9"), "unknown_ssrc"),
        (rtp(7, 1, pt=96, mid=b"0"), "unknown_ssrc"),
        (rtp(7, 1, b"", pt=96, mid=b"1"), None),
        (b"\x80\x60", "rtp_malformed"),
    ],
)
def test_packets_of_no_publication_are_refused(router: Router, packet: bytes, reason: str | None) -> None:
    ann = join(router, "ann")
    if reason is None:
        router.handle_rtp(ann, packet, 1.0)
        return
    with pytest.raises(PacketError, match=reason):
        router.handle_rtp(ann, packet, 1.0)


def test_known_ssrc_with_another_payload_type_is_refused(router: Router) -> None:
    ann = join(router, "ann")
    router.handle_rtp(ann, rtp(7, 1, mid=b"0"), 1.0)
    with pytest.raises(PacketError, match="unknown_payload_type"):
        router.handle_rtp(ann, rtp(7, 2, pt=13), 1.0)


def test_simulcast_packet_with_an_unknown_rid_is_refused(router: Router) -> None:
    ann = join(router, "ann", simulcast=True)
    with pytest.raises(PacketError, match="unknown_ssrc"):
        router.handle_rtp(ann, video(Q, 1, 1, rid=b"x"), 1.0)


def test_a_flood_of_ssrcs_keeps_a_bounded_number(router: Router) -> None:
    ann = join(router, "ann")
    for ssrc in range(100, 100 + MAX_SSRCS):
        router.handle_rtp(ann, rtp(ssrc, 1, mid=b"0"), 1.0)
    assert len(ann.streams) <= MAX_STREAMS
    with pytest.raises(PacketError, match="ssrc_flood"):
        router.handle_rtp(ann, rtp(7, 1, mid=b"0"), 1.0)


def test_media_after_the_end_of_a_slot_goes_nowhere(router: Router) -> None:
    ann, bob = join(router, "ann"), join(router, "bob")
    router.handle_rtp(ann, video(Q, 1, 1, key_frame=True), 1.0)
    router.members.remove(bob.key, 2.0)
    assert media(router.handle_rtp(ann, video(Q, 2, 2), 1.1)) == []
    nack = rtcp.build_nack(1, bob.slots[1].ssrc, [1, 2, 3])
    assert repairs(router.handle_rtcp(ann, nack, 1.2)) == []


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=80)), max_size=20))
def test_any_authenticated_bytes_give_effects_or_a_packet_error(packets: list[tuple[bool, bytes]]) -> None:
    router = make_router()
    ann, _ = join(router, "ann"), join(router, "bob")
    for is_control, body in packets:
        try:
            if is_control:
                router.handle_rtcp(ann, body, 1.0)
            else:
                router.handle_rtp(ann, rtp(7, 1, mid=b"1", pt=96)[:12] + body, 1.0)
        except PacketError:
            continue
    router.tick(2.0)
