"""Which worker takes a call."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.signaling.core.placement import PlacementPolicy, WorkerTable
from tests.unit.signaling.fakes import OTHER_WORKER, START, WORKER, announcement

ONE = timedelta(seconds=1)


def table(*workers: object) -> WorkerTable:
    made = WorkerTable()
    for entry in workers:
        made.announce(entry)  # type: ignore[arg-type]
    return made


def test_the_worker_with_the_most_room_is_chosen() -> None:
    assert (
        table(announcement(WORKER, participants=50), announcement(OTHER_WORKER, participants=49)).choose(2, START)
        == OTHER_WORKER
    )
    assert (
        table(announcement(WORKER, cpu_ratio=0.2), announcement(OTHER_WORKER, cpu_ratio=0.3)).choose(2, START) == WORKER
    )


def test_the_scarcer_of_seats_and_processor_counts() -> None:
    few_seats = announcement(WORKER, participants=90, cpu_ratio=0.1)
    assert table(few_seats, announcement(OTHER_WORKER, participants=10, cpu_ratio=0.6)).choose(2, START) == OTHER_WORKER


def test_draining_full_and_hot_workers_take_nobody() -> None:
    for taken in ({"draining": True}, {"participants": 99}, {"cpu_ratio": 0.85}, {"max_participants": 0}):
        assert table(announcement(WORKER, **taken)).choose(2, START) is None


def test_a_worker_that_is_silent_for_five_seconds_is_lost() -> None:
    known = table(announcement(WORKER))
    assert known.choose(2, START + 5 * ONE) == WORKER
    assert known.choose(2, START + 5.01 * ONE) is None
    assert not known.is_live(WORKER.worker_id, START + 6 * ONE)


def test_when_none_is_heard_of_those_that_answer_take_calls() -> None:
    known = table(announcement(WORKER), announcement(OTHER_WORKER, participants=5))
    for second in (4, 8, 150, 154):
        known.note_answered(WORKER, START + second * ONE)
    assert known.choose(2, START + 4 * ONE) == WORKER
    # Far beyond the time after which one that is silent in every way is forgotten.
    assert known.choose(2, START + 155 * ONE) == WORKER
    assert not known.is_live(WORKER.worker_id, START + 155 * ONE)
    assert not known.is_steady(WORKER.worker_id, START + 155 * ONE)
    assert known.choose(2, START + 159.01 * ONE) is None


def test_one_that_answers_and_is_not_heard_of_takes_none_while_another_one_is() -> None:
    """The address may be another process's by now."""
    known = table(announcement(WORKER), announcement(OTHER_WORKER))
    known.announce(announcement(OTHER_WORKER, START + 6 * ONE, participants=50))
    known.note_answered(WORKER, START + 6 * ONE)
    assert known.choose(2, START + 6 * ONE) == OTHER_WORKER


def test_the_answer_of_an_earlier_process_counts_for_nothing() -> None:
    known = table(announcement(replace(WORKER, start_time=START)))
    known.note_answered(WORKER, START + 5 * ONE)
    assert known.choose(2, START + 6 * ONE) is None


def test_a_draining_worker_lives() -> None:
    assert table(announcement(WORKER, draining=True)).is_live(WORKER.worker_id, START)


def test_an_older_announcement_changes_nothing() -> None:
    known = table(announcement(WORKER, START, draining=True), announcement(WORKER, START - ONE))
    assert known.choose(2, START) is None


def test_a_worker_that_went_in_order_is_gone_at_once() -> None:
    known = table(announcement(WORKER))
    known.remove(WORKER.worker_id)
    assert known.choose(2, START) is None
    known.remove(WORKER.worker_id)


def test_recent_placements_count_until_they_fade() -> None:
    known = table(announcement(WORKER), announcement(OTHER_WORKER, participants=5))
    for _ in range(3):
        known.note_placement(WORKER.worker_id, 2, START)
    assert known.choose(2, START) == OTHER_WORKER
    known.announce(announcement(WORKER, START + 10 * ONE))
    known.announce(announcement(OTHER_WORKER, START + 10 * ONE, participants=5))
    assert known.choose(2, START + 10 * ONE) == WORKER


def test_recent_placements_fill_a_worker() -> None:
    known = table(announcement(WORKER, max_participants=4))
    known.note_placement(WORKER.worker_id, 2, START)
    assert known.choose(2, START) == WORKER
    known.note_placement(WORKER.worker_id, 2, START)
    assert known.choose(2, START) is None


