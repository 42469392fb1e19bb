from services.sfu.core.forwarding.nack import (
    FIRST_NACK_S,
    MAX_MISSING,
    MAX_NACKS,
    NACK_INTERVAL_S,
    GapTracker,
    RetransmissionRing,
)
from services.sfu.core.wire.rtp import canonical_audio, parse_header
from tests.unit.sfu.builders import rtp


def test_gap_is_due_after_a_moment_and_again_at_each_interval() -> None:
    gaps = GapTracker()
    gaps.add_packet(1, 0.0)
    gaps.add_packet(4, 0.0)
    assert gaps.due(FIRST_NACK_S / 2, 0.0) == ([], 0)
    assert gaps.due(FIRST_NACK_S, 0.0) == ([2, 3], 0)
    assert gaps.due(FIRST_NACK_S + NACK_INTERVAL_S / 2, 0.0) == ([], 0)
    assert gaps.due(FIRST_NACK_S + NACK_INTERVAL_S, 0.0) == ([2, 3], 0)


def test_long_round_trip_slows_the_requests_down() -> None:
    gaps = GapTracker()
    gaps.add_packet(1, 0.0)
    gaps.add_packet(3, 0.0)
    assert gaps.due(0.01, 0.2) == ([2], 0)
    assert gaps.due(0.15, 0.2) == ([], 0)
    assert gaps.due(0.22, 0.2) == ([2], 0)


def test_packet_is_given_up_after_its_last_request() -> None:
    gaps = GapTracker()
    gaps.add_packet(1, 0.0)
    gaps.add_packet(3, 0.0)
    now = 0.0
    for _ in range(MAX_NACKS):
        now += 0.05
        assert gaps.due(now, 0.0) == ([2], 0)
    assert gaps.due(now + 0.05, 0.0) == ([], 1)
    assert not gaps.missing


def test_gap_too_wide_is_not_tracked() -> None:
    gaps = GapTracker()
    gaps.add_packet(1, 0.0)
    assert not gaps.add_packet(MAX_MISSING + 100, 0.0)
    assert not gaps.missing
    assert gaps.add_packet(MAX_MISSING + 101, 0.0)


def test_ring_keeps_the_newest_of_each_place() -> None:
    ring = RetransmissionRing(8)
    packets = {}
    for index in (65530, 65536 + 3, 65536 + 2):
        datagram = rtp(1, index)
        packets[index] = canonical_audio(datagram, parse_header(datagram), index, None)
        ring.put(packets[index])
    assert ring.get(3) is packets[65536 + 3]
    assert ring.get(2) is packets[65536 + 2]
    assert ring.get(65530) is None
    ring.put(packets[65530])
    assert ring.get(2) is packets[65536 + 2]
