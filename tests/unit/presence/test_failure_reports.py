"""Who is believed to be dead."""

from services.presence.core.failure_reports import MEMBERS_LIMIT, Deaths
from services.presence.core.model import LinkId

FOUR = [LinkId(number) for number in range(4)]


def test_a_replica_is_dead_when_more_than_half_of_the_gateways_say_so_and_that_is_news_once() -> None:
    deaths = Deaths()
    assert [deaths.say(link, "member-1", FOUR) for link in FOUR] == [False, False, True, False]


def test_one_gateway_that_is_cut_off_expels_nobody_however_often_it_says_so() -> None:
    deaths = Deaths()
    assert not any(deaths.say(FOUR[0], "member-1", FOUR) for _ in range(10))


def test_the_only_gateway_is_believed() -> None:
    assert Deaths().say(FOUR[0], "member-1", FOUR[:1])


def test_what_a_gateway_that_has_left_said_counts_no_more() -> None:
    deaths = Deaths()
    deaths.say(FOUR[0], "member-1", FOUR)
    deaths.say(FOUR[1], "member-1", FOUR)
    assert not deaths.say(FOUR[2], "member-1", FOUR[2:])
    assert not deaths.say(FOUR[0], "member-1", FOUR[2:])


def test_replicas_that_die_at_once_are_told_apart() -> None:
    deaths = Deaths()
    told = [deaths.say(link, member, FOUR) for link in FOUR[:3] for member in ("member-1", "member-2")]
    assert told == [False, False, False, False, True, True]


def test_a_gateway_that_names_one_after_the_other_fills_no_memory_and_the_last_is_still_believed() -> None:
    deaths = Deaths()
    for number in range(10 * MEMBERS_LIMIT):
        deaths.say(FOUR[0], f"nonsense-{number}", FOUR)
    assert [deaths.say(link, "member-1", FOUR) for link in FOUR[:3]] == [False, False, True]
