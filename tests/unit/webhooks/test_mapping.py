"""Public events as webhooks: every kind has a type, and what people wrote is told to nobody who did not ask for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import given
from hypothesis import strategies as st
from parley.accounts.v1 import events_pb2 as accounts_events
from parley.calls.v1 import events_pb2 as calls_events
from parley.calls.v1 import messages_pb2 as calls
from parley.messaging.v1 import events_pb2 as messaging_events
from parley.messaging.v1 import messages_pb2 as messaging
from parley.presence.v1 import events_pb2 as presence_events

from services.runtime.kafka.bus import PoisonRecord
from services.webhooks.core.model import ConversationKind
from services.webhooks.mapping import (
    CALL_TYPES,
    CALLS_TOPIC,
    CONTENTS,
    MESSAGING_TOPIC,
    MESSAGING_TYPES,
    News,
    read,
)
from tests.unit.webhooks.events import (
    CALL,
    CONVERSATION,
    WORDS,
    account_changed,
    call_changed,
    conversation_event,
    presence_changed,
    record,
    sent,
    stamp,
)

EVENTS = (
    messaging_events.ConversationEvent,
    calls_events.CallEvent,
    presence_events.PresenceEvent,
    accounts_events.AccountState,
)
# Texts and bytes that are ids, or chosen from a list, though their name does not end so.
CHOSEN = {"parley.messaging.v1.Attachment.content_type"}


def texts(descriptor: Descriptor, seen: set[str]) -> Iterator[FieldDescriptor]:
    """All fields of text or bytes that an event can hold, but for those in what is cleared whole."""
    if descriptor.full_name in seen or descriptor.full_name.startswith("google."):
        return
    seen.add(descriptor.full_name)
    for field in descriptor.fields:
        if field.full_name in CONTENTS:
            continue
        if field.message_type:
            yield from texts(field.message_type, seen)
        elif field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
            yield field


def test_every_text_in_a_public_event_is_an_id_or_counts_as_contents() -> None:
    seen: set[str] = set()
    found = [field for event in EVENTS for field in texts(event.DESCRIPTOR, seen)]
    unknown = {field.full_name for field in found if not field.name.endswith(("_id", "_ids"))} - CHOSEN
    assert not unknown, "say in CONTENTS (services/webhooks/mapping.py) or in CHOSEN here what these are"


def test_every_field_that_counts_as_contents_exists() -> None:
    for name in CONTENTS:
        assert descriptor_pool.Default().FindFieldByName(name)


def test_every_kind_of_event_of_a_conversation_and_every_state_of_a_call_has_a_type() -> None:
    kinds = messaging_events.ConversationEvent.DESCRIPTOR.oneofs_by_name["event"].fields
    assert {field.name for field in kinds} == set(MESSAGING_TYPES)
    states = set(calls.CallState.values()) - {calls.CALL_STATE_UNSPECIFIED}
    assert states == set(CALL_TYPES)


def news_of(*args: Any) -> News:
    news = read(*args)
    assert news is not None
    return news


def data_of(body: bytes | None) -> Any:
    assert body is not None
    return json.loads(body)


def test_a_message_is_told_by_its_ids_and_with_its_words_only_in_the_other_body() -> None:
    news = news_of(sent())
    event = news.rendered()
    assert (event.type, event.order_key) == ("message.sent", f"conversation:{CONVERSATION}")
    assert (event.author_id, event.conversations) == ("alice", ConversationKind.DIRECT)
    assert WORDS.encode() not in event.body
    told = data_of(event.body)
    assert (told["type"], told["timestamp"]) == ("message.sent", "2026-01-01T12:00:00Z")
    message = told["data"]["messageSent"]["message"]
    assert (message["messageId"], message["senderId"], message["text"]) == (event.message_id, "alice", {})
    assert data_of(event.body_with_contents)["data"]["messageSent"]["message"]["text"] == {"text": WORDS}


def test_a_message_that_vanishes_is_kept_without_its_words() -> None:
    came = sent()
    event = messaging_events.ConversationEvent.FromString(came.value or b"")
    event.message_sent.message.expire_time.CopyFrom(stamp())
    rendered = news_of(replace(came, value=event.SerializeToString())).rendered()
    assert rendered.body_with_contents is None
    assert WORDS.encode() not in rendered.body


def test_a_message_that_was_taken_back_is_erased() -> None:
    event = conversation_event()
    event.message_changed.message.CopyFrom(messaging.Message(message_id="m", unsent=messaging.Unsent()))
    assert news_of(record(MESSAGING_TOPIC, CONVERSATION, event)).erasure.message_ids == {"m"}
    assert not news_of(sent()).erasure


def test_a_deleted_person_is_erased() -> None:
    assert news_of(account_changed(deleted=True)).erasure.author_ids == {"alice"}
    assert not news_of(account_changed()).erasure


def test_who_reacted_voted_or_opened_it_is_known_so_that_it_can_be_erased() -> None:
    came = sent()
    event = messaging_events.ConversationEvent.FromString(came.value or b"")
    for emoji in ("👍", "❤️"):
        event.message_sent.message.reactions.add(emoji=emoji, user_ids=["bob", "carol"])
    event.message_sent.message.poll_votes.add(option_index=1, user_ids=["dave", "bob"])
    event.message_sent.message.opened_by_user_ids.extend(["bob", "erin"])
    news = news_of(replace(came, value=event.SerializeToString()))
    assert news.rendered().reactor_ids == ("bob", "carol", "dave", "erin")
    event.message_sent.message.reactions.add(emoji="👍", user_ids=["two words"])
    with pytest.raises(PoisonRecord):
        read(replace(came, value=event.SerializeToString()))


def test_a_group_is_known_by_its_kind_or_by_whom_the_event_does_not_name() -> None:
    assert news_of(sent(direct=False)).event.conversations is ConversationKind.GROUP
    event = conversation_event()
    event.conversation_created.conversation.kind = messaging.CONVERSATION_KIND_DIRECT
    event.conversation_created.conversation.title = WORDS
    news = news_of(record(MESSAGING_TOPIC, CONVERSATION, event))
    assert news.event.conversations is ConversationKind.DIRECT
    assert WORDS.encode() not in news.rendered().body


@pytest.mark.parametrize(("state", "kind"), CALL_TYPES.items())
def test_a_call_is_told_by_its_state_in_the_order_of_the_call(state: calls.CallState.ValueType, kind: str) -> None:
    event = news_of(call_changed(state, group=True)).rendered()
    assert (event.type, event.order_key) == (kind, f"call:{CALL}")
    assert event.conversations is ConversationKind.GROUP
    assert event.body_with_contents is None
    assert data_of(event.body)["data"]["callChanged"]["call"]["callId"] == CALL


def test_a_push_that_is_asked_for_is_no_news() -> None:
    event = calls_events.CallEvent(event_id=CALL, call_id=CALL, push_requested=calls_events.PushRequested())
    assert read(record(CALLS_TOPIC, CALL, event)) is None


def test_states_of_people_have_an_id_that_a_repetition_has_too() -> None:
    for make in (presence_changed, account_changed):
        first, again, other = (news_of(make(user)).event for user in ("alice", "alice", "bob"))
        assert first.webhook_id == again.webhook_id
        assert first.webhook_id != other.webhook_id
    assert news_of(presence_changed()).event.webhook_id != news_of(account_changed()).event.webhook_id


def test_a_time_within_an_event_that_is_none_is_poison() -> None:
    came = sent()
    event = messaging_events.ConversationEvent.FromString(came.value or b"")
    event.message_sent.message.send_time.seconds = 10**15
    with pytest.raises(PoisonRecord):
        news_of(replace(came, value=event.SerializeToString())).rendered()


@pytest.mark.parametrize("user_id", ["", "two words", "nul\x00"])
def test_a_state_of_what_is_no_person_is_poison(user_id: str) -> None:
    for make in (presence_changed, account_changed):
        with pytest.raises(PoisonRecord):
            news_of(make(user_id))


def test_tombstones_are_no_news() -> None:
    assert read(record("presence.events.v1", "alice", None)) is None


@pytest.mark.parametrize(
    "topic", ["messaging.events.v1", "calls.events.v1", "presence.events.v1", "accounts.events.v1"]
)
@given(value=st.binary(max_size=60))
def test_any_bytes_are_news_or_poison(topic: str, value: bytes) -> None:
    came = replace(record(topic, "", None), value=value)
    try:
        if news := read(came):
            news.rendered()
    except PoisonRecord:
        return
