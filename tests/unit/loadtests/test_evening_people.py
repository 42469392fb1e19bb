import itertools
import random
import statistics
from pathlib import Path

import pytest

from loadtests.evening.habits import HABITS, Habits
from loadtests.evening.laws import Exponential, Fixed, Geometric, Law, Lognormal, Share, Zipf
from loadtests.evening.people import TYPING_EVERY_S, People
from loadtests.evening.schedule import Action, Kind, Schedule
from loadtests.evening.town import Town, draw_town

DOCS = Path(__file__).parents[3] / "docs" / "benchmarks" / "evening.md"


def town_of(people: int, seed: int = 1) -> Town:
    return draw_town(people, random.Random(seed), HABITS)


def people_of(count: int, seed: int = 1, pace: float = 1.0) -> People:
    return People(town_of(count, seed), random.Random(seed), pace)


@pytest.mark.parametrize(
    "law",
    [Exponential(5), Lognormal(40, 0.8), Geometric(3), Geometric(1), Zipf(1.7, 3, 256), Share(0.2), Fixed(2)],
    ids=str,
)
def test_what_is_drawn_has_the_mean_that_the_law_says(law: Law) -> None:
    chance = random.Random(1)
    drawn = [law.draw(chance) for _ in range(20_000)]
    assert statistics.fmean(drawn) == pytest.approx(law.mean, rel=0.06)


def test_half_of_a_lognormal_is_below_its_median_and_nothing_above_its_cut() -> None:
    chance = random.Random(1)
    drawn = [Lognormal(40, 1.5, 300).draw(chance) for _ in range(10_000)]
    assert statistics.median(drawn) == pytest.approx(40, rel=0.1)
    assert max(drawn) == 300


def test_a_call_that_somebody_walks_into_is_longer_than_others_and_half_over() -> None:
    chance = random.Random(1)
    law = Lognormal(100, 0.5)
    left = [law.draw_left(chance) for _ in range(20_000)]
    # By renewal theory: E[L²] / (2 E[L]).
    assert statistics.fmean(left) == pytest.approx(law.mean * 2.718281828 ** (0.5**2) / 2, rel=0.05)


def test_each_habit_names_its_source_and_stands_in_the_documentation() -> None:
    text = " ".join(DOCS.read_text().split())
    for what, law, source in HABITS.table():
        assert source
        assert f"| {what} | {law} | {source} |" in text


def test_everybody_knows_somebody_and_nobody_themselves() -> None:
    town = town_of(200)
    assert all(town.contacts(person) for person in range(200))
    for place in town.places:
        assert len(set(place.members)) == len(place.members) >= 2
        assert place.is_group or len(place.members) == 2
    assert all(person in town.places[place].members for person in range(200) for place in town.places_of[person])


def test_no_pair_has_two_conversations() -> None:
    pairs = [frozenset(place.members) for place in town_of(200).places if not place.is_group]
    assert len(pairs) == len(set(pairs))


