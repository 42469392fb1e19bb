"""Who is believed to be dead."""

from services.presence.core.failure_reports import MEMBERS_LIMIT, FailureReports
from services.presence.core.model import StreamId

FOUR = [StreamId(number) for number in range(4)]


def test_a_replica_is_dead_when_more_than_half_of_the_gateways_say_so_and_that_is_news_once() -> None:
    reports = FailureReports()
    assert [reports.report(stream, "member-1", FOUR) for stream in FOUR] == [False, False, True, False]


def test_one_gateway_that_is_cut_off_expels_nobody_however_often_it_says_so() -> None:
    reports = FailureReports()
    assert not any(reports.report(FOUR[0], "member-1", FOUR) for _ in range(10))


def test_the_only_gateway_is_believed() -> None:
    assert FailureReports().report(FOUR[0], "member-1", FOUR[:1])


def test_what_a_gateway_that_has_left_said_counts_no_more() -> None:
    reports = FailureReports()
    reports.report(FOUR[0], "member-1", FOUR)
    reports.report(FOUR[1], "member-1", FOUR)
    assert not reports.report(FOUR[2], "member-1", FOUR[2:])
    assert not reports.report(FOUR[0], "member-1", FOUR[2:])


def test_replicas_that_die_at_once_are_told_apart() -> None:
    reports = FailureReports()
    told = [reports.report(stream, member, FOUR) for stream in FOUR[:3] for member in ("member-1", "member-2")]
    assert told == [False, False, False, False, True, True]


def test_a_gateway_that_names_one_after_the_other_fills_no_memory_and_the_last_is_still_believed() -> None:
    reports = FailureReports()
    for number in range(10 * MEMBERS_LIMIT):
        reports.report(FOUR[0], f"nonsense-{number}", FOUR)
    assert [reports.report(stream, "member-1", FOUR) for stream in FOUR[:3]] == [False, False, True]
