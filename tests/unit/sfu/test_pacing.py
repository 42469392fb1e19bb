"""Repairs do not come in one burst: a receiver that lost much asks for it again and gets it at what its path bears."""

from services.sfu.core.congestion.estimator import START_BPS
from services.sfu.core.congestion.pacing import BURST_S, MIN_BURST_BYTES, Pacer
from services.sfu.core.session.effects import SendMedia, SendRepair
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.router import Router
from services.sfu.core.wire import rtcp
from services.sfu.core.wire.rtp import parse_header
from tests.unit.sfu.builders import copies, join, make_router, rtp, vp8

SSRC, LOST, SIZE = 11, 150, 1000


def publish(router: Router, ann: Participant) -> int:
    """Packets for bob, all at 1.0; gives the number of the first as he gets it."""
    first = 0
    for number in range(1, LOST + 1):
        payload = vp8(number, key_frame=number == 1, body=bytes(SIZE))
        packet = rtp(SSRC, number, payload, pt=96, timestamp=number * 3000, marker=True, mid=b"1")
        effects = router.handle_rtp(ann, packet, 1.0)
        if number == 1:
            media = next(effect for effect in effects if isinstance(effect, SendMedia))
            first = parse_header(copies(media)[0]).sequence_number
    return first


def repairs_of(router: Router, bob: Participant, numbers: list[int], now: float) -> list[int]:
    """The sequence numbers, as ann gave them, that bob is sent again when he asks."""
    nack = rtcp.build_nack(1, bob.slots[1].ssrc, numbers)
    return [e.packet.sequence_number for e in router.handle_rtcp(bob, nack, now) if isinstance(e, SendRepair)]


def test_a_burst_of_losses_is_repaired_at_the_rate_of_the_path_and_completely() -> None:
    router = make_router()
    ann, bob = join(router, "ann"), join(router, "bob")
    first = publish(router, ann)
    missing, now, at_once = set(range(1, LOST + 1)), 2.0, []
    while missing and now < 12.0:
        asked = [(first + number - 1) & 0xFFFF for number in sorted(missing)]
        again = repairs_of(router, bob, asked, now)
        assert set(again) <= missing
        assert len(again) == len(set(again))
        missing -= set(again)
        at_once.append(len(again))
        now += 0.05
    burst = max(START_BPS / 8 * BURST_S, MIN_BURST_BYTES) / SIZE
    assert max(at_once) <= burst + 1
    assert not missing
    assert now - 2.0 <= 2 * LOST * SIZE / (START_BPS / 8)


def test_a_pace_lets_through_its_rate_and_no_more_than_a_burst_at_once() -> None:
    pace, rate_bps, sent = Pacer(), 1_000_000.0, 0
    for tick in range(1000):
        while pace.has_tokens(rate_bps, 10.0 + tick / 100):
            pace.spend(1200)
            sent += 1200
    assert rate_bps / 8 * 9.9 <= sent <= rate_bps / 8 * (10 + BURST_S) + 1200


def test_a_pace_follows_its_rate() -> None:
    pace = Pacer()
    assert pace.has_tokens(8_000_000.0, 1.0)
    pace.spend(MIN_BURST_BYTES + 200_000)
    assert not pace.has_tokens(100_000.0, 1.1)
    assert pace.has_tokens(8_000_000.0, 1.4)
