import pytest

from services.sfu.core.congestion.stats import RateMeter, ReceptionStats, middle_ntp, ntp_from_unix, round_trip_s
from services.sfu.core.wire.rtcp import ReportBlock


def receive(stats: ReceptionStats, number: int, timestamp: int, now: float) -> int:
    return stats.count(number, timestamp, now)


def test_numbers_are_extended_over_their_roll_over_both_ways() -> None:
    stats = ReceptionStats(90000)
    first = receive(stats, 65534, 0, 0.0)
    assert receive(stats, 2, 0, 0.0) == first + 4
    assert receive(stats, 65535, 0, 0.0) == first + 1
    assert (stats.expected, stats.received) == (5, 3)


def test_loss_fraction_starts_anew_with_each_report() -> None:
    stats = ReceptionStats(90000)
    for number in (1, 2, 4, 5):
        receive(stats, number, 0, 0.0)
    block = stats.report_block(9, 1.0)
    assert (block.fraction_lost, block.packets_lost) == (256 // 5, 1)
    receive(stats, 6, 0, 0.0)
    block = stats.report_block(9, 2.0)
    assert (block.fraction_lost, block.packets_lost) == (0, 1)


def test_duplicates_give_negative_loss_but_no_negative_fraction() -> None:
    stats = ReceptionStats(90000)
    receive(stats, 1, 0, 0.0)
    receive(stats, 1, 0, 0.0)
    block = stats.report_block(9, 1.0)
    assert (block.fraction_lost, block.packets_lost) == (0, -1)


def test_even_arrivals_have_no_jitter_and_uneven_ones_have() -> None:
    even, uneven = ReceptionStats(48000), ReceptionStats(48000)
    for number in range(100):
        receive(even, number, (1 << 32) - 960 * 50 + 960 * number & 0xFFFFFFFF, number * 0.02)
        receive(uneven, number, 960 * number, number * 0.02 + 0.01 * (number % 2))
    assert even.jitter_s == pytest.approx(0.0, abs=1e-6)
    assert uneven.jitter_s == pytest.approx(0.01, abs=0.001)


def test_far_jump_is_a_new_start_and_no_loss() -> None:
    stats = ReceptionStats(90000)
    receive(stats, 1, 0, 0.0)
    receive(stats, 20000, 0, 0.0)
    assert stats.expected == stats.received == 2


def test_report_names_the_last_sender_report_and_its_age() -> None:
    stats = ReceptionStats(90000)
    receive(stats, 1, 0, 0.0)
    assert stats.report_block(9, 1.0).last_sr == 0
    stats.add_sender_report(0x0000_1234_5678_0000, 2.0)
    block = stats.report_block(9, 2.5)
    assert (block.last_sr, block.delay_since_last_sr) == (0x12345678, 32768)


def test_round_trip_is_now_less_the_report_and_its_delay() -> None:
    sent, now = ntp_from_unix(1_700_000_000.0), ntp_from_unix(1_700_000_000.35)
    block = ReportBlock(1, 0, 0, 0, 0, middle_ntp(sent), 65536 // 4)
    assert round_trip_s(block, now) == pytest.approx(0.1, abs=0.001)
    assert round_trip_s(ReportBlock(1, 0, 0, 0, 0, 0, 0), now) is None
    assert round_trip_s(ReportBlock(1, 0, 0, 0, 0, middle_ntp(now), 655), now) == 0.0


def test_rate_is_of_the_last_full_window() -> None:
    meter = RateMeter()
    for step in range(11):
        meter.add_bytes(1000, step / 10)
    assert meter.rate_bps == pytest.approx(88_000)