def test_groups_are_mostly_small_and_some_are_large() -> None:
    sizes = sorted(len(place.members) for place in town_of(2_000).places if place.is_group)
    assert sizes[len(sizes) // 2] <= 10
    assert sizes[-1] > 100


@pytest.mark.parametrize("people", [2, 3, 20])
def test_a_small_town_is_a_town(people: int) -> None:
    assert all(town_of(people).places_of)


def test_a_seed_gives_the_same_evening_again() -> None:
    assert town_of(50, 7) == town_of(50, 7)
    assert people_of(50, 7).session(0.0, 3) == people_of(50, 7).session(0.0, 3)


def test_the_favourite_is_chosen_most() -> None:
    town, chance = town_of(200), random.Random(1)
    person = max(range(200), key=lambda one: len(town.places_of[one]))
    chosen = [town.choose(person, chance, HABITS) for _ in range(5_000)]
    first, *_, last = town.places_of[person]
    assert chosen.count(first) > 2 * chosen.count(last)


def test_a_session_ends_and_all_that_is_done_in_it_lies_in_it() -> None:
    people = people_of(50)
    for person in range(50):
        *doings, close = people.session(100.0, person)
        assert close.kind is Kind.CLOSE
        assert all(100.0 <= action.due_s < close.due_s for action in doings)
        assert all(action.person == person for action in doings)


def test_who_writes_types_before_and_says_so_each_few_seconds() -> None:
    people = people_of(50)
    written = [people.session(0.0, person % 50) for person in range(400)]
    texts = 0
    for actions in written:
        for before, after in itertools.pairwise(actions):
            if before.kind is Kind.TYPE and after.kind in (Kind.TYPE, Kind.SEND):
                assert before.place == after.place
                assert 0 < after.due_s - before.due_s <= TYPING_EVERY_S + 1e-6
            if after.kind is Kind.SEND:
                assert before.kind is Kind.TYPE
                texts += 1
    assert texts > 100


def test_people_write_about_as_often_as_the_table_says() -> None:
    people = people_of(100)
    sends = [action for n in range(4_000) for action in people.session(0.0, n % 100) if action.kind is Kind.SEND]
    whole = HABITS.writes.law.mean * HABITS.bursts.law.mean * HABITS.burst.law.mean
    # Sessions end before all is written that was begun.
    assert 0.4 * whole < len(sends) / 4_000 < whole


def test_as_many_are_there_at_first_as_at_any_time() -> None:
    people = people_of(4_000)
    at_first = [action for action in people.first_sessions(0.0, 1.0) if action.due_s <= 1.0]
    session_s, gap_s = HABITS.session.law.mean, HABITS.session_gap.law.mean
    assert len(at_first) / 4_000 == pytest.approx(session_s / (session_s + gap_s), rel=0.25)


def test_the_pace_makes_sessions_and_calls_more_frequent() -> None:
    usual, fast = people_of(500), people_of(500, pace=10)
    for draw in (lambda people: people.session_gap_s(), lambda people: people.next_call(0.0, 1).due_s):
        means = [statistics.fmean(draw(people) for _ in range(2_000)) for people in (usual, fast)]
        assert means[0] / means[1] == pytest.approx(10, rel=0.15)


def test_calls_are_under_way_when_the_evening_begins() -> None:
    people = people_of(1_000, pace=20)
    begun = [action for action in people.first_calls(0.0, 60.0) if action.due_s <= 60.0]
    assert len(begun) > 10
    assert all(action.kind is Kind.CALL and action.call_s > 0 for action in begun)


def test_who_does_not_answer_at_once_does_not_answer_at_all() -> None:
    people = people_of(20)
    replies = [people.reply(10.0, 1, 0, 100) for _ in range(1_000)]
    answered = [actions for actions in replies if actions]
    assert len(answered) / 1_000 == pytest.approx(HABITS.reply.law.mean, abs=0.05)
    assert all(actions[-1].kind is Kind.SEND for actions in answered)
    # Nobody answers before having read.
    assert all(actions[0].due_s > 10.0 + people.reading_s(100) for actions in answered)


def test_the_table_can_be_changed_by_row() -> None:
    quiet = Habits(writes=HABITS.writes.__class__("nobody writes", "", Share(0.0)))
    people = People(town_of(20), random.Random(1), 1.0, quiet)
    assert not [action for n in range(200) for action in people.session(0.0, n % 20) if action.kind is Kind.SEND]


def test_the_schedule_gives_what_is_due_in_order_and_nothing_else() -> None:
    schedule = Schedule()
    assert schedule.next_due_s is None
    schedule.add(
        Action(3.0, Kind.READ, 1), Action(1.0, Kind.OPEN, 1), Action(3.0, Kind.SEND, 2), Action(9.0, Kind.CLOSE, 1)
    )
    assert schedule.next_due_s == 1.0
    assert [action.kind for action in schedule.take_due(3.0)] == [Kind.OPEN, Kind.READ, Kind.SEND]
    assert schedule.take_due(3.0) == []
    assert len(schedule) == 1
