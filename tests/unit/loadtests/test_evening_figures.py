import random
import re
from pathlib import Path
from typing import Any

import pytest

from deploy.documents import read_yaml
from deploy.observability.queries import FOLDER
from loadtests.evening import comparing, objectives, page, progress, reporting, results, service_metrics
from loadtests.evening.latencies import Latencies, above, curve, from_text, merge
from loadtests.evening.limits import Search
from loadtests.evening.tally import LATE_S, OnTheirWay, StreamCheck, TypingNotices
from loadtests.message_path.figures import percentile


def latencies_of(*took_ms: float) -> Latencies:
    latencies = Latencies(0.0, 100.0)
    for number, ms in enumerate(took_ms):
        latencies.record("send", number * 0.001, number * 0.001 + ms / 1000)
    return latencies


def test_a_latency_counts_from_when_it_was_due() -> None:
    latencies = Latencies(0.0, 100.0)
    # One slow second: whoever was due in it waits for its end, and all of that counts.
    for due_s in (1.0, 1.25, 1.5, 1.75):
        latencies.record("send", due_s, 2.0)
    assert latencies.as_dict(100.0)["send"]["ms"]["max"] == pytest.approx(1000, rel=0.002)


def test_only_the_steady_window_counts_but_the_plots_show_all() -> None:
    latencies = Latencies(100.0, 200.0)
    for due_s in (50.0, 150.0, 250.0):
        latencies.record("send", due_s, due_s + 0.01)
        latencies.fail("send", due_s, "UNAVAILABLE")
    found = latencies.as_dict(260.0)["send"]
    assert (found["count"], found["failed"]) == (1, 1)
    assert len(found["series"]) == 3
    assert found["series"][0][0] < 0


def test_percentiles_are_good_to_a_thousandth() -> None:
    chance = random.Random(1)
    values = [chance.lognormvariate(3, 1) for _ in range(5_000)]
    ms = latencies_of(*values).as_dict(200.0)["send"]["ms"]
    for share in (50, 90, 99, 99.9):
        assert ms[f"p{share:g}"] == pytest.approx(percentile(values, share / 100), rel=0.005)


def test_a_histogram_survives_being_written() -> None:
    found = latencies_of(1, 2, 700).as_dict(200.0)["send"]
    histogram = from_text(found["hdr"])
    assert histogram.get_total_count() == 3
    assert above(histogram, 500) == 1
    assert above(histogram, 1) == 2
    assert curve(histogram)[0][1] == pytest.approx(1, rel=0.01)


def test_generators_are_merged_by_their_histograms_and_not_by_their_percentiles() -> None:
    one, other = (latencies_of(*values).as_dict(200.0) for values in ([1.0] * 90, [100.0] * 10))
    both = merge([one, other])["send"]
    assert both["count"] == 100
    assert both["ms"]["p90"] == pytest.approx(1, rel=0.01)
    assert both["ms"]["p95"] == pytest.approx(100, rel=0.01)
    assert both["series"][0][5] == 100


@pytest.mark.parametrize(
    ("total", "bad", "held"),
    [(1_000, 10, True), (1_000, 11, False), (50, 0, True), (50, 1, None), (50, 5, False), (0, 0, None)],
)
def test_an_objective_holds_breaks_or_cannot_be_told(total: int, bad: int, held: bool | None) -> None:
    assert objectives.judge(0.99, total, bad)["held"] is held


def test_what_failed_is_not_in_time() -> None:
    actions = latencies_of(*([1.0] * 990)).as_dict(200.0)
    actions["send"]["failed"] = 20
    judged = {one["objective"]: one for one in objectives.judge_actions(actions)}
    assert judged["send"]["bad"] == 20
    assert judged["send"]["held"] is False
    assert judged["send"]["budget_used"] == pytest.approx(20 / 10.1, abs=0.01)


def slos() -> dict[str, Any]:
    groups = read_yaml((FOLDER / "slos.yaml").read_text())["spec"]["groups"]
    return {group["name"]: group for group in groups}


def test_the_folders_objectives_are_those_of_the_folder() -> None:
    assert {one.group for one in objectives.SERVER_OBJECTIVES} == set(slos())
    for one in objectives.SERVER_OBJECTIVES:
        summary = slos()[one.group]["rules"][-1]["annotations"]["summary"]
        assert f"{one.share * 100:g} % ({one.what})" in summary


def test_the_services_are_asked_for_what_the_folder_asks_them_for() -> None:
    source = Path(service_metrics.__file__).read_text()
    for name in set(re.findall(r'"((?:grpc|kafka|signaling|sfu)_[a-z_]+)"', source)):
        assert any(name in str(group) for group in slos().values())


def counted(*samples: tuple[str, dict[str, str], float]) -> service_metrics.Counted:
    return {(name, frozenset(labels.items())): value for name, labels, value in samples}


