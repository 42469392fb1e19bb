"""What an answer of the hook makes of what was written, when a hook is given up, and what becomes of what is held."""

from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest

from services.messaging.hooks.core import breaker
from services.messaging.hooks.core.breaker import GIVE_UP_AFTER, PAUSE_S, Breaker, BreakerState, Input
from services.messaging.hooks.core.holding import Decision, HeldState, decide, held_of
from services.messaging.hooks.core.policy import HookPolicy, WithoutAnswer
from services.messaging.hooks.core.verdicts import (
    ALL_MASKED,
    Allow,
    Mask,
    Question,
    Replace,
    Surface,
    UnfitVerdict,
    Writing,
    checked_reason,
    content_after,
)
from services.messaging.kernel.content import Content, Link, Mention, Poll, Sticker, Text, Voice
from services.messaging.kernel.errors import HeldDecided
from services.messaging.kernel.model import ConversationId, UserId

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALICE, BOB = UserId("alice"), UserId("bob")
MOST = 40
POLL = Poll("Where?", ("here", "there"))
STICKER = Sticker("https://x.example/a.gif", 1, 1, "words")


def asked(content: Content, writing: Writing = Writing.MESSAGE) -> Question:
    return Question(UUID(int=1), writing, Surface.DIRECT, ALICE, content, NOW, ConversationId(UUID(int=2)), "k")


def test_what_is_let_pass_is_stored_as_it_is() -> None:
    for content in (Text("hello", (Mention(0, 5, BOB),)), Voice(None, timedelta(seconds=1)), POLL, STICKER):
        assert content_after(asked(content), Allow(), MOST) is content


def test_another_text_takes_the_place_of_the_first() -> None:
    text = Text("see https://x.example", (Link(4, 17, "https://x.example"),))
    assert content_after(asked(Text("bad")), Replace(text), MOST) == text


@pytest.mark.parametrize(
    "text",
    [
        Text(""),
        Text("x" * (MOST + 1)),
        Text("a\x00b"),
        Text("hello", (Mention(0, 9, BOB),)),
        Text("hello", (Mention(0, 5, UserId("carol")),)),
        Text("bank.example", (Link(0, 12, "https://other.example"),)),
    ],
)
def test_a_text_that_no_sender_could_write_is_no_answer(text: Text) -> None:
    with pytest.raises(UnfitVerdict):
        content_after(asked(Text("hello", (Mention(0, 5, BOB),))), Replace(text), MOST)


def test_whom_the_sender_mentioned_the_new_text_may_mention() -> None:
    text = Text("dear bob", (Mention(5, 3, BOB),))
    assert content_after(asked(Text("bob", (Mention(0, 3, BOB),))), Replace(text), MOST) == text


def test_what_is_no_text_is_neither_replaced_nor_masked() -> None:
    for verdict in (Replace(Text("words")), Mask(), Mask([(0, 1)])):
        for content in (Voice(None, timedelta(seconds=1)), POLL, STICKER):
            with pytest.raises(UnfitVerdict):
                content_after(asked(content), verdict, MOST)


def test_stars_hide_parts_and_take_links_and_mentions_along_that_they_touch() -> None:
    text = Text("you 🐷 go to bob", (Mention(4, 1, BOB), Mention(12, 3, BOB)))
    assert content_after(asked(text), Mask([(3, 4)]), MOST) == Text(
        "you****o to bob", (Mention(12, 3, BOB),), masked=True
    )
    assert content_after(asked(text), Mask([(0, 2), (1, 2)]), MOST) == Text(
        "*** 🐷 go to bob", text.entities, masked=True
    )


def test_without_parts_all_of_it_is_hidden_and_how_long_it_was() -> None:
    assert content_after(asked(Text("x" * 30)), Mask(), MOST) == Text(ALL_MASKED, masked=True)


@pytest.mark.parametrize("span", [(-1, 2), (0, 0), (4, 2), (0, -1), (2**31 - 1, 2**31 - 1)])
def test_a_part_that_is_not_in_the_text_is_no_answer(span: tuple[int, int]) -> None:
    with pytest.raises(UnfitVerdict):
        content_after(asked(Text("hello")), Mask([span]), MOST)