def test_a_worker_is_steady_after_ten_seconds_without_a_gap() -> None:
    known = table()
    for second in range(0, 11, 2):
        known.announce(announcement(WORKER, START + second * ONE))
    assert not known.is_steady(WORKER.worker_id, START + 9 * ONE)
    assert known.is_steady(WORKER.worker_id, START + 10 * ONE)
    known.announce(announcement(WORKER, START + 16 * ONE))
    assert not known.is_steady(WORKER.worker_id, START + 16 * ONE)
    assert not known.is_steady(OTHER_WORKER.worker_id, START)


def test_a_replica_that_has_just_begun_finds_nobody_steady_by_announcements_from_before() -> None:
    known = WorkerTable(began=START + 9 * ONE)
    for second in range(0, 21, 2):
        known.announce(announcement(WORKER, START + second * ONE))
    assert not known.is_steady(WORKER.worker_id, START + 18 * ONE)
    assert known.is_steady(WORKER.worker_id, START + 19 * ONE)


def test_the_address_announced_last_is_the_current_one() -> None:
    moved = type(WORKER)(WORKER.worker_id, "127.0.0.1:7999")
    assert table(announcement(moved)).current(WORKER) == moved
    assert table().current(WORKER) == WORKER


def test_workers_of_our_own_region_come_first_and_others_when_those_are_full() -> None:
    known = WorkerTable(PlacementPolicy(region="north"))
    known.announce(announcement(WORKER, region="north", participants=90))
    known.announce(announcement(OTHER_WORKER, region="south"))
    assert known.choose(2, START) == WORKER
    assert known.choose(20, START) == OTHER_WORKER


def test_a_process_that_a_call_leaves_is_not_chosen_and_its_successor_is() -> None:
    known = WorkerTable()
    known.announce(announcement(WORKER))
    assert known.choose(2, START, exclude=WORKER) is None
    restarted = replace(WORKER, start_time=START)
    assert known.announce(announcement(restarted, START + timedelta(seconds=1)))
    assert known.choose(2, START + timedelta(seconds=1), exclude=WORKER) == restarted


def test_a_drain_and_another_process_are_news_and_the_rest_is_not() -> None:
    known = WorkerTable()
    assert known.announce(announcement(WORKER))
    assert not known.announce(announcement(WORKER))
    assert known.announce(announcement(WORKER, draining=True))
    assert not known.announce(announcement(WORKER, draining=True))


MINUTES_OFF = pytest.mark.parametrize("off", [-3600 * ONE, -300 * ONE, 300 * ONE, 3600 * ONE])


@MINUTES_OFF
def test_a_worker_whose_clock_is_off_is_live_as_long_as_it_is_heard(off: timedelta) -> None:
    known = WorkerTable()
    for second in range(0, 31, 2):
        now = START + second * ONE
        known.announce(announcement(WORKER, now + off), now)
        if second >= 2:
            assert known.choose(1, now) == WORKER
    assert known.is_steady(WORKER.worker_id, START + 30 * ONE)
    assert known.is_live(WORKER.worker_id, START + 35 * ONE)
    assert not known.is_live(WORKER.worker_id, START + 36 * ONE)


@MINUTES_OFF
def test_a_worker_whose_clock_is_set_while_it_runs_is_live_again_within_seconds(off: timedelta) -> None:
    known = WorkerTable()
    known.announce(announcement(WORKER, START), START)
    for second in range(2, 61, 2):
        now = START + second * ONE
        known.announce(announcement(WORKER, now + off), now)
        if second >= 8 or off > 0 * ONE:
            assert known.is_live(WORKER.worker_id, now), f"{second} s after"


def test_what_a_dead_worker_said_long_ago_does_not_make_it_live_when_it_is_read_again() -> None:
    known = WorkerTable()
    for second in range(0, 61, 2):
        known.announce(announcement(WORKER, START - 3600 * ONE + second * ONE), START)
        assert known.live(START) == []
    assert known.live(START + ONE) == []


def test_an_operators_draining_is_no_sign_of_life() -> None:
    known = WorkerTable()
    known.announce(announcement(WORKER, START + 300 * ONE), START)
    known.announce(replace(announcement(WORKER, START + 300 * ONE), draining=True))
    assert known.is_live(WORKER.worker_id, START + 5 * ONE)
    assert not known.is_live(WORKER.worker_id, START + 6 * ONE)
