from services.sfu.core.congestion.arrival_log import FEEDBACK_INTERVAL_S
from services.sfu.core.congestion.uplink import LIMIT_BPS, UplinkPath
from services.sfu.core.wire.rtp import parse_header
from services.sfu.core.wire.transport_cc import parse_feedback
from tests.unit.sfu.builders import rtp

MEDIA = frozenset((96, 97))
WIDE_ID, LEVEL_ID = 3, 1


def send(path: UplinkPath, number: int, now: float, **extensions: bytes) -> None:
    packet = rtp(7, number, bytes(1000), pt=96, **extensions)
    path.add_packet(packet, parse_header(packet), now)


def test_numbered_packets_are_told_of_in_feedback() -> None:
    path = UplinkPath(WIDE_ID, None, MEDIA)
    assert (path.has_transport_cc, path.watched_types) == (True, MEDIA)
    for number in (5, 6, 8):
        send(path, number, 1.0, wide=number.to_bytes(2, "big"))
    fci = path.take_feedback(1.0)
    feedback = parse_feedback(fci or b"")
    assert feedback is not None
    assert (feedback.base, [at is not None for at in feedback.arrivals]) == (5, [True, True, False, True])
    assert path.take_feedback(1.0 + FEEDBACK_INTERVAL_S) is None


def remb_after(queue_s: float) -> int:
    """Our estimate after 5 s of packets each 20 ms, each of which waits so much longer than the one before."""
    path = UplinkPath(None, WIDE_ID, MEDIA)
    for step in range(250):
        sent_at = 10.0 + step * 0.02
        now = sent_at + 0.05 + step * queue_s
        send(path, step, now, wide=(int(sent_at * (1 << 18)) & 0xFFFFFF).to_bytes(3, "big"))
        path.update_estimate(0.1, now)
    return path.remb_bps(20.0)


def test_send_times_give_an_estimate_that_falls_with_a_growing_queue() -> None:
    assert remb_after(0.0) == int(LIMIT_BPS)
    assert remb_after(0.01) < LIMIT_BPS / 2


def test_send_times_do_not_count_beside_numbers() -> None:
    path = UplinkPath(WIDE_ID, LEVEL_ID, MEDIA)
    send(path, 1, 1.0, level=bytes(3))
    path.update_estimate(0.1, 2.0)
    assert path.remb_bps(2.0) == int(LIMIT_BPS)


def test_without_either_extension_nothing_is_watched() -> None:
    assert UplinkPath(None, None, MEDIA).watched_types == frozenset()
