"""What is lost and comes again: NACKs both ways, repairs, and key frames that are asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.session.participants import Participant
from services.sfu.core.session.router import Router
from services.sfu.core.wire import rtcp
from services.sfu.core.wire.rtp import parse_header
from tests.unit.sfu.builders import join, make_router, video
from tests.unit.sfu.effects import key_frame_requests, media, payload_of, repairs, reports, sent, unwrapped

Q, H, F = 11, 12, 13


@pytest.fixture
def router() -> Router:
    return make_router()


def test_key_frame_requests_are_throttled_and_repeated(router: Router) -> None:
    ann, _ = join(router, "ann"), join(router, "bob")
    router.handle_rtp(ann, video(Q, 1, 1), 1.0)
    requests = []
    for step in range(1, 101):
        now = 1.0 + step * 0.02
        if step % 5 == 0:
            router.handle_rtp(ann, video(Q, step, step), now)
        requests += key_frame_requests(router.tick(now), ann)
    assert 3 <= len(requests) <= 7


def test_packets_from_before_the_key_frame_are_never_let_through(router: Router) -> None:
    ann, bob = join(router, "ann"), join(router, "bob")
    router.handle_rtp(ann, video(Q, 8, 8), 1.0)
    first = sent(router.handle_rtp(ann, video(Q, 10, 10, key_frame=True), 1.1))
    assert media(router.handle_rtp(ann, video(Q, 9, 9), 1.2)) == []
    number = parse_header(first[0]).sequence_number
    nack = rtcp.build_nack(1, bob.slots[1].ssrc, [number - 2, number - 1, number])
    again = sent(router.handle_rtcp(bob, nack, 1.3))
    assert [unwrapped(repair) for repair in again] == [(number, payload_of(first[0]))]


def test_lost_packets_are_asked_for_again_and_again_and_then_given_up(router: Router) -> None:
    ann, _ = join(router, "ann"), join(router, "bob")
    router.handle_rtp(ann, video(Q, 1, 1, key_frame=True), 1.0)
    router.handle_rtp(ann, video(Q, 4, 4), 1.0)
    asked, requests = [], []
    for step in range(1, 60):
        effects = router.tick(1.0 + step * 0.02)
        asked += [r.sequence_numbers for r in reports(effects, ann) if isinstance(r, rtcp.Nack)]
        requests += key_frame_requests(effects, ann)
    assert asked
    assert set(asked) == {(2, 3)}
    assert 8 <= len(asked) <= 12
    assert requests == [Q]


@pytest.mark.parametrize(("lost_below", "is_lowered"), [(0, False), (20, True)])
def test_what_the_publisher_lost_does_not_lower_what_its_receivers_get(
    router: Router, lost_below: int, is_lowered: bool
) -> None:
    """A fifth is lost on the way up, and is missing in what bob reports; or, the second time, also on the way down."""
    ann, bob = join(router, "ann"), join(router, "bob")
    slot, before = bob.slots[1], bob.path.estimate_bps(1.0)
    for number in range(500):
        now = 1.0 + number / 100
        if number % 5 != 4:
            sent(router.handle_rtp(ann, video(Q, number, number, key_frame=number == 0), now))
        if number % 100 == 99:
            missed = (number + 1) // 5 + lost_below * number // 100
            block = rtcp.ReportBlock(slot.ssrc, 51, missed, number, 0, 0, 0)
            router.handle_rtcp(bob, rtcp.build_receiver_report(1, [block]), now)
    assert (bob.path.estimate_bps(6.0) < before) == is_lowered


def test_a_packet_that_comes_late_is_forwarded_and_not_asked_for_again(router: Router) -> None:
    ann, _ = join(router, "ann"), join(router, "bob")
    router.handle_rtp(ann, video(Q, 1, 1, key_frame=True), 1.0)
    router.handle_rtp(ann, video(Q, 3, 3), 1.0)
    assert len(sent(router.handle_rtp(ann, video(Q, 2, 2), 1.005))) == 1
    assert not any(isinstance(r, rtcp.Nack) for r in reports(router.tick(1.1), ann))


def test_what_a_receiver_lost_is_sent_again_on_the_repair_stream(router: Router) -> None:
    ann, bob = join(router, "ann"), join(router, "bob")
    originals = [sent(router.handle_rtp(ann, video(Q, n, n, key_frame=n == 1, tl0=n), 1.0))[0] for n in range(1, 5)]
    lost = parse_header(originals[2]).sequence_number
    nack = rtcp.build_nack(1, bob.slots[1].ssrc, [lost])
    effects = router.handle_rtcp(bob, nack, 1.1)
    repair = sent(effects)[0]
    header = parse_header(repair)
    assert (header.ssrc, header.payload_type) == (bob.slots[1].repair_ssrc, 97)
    assert unwrapped(repair) == (lost, payload_of(originals[2]))
    assert not repairs(effects)[0].is_probe
    assert repairs(router.handle_rtcp(bob, nack, 1.11)) == []
    second = parse_header(sent(router.handle_rtcp(bob, nack, 1.2))[0])
    assert (second.sequence_number - header.sequence_number) & 0xFFFF == 1


def test_receiver_without_rtx_gets_the_same_bytes_again(router: Router) -> None:
    ann, bob = join(router, "ann"), join(router, "bob", rtx=False)
    originals = [sent(router.handle_rtp(ann, video(Q, n, n, key_frame=n == 1, tl0=n), 1.0))[0] for n in range(1, 5)]
    lost = parse_header(originals[2]).sequence_number
    effects = router.handle_rtcp(bob, rtcp.build_nack(1, bob.slots[1].ssrc, [lost]), 1.1)
    assert sent(effects) == [originals[2]]


def test_receivers_picture_loss_reaches_the_publisher(router: Router) -> None:
    ann, bob = join(router, "ann"), join(router, "bob")
    router.handle_rtp(ann, video(Q, 1, 1, key_frame=True), 1.0)
    effects = router.handle_rtcp(bob, rtcp.build_pli(1, bob.slots[1].ssrc), 2.0)
    assert key_frame_requests(effects, ann) == [Q]
    assert key_frame_requests(router.handle_rtcp(bob, rtcp.build_pli(1, bob.slots[1].ssrc), 2.1), ann) == []


def test_storm_of_key_frame_requests_reaches_the_publisher_ever_less_often(router: Router) -> None:
    ann, bob = join(router, "ann"), join(router, "bob")
    router.handle_rtp(ann, video(Q, 1, 1, key_frame=True), 1.0)
    asked = []
    for step in range(1000):
        now = 2.0 + step * 0.01
        effects = router.handle_rtcp(bob, rtcp.build_pli(1, bob.slots[1].ssrc), now)
        asked += [now for _ in key_frame_requests(effects + router.tick(now), ann)]
    assert 3 <= len(asked) <= 7
    assert asked[-1] - asked[-2] > 2.0


def test_storm_of_nacks_is_looked_at_up_to_its_budget(router: Router) -> None:
    ann, bob = join(router, "ann"), join(router, "bob")
    for number in range(1, 400):
        sent(router.handle_rtp(ann, video(Q, number, number, key_frame=number == 1), 1.0))
    first = parse_header(sent(router.handle_rtp(ann, video(Q, 400, 400), 1.0))[0]).sequence_number - 399
    again = [repairs(router.handle_rtcp(bob, _nack(bob, first + 20 * n, 20), 2.0 + n / 1000)) for n in range(200)]
    assert 100 <= sum(map(len, again)) <= 400
    assert again[-1] == []


def _nack(receiver: Participant, first: int, count: int) -> bytes:
    return rtcp.build_nack(1, receiver.slots[1].ssrc, [number & 0xFFFF for number in range(first, first + count)])


@given(
    st.lists(
        st.tuples(st.sampled_from(["q", "h", "f"]), st.integers(0, 65535), st.booleans(), st.integers(0, 30)),
        min_size=1,
        max_size=120,
    ),
    st.booleans(),
)
def test_one_ssrc_and_number_always_stand_for_the_same_bytes(
    steps: list[tuple[str, int, bool, int]], has_rtx: bool
) -> None:
    """SRTP's counter modes break when two different packets share both."""
    router = make_router()
    ann = join(router, "ann", simulcast=True)
    bob = join(router, "bob", rtx=has_rtx)
    ssrcs = {"q": Q, "h": H, "f": F}
    numbers = dict.fromkeys(ssrcs, 100)
    seen: dict[tuple[int, int], bytes] = {}
    published: set[tuple[str, int]] = set()
    now = 1.0
    for rid, nacked, is_key_frame, jump in steps:
        now += 0.03
        number = numbers[rid] + jump - 8
        numbers[rid] = max(numbers[rid], number)
        if (rid, number) in published:
            continue
        published.add((rid, number))
        tid = 0 if is_key_frame else number % 3
        if bob.slots[1].source is not None:
            bob.slots[1].want(bob.slots[1].source, jump % 4)
        packet = video(ssrcs[rid], number, number & 0x7FFF, key_frame=is_key_frame, rid=rid.encode(), tid=tid)
        effects = router.handle_rtp(ann, packet, now)
        lost = [nacked, *[number for _, number in list(seen)[-3:]]]
        effects += router.handle_rtcp(bob, rtcp.build_nack(1, bob.slots[1].ssrc, lost), now)
        effects += router.tick(now)
        for clear in sent(effects):
            header = parse_header(clear)
            assert seen.setdefault((header.ssrc, header.sequence_number), clear) == clear
