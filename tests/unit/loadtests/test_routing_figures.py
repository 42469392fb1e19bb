from loadtests.event_routing.figures import Run, growth_percent, scaling_error_percent, to_report


def run(replicas: int, *handled: int, cpu_s: float = 2.0, lost: int = 0) -> Run:
    by_name = {f"presence-{number}": count for number, count in enumerate(handled)}
    frames = {f"gateway-{number}": sum(handled) // replicas for number in range(replicas)}
    return Run(replicas, sum(handled), by_name, by_name, frames, cpu_s, 1.0, lost, 0)


def test_the_error_is_the_largest_distance_from_an_even_share_over_all_runs() -> None:
    assert scaling_error_percent([run(1, 1000), run(2, 500, 500)]) == 0
    assert scaling_error_percent([run(1, 1000), run(2, 450, 550), run(4, 250, 250, 220, 280)]) == 12.0


def test_growth_is_of_the_work_above_idle_and_is_told_with_the_idle_share_too() -> None:
    assert growth_percent(2, 3) == 50.0
    report = to_report([run(1, 1000, cpu_s=2.0), run(8, *[125] * 8, cpu_s=2.1)])
    assert report["total_cpu_growth_percent"] == 10.0
    assert report["total_cpu_growth_percent_with_idle"] == 5.0


def test_a_broadcast_would_show() -> None:
    broadcast = Run(
        2, 100, {"presence-1": 100, "presence-2": 100}, {}, {"gateway-1": 100, "gateway-2": 100}, 1, 0, 0, 0
    )
    report = to_report([broadcast])
    assert report["handled_per_event"] == {"2": 2.0}
    assert report["scaling_error_percent"] == 100.0


def test_losses_of_all_runs_are_summed() -> None:
    assert to_report([run(1, 10, lost=1), run(2, 5, 5, lost=2)])["lost"] == 3