def test_a_new_title_is_a_title() -> None:
    title = asked(Text("Bad"), Writing.GROUP_TITLE)
    assert content_after(title, Replace(Text("Good")), MOST) == Text("Good")
    for text in ("two\nlines", "", "x" * 101):
        with pytest.raises(UnfitVerdict):
            content_after(title, Replace(Text(text)), 1_000)


@pytest.mark.parametrize("value", ["spam", "A B", "A" * 65, "Ä", "A\n", "<B>"])
def test_a_word_that_is_none_is_left_out(value: str) -> None:
    assert checked_reason(value) == ""
    assert checked_reason("HATE_SPEECH_2") == "HATE_SPEECH_2"


def test_strangers_are_refused_without_an_answer_and_others_pass_unless_it_is_said() -> None:
    policy = HookPolicy(servers=False)
    assert policy.of(Surface.REQUEST, by_server=False) is WithoutAnswer.CLOSED
    assert {policy.of(surface, by_server=False) for surface in (Surface.DIRECT, Surface.GROUP)} == {WithoutAnswer.OPEN}
    assert policy.of(Surface.REQUEST, by_server=True) is WithoutAnswer.UNASKED


# The breaker.


def fed(start: Breaker, *happened: tuple[Input, str], now: float = 0.0) -> Breaker:
    for each, sender in happened:
        start = breaker.step(start, each, now, sender)
    return start


def failed(*senders: str) -> list[tuple[Input, str]]:
    return [(Input.UNANSWERED, sender) for sender in senders]


MANY = [f"user-{number}" for number in range(GIVE_UP_AFTER)]


def test_the_table_of_the_breaker_is_total() -> None:
    for state, happened in product(BreakerState, Input):
        breaker.step(Breaker(state), happened, 0.0, "alice")


def test_a_hook_that_answers_nobody_is_given_up_and_tried_again_by_one() -> None:
    given_up = fed(Breaker(), *failed(*MANY))
    assert given_up.state is BreakerState.OPEN
    assert not breaker.may_ask(given_up, PAUSE_S - 0.1)
    assert breaker.may_ask(given_up, PAUSE_S)
    trying = fed(given_up, (Input.WANTED, "alice"), now=PAUSE_S)
    assert not breaker.may_ask(trying, PAUSE_S)
    assert fed(trying, (Input.ANSWERED, "alice")) == Breaker()
    again = fed(trying, *failed("alice"), now=PAUSE_S)
    assert (again.state, again.retry_at) == (BreakerState.OPEN, 2 * PAUSE_S)
    # Who went away before there was an answer leaves the try to the next one.
    assert breaker.may_ask(fed(trying, (Input.LEFT, "alice"), now=PAUSE_S), PAUSE_S)


def test_an_answer_in_between_begins_the_count_anew() -> None:
    assert not fed(Breaker(), *failed(*MANY[1:]), (Input.ANSWERED, "bob"), *failed(*MANY[1:])).is_giving_up


def test_one_sender_whose_messages_the_hook_chokes_on_does_not_make_it_be_given_up() -> None:
    assert not fed(Breaker(), *failed(*["mallory"] * 100)).is_giving_up


# What is held.


def test_the_table_of_decisions_is_total() -> None:
    for state, decision in product(HeldState, Decision):
        try:
            decide(state, decision)
        except HeldDecided:
            continue


def test_what_was_refused_is_not_released_and_the_other_way() -> None:
    refused = decide(HeldState.WAITING, Decision.REFUSE)
    with pytest.raises(HeldDecided):
        decide(refused, Decision.RELEASE)
    releasing = decide(HeldState.WAITING, Decision.RELEASE)
    for state in (releasing, decide(releasing, Decision.SENT)):
        with pytest.raises(HeldDecided):
            decide(state, Decision.REFUSE)


def test_a_title_cannot_be_held() -> None:
    assert held_of(asked(Text("Title"), Writing.GROUP_TITLE), "") is None
    held = held_of(asked(Text("hello")), "SPAM")
    assert held is not None
    assert (held.content, held.hook_reason, held.state, held.key.sender_id) == (
        Text("hello"),
        "SPAM",
        HeldState.WAITING,
        ALICE,
    )