def test_the_services_own_counters_say_what_was_bad() -> None:
    age = "kafka_consumer_record_age_seconds"
    mine = {"topic": "delivery.v1", "group": "presence"}
    found = service_metrics.of_objectives(
        counted(
            ("grpc_server_handled_total", {"grpc_method": "SendMessage", "grpc_code": "OK"}, 90),
            ("grpc_server_handled_total", {"grpc_method": "SendMessage", "grpc_code": "INTERNAL"}, 4),
            ("grpc_server_handled_total", {"grpc_method": "SendMessage", "grpc_code": "INVALID_ARGUMENT"}, 6),
            ("grpc_server_handled_total", {"grpc_method": "Sync", "grpc_code": "INTERNAL"}, 9),
            (f"{age}_count", mine, 50),
            (f"{age}_bucket", {**mine, "le": "1.0"}, 47),
            (f"{age}_count", {**mine, "topic": "another"}, 50),
            ("sfu_mos_count", {"leg": "uplink"}, 10),
            ("sfu_mos_count", {"leg": "downlink"}, 10),
            ("sfu_mos_count", {"leg": "remote"}, 10),
            ("sfu_mos_bucket", {"leg": "downlink", "le": "3.5"}, 3),
        )
    )
    assert found == {"slo-send": (100, 4), "slo-delivery": (50, 3), "slo-call-quality": (20, 3)}


def test_a_process_that_began_anew_takes_nothing_away() -> None:
    before, after = counted(("a", {}, 10), ("b", {}, 5)), counted(("a", {}, 3), ("b", {}, 9))
    assert service_metrics.total(service_metrics.since(before, after), "a") == 0
    assert service_metrics.total(service_metrics.since(before, after), "b") == 4


def test_a_message_arrives_once_on_each_device_that_was_there() -> None:
    way = OnTheirWay()
    way.send("m", 1.0, ["one", "other"])
    assert way.arrive("one", "m") == 1.0
    assert way.arrive("one", "m") is None
    assert way.arrive("third", "m") is None
    assert way.devices() == ["other"]


def test_a_device_that_leaves_has_missed_what_is_long_overdue_and_acknowledged() -> None:
    way = OnTheirWay()
    for key, due_s in (("old", 0.0), ("refused", 0.0), ("new", LATE_S)):
        way.send(key, due_s, ["one"])
    for key in ("old", "new"):
        way.acknowledge(key, "conversation", 1)
    assert [missing.client_message_id for missing in way.leave("one", LATE_S + 1)] == ["old"]
    assert way.devices() == []


def test_nobody_waits_for_what_was_refused() -> None:
    way = OnTheirWay()
    way.send("m", 0.0, ["one"])
    way.give_up("m")
    assert way.devices() == []


def test_a_stream_that_tells_twice_or_in_another_order_is_caught() -> None:
    check = StreamCheck()
    assert check.take("c", 1, 0)
    assert check.take("c", 3, 0)
    assert check.take("c", 2, 0)
    assert not check.take("c", 2, 0)
    assert (check.doubled, check.reordered) == (1, 1)


def test_a_changed_message_is_neither_new_nor_doubled() -> None:
    check = StreamCheck()
    check.take("c", 1, 0)
    check.take("c", 2, 0)
    assert not check.take("c", 1, 1)
    assert (check.doubled, check.reordered) == (0, 0)


def test_a_stream_that_begins_afresh_may_tell_again() -> None:
    check = StreamCheck()
    check.take("c", 1, 0)
    check.begin()
    assert check.take("c", 1, 0)
    assert check.doubled == 0


def test_typing_is_timed_once_a_device_and_missed_when_the_message_is_sooner() -> None:
    typing = TypingNotices()
    typing.begin("c", "anna", 1.0, ["one", "other", "gone"])
    typing.leave("gone")
    assert typing.see("c", "anna", "one") == 1.0
    assert typing.see("c", "anna", "one") is None
    assert typing.end("c", "anna") == [1.0]
    assert not typing.is_awaited("c", "anna")


def searched(limits: dict[str, float], **options: int) -> Search:
    search = Search(first=100, most=10_000, most_runs=options.get("most_runs", 30))
    while (load := search.next_load()) is not None:
        search.add(load, {name: load <= limit for name, limit in limits.items()})
    return search


@pytest.mark.parametrize("limit", [3, 40, 99, 100, 101, 555, 1_234, 6_000])
def test_the_search_finds_the_load_that_breaks(limit: int) -> None:
    found = searched({"send": limit}).figures()["objectives"]["send"]
    assert found["broke_at"] > limit
    assert found["held_at"] <= limit
    assert found["broke_at"] / found["held_at"] <= 1.5 if limit < 10 else 1.16


def test_each_objective_has_a_limit_of_its_own_as_far_as_the_runs_go() -> None:
    figures = searched({"search": 300, "send": 700, "ring": 1e9}).figures()
    assert next(iter(figures["objectives"])) == "search"
    assert figures["objectives"]["search"]["held_at"] <= 300 < figures["objectives"]["search"]["broke_at"]
    assert figures["all_held_at"] == figures["objectives"]["search"]["held_at"]


