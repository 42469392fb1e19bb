"""Who is told of what: one case each. The lives of devices are in test_lives.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.push.core.decision import PREVIEW_CHARS, decide, needs_facts, recheck
from services.push.core.model import (
    ConversationId,
    Facts,
    Level,
    MessageId,
    NoticeKind,
    Person,
    RequestState,
    Settings,
    Thread,
    UserId,
    call_key,
    conversation_key,
    scheduled_key,
)
from services.push.core.news import (
    CallRang,
    ConversationLeft,
    MessageChanged,
    MessageSent,
    OwnStateChanged,
    RingEnded,
    ScheduledCallTold,
    ThreadNews,
)

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
ME, BOB, EVE = UserId("me"), UserId("bob"), UserId("eve")
CONVERSATION = ConversationId("c")
PERSON = Person(ME)
THREAD = Thread(conversation_key(CONVERSATION))
NOBODY: frozenset[UserId] = frozenset()


def said(seq: int = 1, **fields: object) -> MessageSent:
    message = MessageSent(CONVERSATION, MessageId(f"m{seq}"), seq, BOB, NOW, text="hello")
    return replace(message, **fields)  # type: ignore[arg-type]


def changed(seq: int = 1, **fields: object) -> MessageChanged:
    return replace(MessageChanged(CONVERSATION, MessageId(f"m{seq}"), seq, BOB, NOW), **fields)  # type: ignore[arg-type]


def after(
    news: ThreadNews,
    thread: Thread = THREAD,
    *,
    facts: Facts | None = None,
    person: Person = PERSON,
    reactors: frozenset[UserId] = NOBODY,
    now: datetime = NOW,
) -> Thread:
    return decide(person, thread, news, reactors, facts or Facts(), now)


def kind(thread: Thread) -> NoticeKind | None:
    return thread.notice.kind if thread.notice else None


def test_a_message_is_told_with_its_words_and_counted() -> None:
    thread = after(said())
    assert thread.notice
    assert (kind(thread), thread.notice.text, thread.notice.from_user_id) == (NoticeKind.MESSAGE, "hello", BOB)
    assert (thread.badge, thread.version) == (1, 1)


@pytest.mark.parametrize(
    ("message", "facts", "expected"),
    [
        (said(mentions=frozenset({ME})), Facts(is_group=True), NoticeKind.MENTION),
        (said(mentions=frozenset({EVE})), Facts(is_group=True), NoticeKind.MESSAGE),
        (said(reply_to_seq=1), Facts(is_reply_to_own=True), NoticeKind.REPLY),
        (said(is_missed_call=True, text=""), Facts(), NoticeKind.MISSED_CALL),
        (said(), Facts(request=RequestState.PENDING), NoticeKind.REQUEST),
        (said(), Facts(request=RequestState.DECLINED), None),
        (said(), Facts(is_blocked=True), None),
        (said(), Facts(is_member=False), None),
        (said(), Facts(muted_until=NOW + timedelta(hours=1)), None),
        (said(), Facts(muted_until=NOW), NoticeKind.MESSAGE),
        (said(), Facts(read_seq=1), None),
        (said(sender_id=ME), Facts(), None),
    ],
)
def test_what_a_message_is_told_as(message: MessageSent, facts: Facts, expected: NoticeKind | None) -> None:
    assert kind(after(message, facts=facts)) is expected


@pytest.mark.parametrize(
    ("account", "own", "is_group", "mentions", "is_told"),
    [
        (Level.ALL, None, True, False, True),
        (Level.MENTIONS, None, True, False, False),
        (Level.MENTIONS, None, True, True, True),
        # Where two talk, all is meant for the other.
        (Level.MENTIONS, None, False, False, True),
        # Unless this conversation was turned down itself.
        (Level.ALL, Level.MENTIONS, False, False, False),
        (Level.NONE, None, False, True, False),
        (Level.NONE, Level.ALL, True, False, True),
        (Level.ALL, Level.NONE, True, True, False),
    ],
)
def test_levels(account: Level, own: Level | None, *, is_group: bool, mentions: bool, is_told: bool) -> None:
    settings = Settings(account, conversations={CONVERSATION: own} if own else {})
    message = said(mentions=frozenset({ME}) if mentions else NOBODY)
    thread = after(message, facts=Facts(is_group=is_group), person=Person(ME, settings))
    assert (thread.notice is not None) is is_told


def test_a_stranger_is_told_of_once_quietly_without_words_name_or_number() -> None:
    pending = Facts(request=RequestState.PENDING)
    first = after(said(1, text="buy this"), facts=pending)
    second = after(said(2, text="and this"), first, facts=pending)
    assert first.notice == second.notice
    assert first.version == second.version == 1
    assert first.notice
    assert first.notice.is_quiet
    assert (first.notice.text, first.notice.from_user_id, first.notice.title, first.notice.message_id) == ("",) * 4
    assert second.badge == 0


@pytest.mark.parametrize("request_state", [RequestState.ACCEPTED, RequestState.DECLINED])
def test_a_request_that_was_answered_somewhere_is_taken_back(request_state: RequestState) -> None:
    thread = after(said(), facts=Facts(request=RequestState.PENDING))
    answered = after(OwnStateChanged(CONVERSATION, 0, request_state, NOW), thread)
    assert answered.notice is None
    assert answered.version == 2


def test_what_is_told_again_of_before_takes_back_nothing_that_came_since() -> None:
    thread = after(said(time=NOW + timedelta(seconds=1)))
    for old in (OwnStateChanged(CONVERSATION, 0, RequestState.DECLINED, NOW), ConversationLeft(CONVERSATION, NOW)):
        assert after(old, thread) == thread


def test_what_was_read_somewhere_is_taken_back_and_what_came_later_stays() -> None:
    thread = after(said(3), after(said(2), after(said(1))))
    partly = after(OwnStateChanged(CONVERSATION, 2, RequestState.ACCEPTED, NOW), thread)
    assert (kind(partly), partly.badge, partly.version) == (NoticeKind.MESSAGE, 1, 3)
    wholly = after(OwnStateChanged(CONVERSATION, 3, RequestState.ACCEPTED, NOW), partly)
    assert (kind(wholly), wholly.badge, wholly.version) == (None, 0, 4)
    assert after(said(3), wholly) == wholly


def test_news_that_come_again_change_nothing() -> None:
    news: list[ThreadNews] = [said(1), said(2), OwnStateChanged(CONVERSATION, 1, RequestState.ACCEPTED, NOW)]
    thread = THREAD
    for one in news:
        thread = after(one, thread)
    for one in news:
        assert not needs_facts(ME, thread, one, NOBODY)
        assert after(one, thread) == thread


def test_a_message_that_was_taken_back_leaves_nothing_of_its_words() -> None:
    two = after(said(2, text="regretted"), after(said(1, text="kept")))
    one = after(changed(2, is_gone=True), two)
    assert one.notice
    assert (one.notice.text, one.notice.from_user_id, one.notice.is_quiet, one.badge) == ("", "", True, 1)
    assert after(changed(1, is_gone=True), one).notice is None


def test_an_edit_disturbs_nobody_and_is_what_is_sent_later() -> None:
    thread = after(said())
    edited = after(changed(text="hello!", is_edit=True), thread)
    assert edited.notice
    assert edited.notice.text == "hello!"
    assert edited.version == thread.version


def test_a_preview_is_cut() -> None:
    thread = after(said(text="x" * 10_000))
    assert thread.notice
    assert len(thread.notice.text) == PREVIEW_CHARS


REACTION = changed(sender_id=ME, reactors=(BOB,))


def test_a_reaction_to_mine_is_told_once_a_person() -> None:
    assert kind(after(REACTION)) is NoticeKind.REACTION
    assert after(REACTION, reactors=frozenset({BOB})).notice is None
    assert not needs_facts(ME, THREAD, REACTION, frozenset({BOB}))


@pytest.mark.parametrize(
    ("change", "facts", "person"),
    [
        (replace(REACTION, sender_id=EVE), Facts(), PERSON),
        (replace(REACTION, is_edit=True), Facts(), PERSON),
        (replace(REACTION, reactors=(ME,)), Facts(), PERSON),
        (REACTION, Facts(is_blocked=True), PERSON),
        (REACTION, Facts(muted_until=NOW + timedelta(1)), PERSON),
        (REACTION, Facts(request=RequestState.PENDING), PERSON),
        (REACTION, Facts(), Person(ME, is_attended=True)),
        (REACTION, Facts(), Person(ME, Settings(Level.MENTIONS))),
    ],
)
def test_a_reaction_that_nobody_is_told_of(change: MessageChanged, facts: Facts, person: Person) -> None:
    assert after(change, facts=facts, person=person).notice is None


def test_a_reaction_takes_no_place_of_what_was_not_read_and_goes_with_the_next_reading() -> None:
    unread = after(said(2))
    assert after(REACTION, unread) == unread
    shown = after(REACTION)
    assert shown.badge == 0
    assert after(OwnStateChanged(CONVERSATION, 5, RequestState.ACCEPTED, NOW), shown).notice is None


RANG = CallRang("call", CONVERSATION, BOB, True, NOW, NOW + timedelta(seconds=45))
CALL = Thread(call_key("call"))


def test_a_ring_comes_through_every_level_and_ends() -> None:
    rung = after(RANG, CALL, person=Person(ME, Settings(Level.NONE)))
    assert kind(rung) is NoticeKind.CALL
    ended = after(RingEnded("call", CONVERSATION, NOW + timedelta(seconds=5)), rung)
    assert ended.notice is None
    # Kafka may bring both again.
    assert after(RANG, ended) == ended


def test_a_ring_that_comes_too_late_is_none() -> None:
    assert after(RANG, CALL, now=RANG.ring_deadline).notice is None


def test_who_is_rung_again_in_the_same_call_is_told_again() -> None:
    ended = after(RingEnded("call", CONVERSATION, NOW + timedelta(seconds=5)), after(RANG, CALL))
    later = NOW + timedelta(seconds=60)
    again = replace(RANG, time=later, ring_deadline=later + timedelta(seconds=45))
    assert kind(after(again, ended, now=later)) is NoticeKind.CALL


def test_who_is_out_is_shown_nothing_any_more() -> None:
    assert after(ConversationLeft(CONVERSATION, NOW), after(said())).notice is None


@pytest.mark.parametrize(
    ("facts", "stays"),
    [
        (Facts(), True),
        (Facts(is_blocked=True), False),
        (Facts(is_member=False), False),
        (Facts(request=RequestState.DECLINED), False),
    ],
)
def test_what_stands_after_a_block(facts: Facts, *, stays: bool) -> None:
    assert (recheck(after(said()), facts).notice is not None) is stays


# Scheduled calls.

REMINDER, BEGINS = NoticeKind.CALL_REMINDER, NoticeKind.CALL_BEGINS


def scheduled(version: int, kind: NoticeKind | None = None, in_s: int = 600, **fields: object) -> ScheduledCallTold:
    start = NOW + timedelta(seconds=in_s)
    told = ScheduledCallTold(
        *("id", CONVERSATION, version, NOW, BOB, "Rehearsal", False, start, start + timedelta(minutes=30)), kind=kind
    )
    return replace(told, **fields)  # type: ignore[arg-type]


PLAN = Thread(scheduled_key("id"))


def test_a_reminder_and_the_beginning_stand_one_after_the_other_and_go_with_their_use() -> None:
    reminded = after(scheduled(2, REMINDER), PLAN, facts=Facts(is_group=True, title="Choir"))
    assert reminded.notice
    assert (kind(reminded), reminded.notice.text, reminded.notice.title) == (REMINDER, "Rehearsal", "Choir")
    assert (reminded.badge, reminded.notice.expire_time) == (0, NOW + timedelta(seconds=600))
    # What comes twice, or late, changes nothing; nor does what somebody answers.
    assert after(scheduled(2, REMINDER), reminded) is reminded
    assert kind(after(scheduled(3), reminded)) is REMINDER
    begun = after(scheduled(4, BEGINS), reminded)
    assert (kind(begun), begun.version) == (BEGINS, reminded.version + 1)
    assert kind(after(scheduled(5, is_off=True), begun)) is None
    assert after(scheduled(2, BEGINS), PLAN, now=NOW + timedelta(seconds=2400)).notice is None


def test_a_reminder_of_another_time_is_taken_back() -> None:
    reminded = after(scheduled(2, REMINDER), PLAN)
    assert kind(after(scheduled(3, in_s=1200), reminded)) is None
    assert kind(after(scheduled(3, is_off=True), reminded)) is None


@pytest.mark.parametrize(
    ("facts", "level", "is_told"),
    [
        (Facts(), Level.ALL, True),
        # It is meant for all who are there.
        (Facts(is_group=True), Level.MENTIONS, True),
        (Facts(), Level.NONE, False),
        (Facts(muted_until=NOW + timedelta(hours=1)), Level.ALL, False),
        (Facts(is_member=False), Level.ALL, False),
        (Facts(is_blocked=True), Level.ALL, False),
        (Facts(request=RequestState.PENDING), Level.ALL, False),
    ],
)
def test_who_is_told_of_a_scheduled_call(facts: Facts, level: Level, *, is_told: bool) -> None:
    person = Person(ME, Settings(level))
    news = scheduled(1, REMINDER)
    assert needs_facts(ME, PLAN, news, NOBODY)
    assert not needs_facts(ME, PLAN, scheduled(1), NOBODY)
    assert (after(news, PLAN, facts=facts, person=person).notice is not None) is is_told
