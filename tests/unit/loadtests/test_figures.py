import pytest

from loadtests.message_path.figures import MEDIANS, SUMMED, per_1000, percentile, percentiles, summarize


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_a_value_that_was_measured(share: float, value: int) -> None:
    assert percentile(range(100, 0, -1), share) == value


def test_percentiles_of_few_values_are_the_nearest_ranks() -> None:
    assert percentiles([1.0, 2.0, 3.0], (50, 99)) == {"p50": 2.0, "p99": 3.0}
    assert percentiles([], (50,)) == {"p50": 0.0}


def test_cpu_is_told_by_thousand_messages() -> None:
    assert per_1000({"messaging": 1.5}, 3_000) == {"messaging": 0.5}
    assert per_1000({"messaging": 0.0}, 0) == {"messaging": 0.0}


def test_a_report_has_the_medians_of_the_rounds_and_the_sums_of_the_faults() -> None:
    rounds = [
        {**{name: {"p50": value} for name in MEDIANS}, **dict.fromkeys(SUMMED, 1), "throughput": value}
        for value in (3.0, 1.0, 2.0)
    ]
    report = summarize(rounds)
    assert report["throughput"] == 2.0
    assert report["send_to_deliver_ms"] == {"p50": 2.0}
    assert report["lost"] == 3
