import random

import pytest

from loadtests.sfu_media.growth import fit, judge
from loadtests.sfu_media.soak import report_of

MINUTES = [number / 4 for number in range(41)]


def noisy(level: float, slope: float, noise: float, seed: int = 1) -> list[tuple[float, float]]:
    chance = random.Random(seed)
    return [(minute, level + slope * minute + chance.gauss(0, noise)) for minute in MINUTES]


def test_the_line_and_its_error_are_those_of_the_textbook() -> None:
    # Residuals of 0.5, -1, 0.5 about y = 1 + x / 2, whose spread is 2.
    slope, error = fit([(0, 1.5), (1, 0.5), (2, 2.5)])
    assert slope == pytest.approx(0.5)
    assert error == pytest.approx((1.5 / 1 / 2) ** 0.5)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_what_grows_with_each_turn_is_told(noise: float) -> None:
    verdict = judge(noisy(120, 0.5, noise))
    assert verdict["grows"]
    assert verdict["slope_per_minute"] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("seed", range(20))
def test_noise_about_a_level_is_no_growth(seed: int) -> None:
    assert judge(noisy(120, 0.0, 1.3, seed))["grows"] is False


def test_a_saw_tooth_is_no_growth() -> None:
    assert judge([(minute, 120 + 4 * (minute % 2.0)) for minute in MINUTES])["grows"] is False


def test_what_filled_up_in_the_first_half_is_no_growth() -> None:
    assert judge([(minute, min(100 + 10 * minute, 140)) for minute in MINUTES])["grows"] is False


def test_growth_that_nobody_would_notice_in_a_day_is_none_and_so_is_shrinking() -> None:
    assert judge(noisy(120, 0.0001, 0.0))["grows"] is False
    assert judge(noisy(120, -0.5, 0.1))["grows"] is False


def test_a_few_turns_are_no_verdict() -> None:
    verdict = judge([(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)])
    assert verdict["grows"] is None
    assert verdict["slope_per_minute"] is None


def sample(minute: float, blocks: float, open_resources: int = 0) -> dict[str, float]:
    return {"minute": minute, "open_resources": open_resources, "blocks": blocks, "rss_mib": 100.0}


def test_the_report_names_what_grows_and_has_each_series_with_its_verdict() -> None:
    report = report_of([sample(minute, 1000 + 50 * minute) for minute in MINUTES])
    assert report["grows"] == ["blocks"]
    assert report["is_empty_between"]
    assert report["blocks"]["slope_per_minute"] == pytest.approx(50)
    assert report["rss_mib"]["grows"] is False
    assert report["rss_mib"]["series"] == [100.0] * len(MINUTES)


def test_a_call_that_stays_open_between_turns_shows() -> None:
    assert not report_of([sample(0.0, 1000), sample(0.3, 1000, open_resources=2)])["is_empty_between"]
