"""Records of the topics as news."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from parley.calls.v1 import events_pb2 as calls
from parley.calls.v1 import scheduled_pb2 as scheduled
from parley.gateway.v1 import messages_pb2 as gateway
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.messaging.v1 import messages_pb2 as messaging
from parley.presence.v1 import events_pb2 as presence

from services.push.core.model import RequestState
from services.push.core.news import (
    CallRang,
    ConversationLeft,
    MessageChanged,
    MessageSent,
    News,
    OwnStateChanged,
    RelationsChanged,
    RingEnded,
    ScheduledCallTold,
    Told,
)
from services.push.mapping import read_call, read_delivery, read_presence
from services.runtime.kafka.bus import Incoming, PoisonRecord

ME, BOB = "me", "bob"
CONVERSATION, MESSAGE, CALL = (str(UUID(int=number)) for number in (1, 2, 3))
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def stamp(time: datetime = NOW) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(time)
    return made


def record(key: str, value: bytes | None, topic: str = "delivery.v1") -> Incoming:
    return Incoming(topic, 0, 0, key.encode(), value, NOW, None)


def delivery(event: gateway.DeviceEvent | None = None, **fields: Any) -> Incoming:
    frame = gateway_service.SubscribeResponse(event=event).SerializeToString() if event else b""
    value = presence.Delivery(user_id=ME, frame=frame, event_time=stamp(), **fields)
    return record(ME, value.SerializeToString())


def news_of(event: gateway.DeviceEvent) -> News | None:
    told = list(read_delivery(delivery(event)))
    assert all(one.user_id == ME for one in told)
    return told[0].news if told else None


def message(**fields: Any) -> gateway.DeviceEvent:
    said = messaging.Message(
        message_id=MESSAGE, conversation_id=CONVERSATION, seq=7, sender_id=BOB, send_time=stamp(), **fields
    )
    return gateway.DeviceEvent(message=said)


def test_a_text_with_whom_it_mentions_and_answers() -> None:
    entities = [
        messaging.TextEntity(length=3, mention_user_id=ME),
        messaging.TextEntity(offset=4, link_url="https://a"),
    ]
    event = message(text=messaging.TextContent(text="@me hello", entities=entities), reply_to_seq=5)
    news = news_of(event)
    assert isinstance(news, MessageSent)
    assert (news.conversation_id, news.message_id, news.seq, news.sender_id) == (CONVERSATION, MESSAGE, 7, BOB)
    assert (news.text, news.mentions, news.reply_to_seq, news.time) == ("@me hello", {ME}, 5, NOW)


def test_words_that_vanish_are_taken_along_nowhere() -> None:
    said = messaging.TextContent(text="soon gone")
    for event in (message(text=said, expire_time=stamp()), message(text=said, expire_time=stamp(), revision=2)):
        news = news_of(event)
        assert isinstance(news, MessageSent | MessageChanged)
        assert news.text == ""


@pytest.mark.parametrize(
    ("outcome", "is_told"),
    [
        (messaging.CALL_OUTCOME_MISSED, True),
        (messaging.CALL_OUTCOME_CANCELLED, True),
        (messaging.CALL_OUTCOME_COMPLETED, False),
        (messaging.CALL_OUTCOME_DECLINED, False),
        (messaging.CALL_OUTCOME_BUSY, False),
    ],
)
def test_of_records_of_calls_those_that_were_missed_are_news(outcome: Any, *, is_told: bool) -> None:
    news = news_of(message(call=messaging.CallContent(call_id=CALL, outcome=outcome)))
    assert isinstance(news, MessageSent) is is_told
    assert not isinstance(news, MessageSent) or news.is_missed_call


def test_what_nobody_said_is_no_news() -> None:
    system = messaging.SystemContent(member_left=messaging.MemberLeft())
    assert news_of(message(system=system)) is None
    assert news_of(gateway.DeviceEvent(typing=gateway.Typing(conversation_id=CONVERSATION, user_id=BOB))) is None
    assert list(read_delivery(record(ME, None))) == []
    assert list(read_delivery(delivery(user_deleted=True))) == []


@pytest.mark.parametrize("content", [{"unsent": messaging.Unsent()}, {"expired": messaging.Expired()}])
def test_a_message_of_which_nothing_is_left(content: dict[str, Any]) -> None:
    news = news_of(message(revision=3, **content))
    assert isinstance(news, MessageChanged)
    assert news.is_gone


def test_an_edit_is_told_from_a_reaction() -> None:
    text = messaging.TextContent(text="x")
    reactions = [
        messaging.Reaction(emoji="👍", user_ids=["ann", BOB]),
        messaging.Reaction(emoji="🎉", user_ids=["ann"]),
    ]
    edit = news_of(message(text=text, revision=3, edit_time=stamp(), reactions=reactions))
    reaction = news_of(message(text=text, revision=4, edit_time=stamp(NOW - timedelta(1)), reactions=reactions))
    assert isinstance(edit, MessageChanged)
    assert isinstance(reaction, MessageChanged)
    assert (edit.is_edit, reaction.is_edit) == (True, False)
    assert reaction.reactors == ("ann", BOB)


def test_a_vote_is_neither_an_edit_nor_a_reaction() -> None:
    poll = messaging.PollContent(question="Where?", options=["here", "there"])
    vote = news_of(message(poll=poll, revision=3, poll_votes=[messaging.PollVotes(user_ids=["ann"])]))
    assert isinstance(vote, MessageChanged)
    assert (vote.is_edit, vote.is_gone, vote.reactors) == (False, False, ())


def test_a_sticker_is_told_by_its_description_unless_it_vanishes() -> None:
    sticker = messaging.StickerContent(url="https://stickers.example/wave.webp", description="A cat waves")
    for event, text in ((message(sticker=sticker), "A cat waves"), (message(sticker=sticker, expire_time=stamp()), "")):
        news = news_of(event)
        assert isinstance(news, MessageSent)
        assert news.text == text


def test_what_the_person_did_on_another_device() -> None:
    own = messaging.OwnState(read_seq=9, request=messaging.REQUEST_STATE_PENDING)
    event = gateway.DeviceEvent(own_state=gateway.OwnStateChanged(conversation_id=CONVERSATION, own_state=own))
    news = news_of(event)
    assert news == OwnStateChanged(CONVERSATION, 9, RequestState.PENDING, NOW)  # type: ignore[arg-type]


def test_who_is_not_among_the_members_is_out() -> None:
    def conversation(*members: str) -> gateway.DeviceEvent:
        people = [messaging.Member(user_id=member) for member in members]
        return gateway.DeviceEvent(conversation=messaging.Conversation(conversation_id=CONVERSATION, members=people))

    assert news_of(conversation(ME, BOB)) is None
    assert isinstance(news_of(conversation(BOB)), ConversationLeft)


def test_a_block_is_looked_at_before_what_comes_with_it() -> None:
    own = gateway.OwnStateChanged(conversation_id=CONVERSATION, own_state=messaging.OwnState(read_seq=1))
    told = list(read_delivery(delivery(gateway.DeviceEvent(own_state=own), relations_changed=True)))
    assert [type(one.news) for one in told] == [RelationsChanged, OwnStateChanged]
    # Of another's block a device reads nothing, and the notice goes all the same.
    assert list(read_delivery(delivery(relations_changed=True))) == [Told(ME, RelationsChanged())]  # type: ignore[arg-type]


def call_event(kind: Any, users: list[str]) -> Incoming:
    event = calls.CallEvent(event_id=str(uuid4()), call_id=CALL, event_time=stamp())
    push = event.push_requested
    push.kind = kind
    push.user_ids.extend(users)
    push.call.conversation_id, push.call.caller_id, push.call.video = CONVERSATION, BOB, True
    push.call.ring_deadline_time.CopyFrom(stamp(NOW + timedelta(seconds=45)))
    return record(CALL, event.SerializeToString(), "calls.events.v1")


def test_whom_a_call_rings() -> None:
    told = read_call(call_event(calls.PUSH_KIND_RING, [ME, "ann", ME]))
    assert [one.user_id for one in told] == [ME, "ann"]
    rang = told[0].news
    assert isinstance(rang, CallRang)
    assert (rang.caller_id, rang.video, rang.ring_deadline) == (BOB, True, NOW + timedelta(seconds=45))
    ended = read_call(call_event(calls.PUSH_KIND_RING_ENDED, [ME]))
    assert isinstance(ended[0].news, RingEnded)
    assert read_call(call_event(calls.PUSH_KIND_UNSPECIFIED, [ME])) == []


def test_changes_of_calls_are_for_others() -> None:
    event = calls.CallEvent(event_id=str(uuid4()), call_id=CALL, call_changed=calls.CallChanged())
    assert read_call(record(CALL, event.SerializeToString())) == []


@pytest.mark.parametrize(
    ("state", "is_attended"),
    [
        (gateway.PRESENCE_STATE_ONLINE, True),
        (gateway.PRESENCE_STATE_AWAY, False),
        (gateway.PRESENCE_STATE_OFFLINE, False),
    ],
)
def test_who_is_at_a_device(state: Any, *, is_attended: bool) -> None:
    event = presence.PresenceEvent(user_id=ME, state=state)
    assert read_presence(record(ME, event.SerializeToString())) == (ME, is_attended)
    assert read_presence(record(ME, None)) == (ME, False)


@pytest.mark.parametrize("read", [lambda one: list(read_delivery(one)), read_call, read_presence])
@pytest.mark.parametrize("value", [b"\xff\xff", presence.Delivery(user_id="another").SerializeToString()])
def test_what_cannot_be_read_is_parked(read: Callable[[Incoming], Any], value: bytes) -> None:
    with pytest.raises(PoisonRecord):
        read(record(ME, value))


def test_an_id_that_is_none_is_parked() -> None:
    event = gateway.DeviceEvent(message=messaging.Message(conversation_id="no", text=messaging.TextContent(text="x")))
    with pytest.raises(PoisonRecord):
        list(read_delivery(delivery(event)))


SCHEDULED = "0190f000-0000-7000-8000-0000000000cc"


@pytest.mark.parametrize(
    ("state", "notice", "answer", "expected"),
    [
        (scheduled.SCHEDULED_CALL_STATE_PLANNED, scheduled.SCHEDULED_CALL_NOTICE_REMINDER, 0, ("call_reminder", False)),
        (scheduled.SCHEDULED_CALL_STATE_OPEN, scheduled.SCHEDULED_CALL_NOTICE_BEGINS, 0, ("call_begins", False)),
        (scheduled.SCHEDULED_CALL_STATE_PLANNED, 0, 0, (None, False)),
        (scheduled.SCHEDULED_CALL_STATE_PLANNED, 0, scheduled.ATTENDANCE_ANSWER_NO, (None, True)),
        (scheduled.SCHEDULED_CALL_STATE_CANCELLED, 0, 0, (None, True)),
        (scheduled.SCHEDULED_CALL_STATE_ENDED, 0, 0, (None, True)),
        # Of a newer release.
        (scheduled.SCHEDULED_CALL_STATE_PLANNED, 99, 0, (None, False)),
    ],
)
def test_a_scheduled_call(state: Any, notice: Any, answer: Any, expected: tuple[str | None, bool]) -> None:
    call = scheduled.ScheduledCall(
        scheduled_call_id=SCHEDULED,
        conversation_id=CONVERSATION,
        maker_user_id=BOB,
        title="Rehearsal",
        start_time=stamp(),
        length_s=1_800,
        state=state,
        version=3,
        answers=[scheduled.ScheduledCallAnswer(user_id=ME, answer=answer)],
    )
    news = news_of(gateway.DeviceEvent(scheduled_call=gateway.ScheduledCallChanged(scheduled_call=call, notice=notice)))
    assert isinstance(news, ScheduledCallTold)
    assert (news.kind.value if news.kind else None, news.is_off) == expected
    assert (news.thread, news.version, news.maker_id, news.title) == (f"scheduled:{SCHEDULED}", 3, BOB, "Rehearsal")
    assert (news.start_time, news.end_time) == (NOW, NOW + timedelta(minutes=30))
