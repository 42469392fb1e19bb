"""When a record is given up whose statement is cut off, and when it is not."""

from services.runtime.kafka.suspicion import (
    CUT_OFF_ATTEMPTS,
    FIRST_PATIENCE_S,
    MAX_PATIENCE_S,
    Suspicion,
)


def given_up_after(suspicion: Suspicion, now_s: float, step_s: float) -> float:
    """Seconds until a record that is cut off each `step_s` is given up."""
    began = now_s
    while not suspicion.note_cut_off(now_s, others_pass=True):
        now_s += step_s
        assert now_s - began <= 2 * MAX_PATIENCE_S
    return now_s - began


def test_a_record_is_given_up_after_enough_attempts_over_long_enough() -> None:
    # Slow statements: the attempts count.
    assert given_up_after(Suspicion(), 1000.0, 10.0) == 10.0 * (CUT_OFF_ATTEMPTS - 1)
    # Quick ones: the time counts.
    assert given_up_after(Suspicion(), 1000.0, 0.5) == FIRST_PATIENCE_S


def test_an_outage_gives_up_nothing_however_long_it_lasts() -> None:
    suspicion = Suspicion()
    assert not any(suspicion.note_cut_off(now_s, others_pass=False) for now_s in range(0, 100_000, 10))


def test_an_outage_in_between_begins_the_count_anew() -> None:
    suspicion = Suspicion()
    for now_s in range(0, 1_000, 40):
        for attempt in range(CUT_OFF_ATTEMPTS - 1):
            assert not suspicion.note_cut_off(now_s + 10.0 * attempt, others_pass=True)
        assert not suspicion.note_cut_off(now_s + 39.0, others_pass=False)


def test_what_holds_up_all_records_costs_few_of_them() -> None:
    """A table that is locked for an hour, though the server answers other questions."""
    suspicion, now_s, lost = Suspicion(), 0.0, 0
    while now_s < 3600:
        now_s += given_up_after(suspicion, now_s, 10.0)
        lost += 1
    assert lost <= 8


def test_a_record_that_is_handled_makes_the_next_ones_waiting_short_again() -> None:
    suspicion = Suspicion()
    first = given_up_after(suspicion, 0.0, 1.0)
    assert given_up_after(suspicion, 0.0, 1.0) == 2 * first
    suspicion.note_handled()
    assert given_up_after(suspicion, 0.0, 1.0) == first


def test_waiting_is_bounded_however_many_records_are_at_fault() -> None:
    suspicion = Suspicion()
    assert max(given_up_after(suspicion, 0.0, 60.0) for _ in range(50)) == MAX_PATIENCE_S
