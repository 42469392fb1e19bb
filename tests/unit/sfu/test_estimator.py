"""The estimate against a simulated bottleneck. Loose bounds: the draft fixes the means, not the result."""

from random import Random

import pytest

from services.sfu.core.congestion.estimator import LOWEST_BPS, REMB_LIFE_S, START_BPS, BandwidthEstimator
from tests.unit.sfu.network import Call, Link


def test_estimate_finds_the_rate_of_the_bottleneck_and_stays_there() -> None:
    call = Call(Link(1_500_000))
    call.run(40, adapts=True)
    call.delays.clear()
    call.run(20, adapts=True)
    assert 900_000 < call.estimate_bps < 1_650_000
    assert sorted(call.delays)[len(call.delays) // 2] < 0.15


def test_fall_of_the_rate_is_followed_within_two_seconds() -> None:
    call = Call(Link(2_000_000), media_bps=1_500_000)
    call.run(20)
    call.link.rate_bps = 300_000
    call.run(2)
    assert call.estimate_bps < 350_000


@pytest.mark.parametrize("media_bps", [600_000, 800_000, 1_500_000])
def test_fall_of_the_rate_is_followed_in_half_a_second_to_what_the_path_bears(media_bps: float) -> None:
    call = Call(Link(2_000_000, queue_s=0.3), media_bps)
    call.run(10)
    call.link.rate_bps = 300_000
    assert call.time_until_below(300_000, 2.0) < 0.5
    call.media_bps = 150_000
    call.run(2)
    assert 200_000 < call.estimate_bps < 350_000


@pytest.mark.parametrize("queue_s", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("media_bps", [600_000, 1_500_000])
@pytest.mark.parametrize("seed", range(4))
def test_fall_that_takes_the_feedback_with_it_is_followed_too(queue_s: float, media_bps: float, seed: int) -> None:
    back = Link(2_000_000, queue_s=queue_s, random=Random(seed))
    call = Call(Link(2_000_000, queue_s=queue_s), media_bps, back=back, up_bps=media_bps)
    call.run(10 + seed * 0.013)
    call.link.rate_bps = back.rate_bps = 300_000
    assert call.time_until_below(400_000, 3.0) < 1.0
    call.media_bps = 130_000
    for _ in range(400):
        call.step()
        assert call.estimate_bps < 450_000


def test_receiver_that_was_busy_for_a_second_keeps_its_estimate() -> None:
    back = Link(2_000_000)
    call = Call(Link(2_000_000), 800_000, back=back)
    call.run(10)
    before = call.estimate_bps
    back.free_at = call.now + 1.0
    call.run(0.9)
    assert call.estimate_bps < 0.5 * before
    call.run(0.3)
    assert call.estimate_bps > 0.9 * before


def test_feedback_lost_by_chance_does_not_lower_the_estimate() -> None:
    call = Call(Link(10_000_000, loss=0.05), 600_000, back=Link(10_000_000, loss=0.1))
    call.run(10)
    lowest = before = call.estimate_bps
    for _ in range(60 * 200):
        call.step()
        lowest = min(lowest, call.estimate_bps)
    assert lowest > 0.9 * before


def test_path_that_became_longer_keeps_most_of_the_estimate() -> None:
    call = Call(Link(10_000_000), 600_000)
    call.run(10)
    call.link.delay_s += 0.25
    call.run(20)
    assert call.estimate_bps > 500_000


def test_key_frames_that_queue_for_a_moment_do_not_lower_the_estimate() -> None:
    call = Call(Link(2_000_000), 600_000)
    call.run(10)
    for _ in range(5):
        call.burst(50_000)
        call.run(3)
    assert max(call.delays) > 0.2
    assert call.estimate_bps > 600_000


def test_estimate_comes_back_after_the_rate_did() -> None:
    call = Call(Link(2_000_000))
    call.run(20, adapts=True)
    call.link.rate_bps = 300_000
    call.run(20, adapts=True)
    assert call.estimate_bps < 400_000
    call.link.rate_bps = 2_000_000
    call.run(40, adapts=True)
    assert call.estimate_bps > 800_000


def test_noise_alone_does_not_lower_the_estimate() -> None:
    call = Call(Link(10_000_000, delay_s=0.05, jitter_s=0.03), media_bps=600_000)
    call.run(30)
    assert call.estimate_bps > 500_000


def test_estimate_does_not_outgrow_what_was_tried() -> None:
    call = Call(Link(10_000_000), media_bps=600_000)
    call.run(60)
    assert call.estimate_bps < 1_100_000


def test_probes_raise_it_to_what_is_needed_without_more_media() -> None:
    call = Call(Link(10_000_000), media_bps=500_000)
    call.run(15, needed_bps=2_000_000)
    assert call.estimate_bps > 2_000_000


def test_probes_that_fail_leave_it_and_come_ever_less_often() -> None:
    call = Call(Link(700_000, queue_s=0.3), media_bps=500_000)
    call.run(60, needed_bps=2_000_000)
    assert call.estimate_bps < 1_000_000
    late = [delay for delay in call.delays if delay > 0.15]
    assert len(late) < 0.1 * len(call.delays)


def test_probes_that_fail_do_not_lower_it_below_what_the_path_bears() -> None:
    call = Call(Link(700_000, queue_s=0.3), media_bps=500_000)
    call.run(10)
    for _ in range(20 * 200):
        call.step(needed_bps=2_000_000)
        assert call.estimate_bps > 0.8 * call.link.rate_bps


def test_no_probe_goes_into_a_queue() -> None:
    call = Call(Link(300_000), media_bps=200_000)
    call.run(10)
    call.burst(12_000)
    call.run(0.4)
    path = call.path
    assert path.is_full
    path.note_selection(200_000, 2_000_000, call.now, 2_000_000)
    assert path.poll_probe(call.now) == 0
    call.run(4)
    assert not path.is_full
    path.note_selection(200_000, 2_000_000, call.now, 2_000_000)
    assert path.poll_probe(call.now) > 0


def test_loss_lowers_the_estimate_and_its_end_raises_it_again() -> None:
    estimator = BandwidthEstimator()
    now = 0.0
    for _ in range(5):
        now += 1.0
        estimator.handle_loss(0.2, 1_000_000, 0.05, now)
    lowered = estimator.estimate_bps(now)
    assert lowered < 700_000
    for _ in range(10):
        now += 1.0
        estimator.handle_loss(0.05, 1_000_000, 0.05, now)
    assert estimator.estimate_bps(now) == lowered
    for _ in range(20):
        now += 1.0
        estimator.handle_loss(0.0, 1_000_000, 0.05, now)
    assert estimator.estimate_bps(now) > 2 * lowered


def test_remb_counts_while_it_is_fresh() -> None:
    estimator = BandwidthEstimator()
    assert estimator.estimate_bps(0.0) > 10_000_000
    estimator.handle_remb(400_000, 1.0)
    assert estimator.estimate_bps(2.0) == 400_000
    assert estimator.estimate_bps(1.0 + REMB_LIFE_S) > 10_000_000
    estimator.handle_remb(1.0, 10.0)
    assert estimator.estimate_bps(10.0) == LOWEST_BPS


def test_receiver_with_feedback_starts_low() -> None:
    estimator = BandwidthEstimator()
    estimator.expect_feedback()
    assert estimator.estimate_bps(0.0) == START_BPS