def test_the_search_ends_where_nothing_breaks_and_after_so_many_runs() -> None:
    figures = searched({"send": 1e9}).figures()
    assert figures["objectives"]["send"] == {"held_at": 10_000, "broke_at": None}
    assert searched({"send": 1_234}, most_runs=3).figures()["runs"] == 3


def report_of(*took_ms: float, **more: Any) -> dict[str, Any]:
    figures = {
        "actions": latencies_of(*took_ms).as_dict(200.0),
        "counts": {"messages": len(took_ms)},
        "promises": {"lost": 0, "duplicated": 0, "reordered": 0},
        "cores": {"messaging": 0.4},
        "cores_used": 0.4,
        "generator_cores": {"generator": 0.2},
        "memory": {"messaging": {"first_mib": 90.0, "last_mib": 99.0, "slope_per_minute": 0.1, "grows": True}},
        "memory_rule": "slope",
        "memory_decides": True,
        "over_time": {
            "at_s": [5.0, 10.0],
            "cores": {"messaging": [0.3, 0.5]},
            "memory_mib": {"messaging": [90.0, 99.0]},
            "load": {"at_s": [1.0, 2.0], "devices": [3, 4], "in calls": [0, 0]},
        },
        "machine": {"cores": 2, "processor": "<x86>", "memory_gib": 8},
        "commit": "abc",
        "command": "python",
        "date": "2026-11-30",
        "load_average": [1.0],
        "scenario": "evening",
        "in_short": "",
        **more,
    }
    return {**figures, **reporting.judge(figures)}


def test_a_run_is_held_only_when_nothing_was_lost_no_objective_broke_and_nothing_grows() -> None:
    assert reporting.judge(report_of(*[1.0] * 200, memory_decides=False))["verdict"]["held"]
    for broken in (
        report_of(*[1.0] * 200),
        report_of(*[900.0] * 200, memory_decides=False),
        report_of(*[1.0] * 200, memory_decides=False, promises={"lost": 1}),
        report_of(*[1.0] * 200, memory_decides=False, reasons=["the edge did not come back"]),
    ):
        assert not broken["verdict"]["held"]
        assert len(broken["verdict"]["reasons"]) == 1


def test_a_late_generator_is_told() -> None:
    figures = report_of(1.0, memory_decides=False)
    figures["actions"]["generator"] = latencies_of(200.0).as_dict(200.0)["send"]
    assert "generator was late" in reporting.judge(figures)["verdict"]["notes"][0]


def test_the_page_needs_nothing_from_elsewhere_and_shows_what_is_strange_as_text() -> None:
    text = page.render(report_of(1.0, 700.0, faults=["<b>lost</b>"]))
    assert not re.search(r"(?:src|href)=|https?://|<script|@import|url\(", text)
    assert "&lt;b&gt;lost" in text
    assert "&lt;x86&gt;" in text
    assert text.count("<svg") == 5
    assert "nan" not in text.casefold()


@pytest.mark.parametrize("took_ms", [(), (0.0,), (3_600_000.0,)])
def test_the_page_can_be_drawn_of_hardly_anything(took_ms: tuple[float, ...]) -> None:
    assert "</html>" in page.render(report_of(*took_ms))


def test_two_runs_are_compared_by_figure() -> None:
    one, other = report_of(*[10.0] * 100, commit="old"), report_of(*[20.0] * 100, commit="new")
    found = {what: comparing.change(before, after) for what, before, after in comparing.rows(one, other)}
    assert found["send p99, ms"] == pytest.approx(2, rel=0.01)
    assert found["messaging, cores"] == 1
    text = comparing.text(one, other)
    assert "× 2.00 >" in text
    assert "old" in text
    assert "× 2.00" in comparing.html(one, other)


def test_a_figure_that_only_one_run_has_is_shown_without_a_change() -> None:
    other = report_of(1.0)
    other["actions"] = {}
    assert all(
        comparing.change(before, after) is None
        for what, before, after in comparing.rows(report_of(1.0), other)
        if "send" in what
    )


def test_a_row_of_results_has_machine_date_commit_and_command_beside_the_figures() -> None:
    *_, row = results.markdown([report_of(*[12.0] * 200, memory_decides=False)]).splitlines()
    for told in ("evening", "send 12", "held", "2 cores", "2026-11-30", "abc", "`python`"):
        assert told in row
    *_, row = results.markdown([report_of(1.0, headline={"watchers": 7}, reasons=["too slow"])]).splitlines()
    assert "watchers 7" in row
    assert "too slow" in row


def test_progress_says_how_much_is_left() -> None:
    said = {"phase": "steady", "at_s": 30.0, "of_s": 120.0, "devices": 7, "calls": 1, "p99_ms": {"send": 12.4}}
    assert progress.text_of(said) == f"{progress.bar(0.25)} steady, 1:30 left, 7 devices, 1 calls; p99 ms: send 12"
    assert len(progress.bar(2.0)) == len(progress.bar(-1.0))
