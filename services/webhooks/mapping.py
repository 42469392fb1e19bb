"""The public events of the topics as webhooks: their types, their order, and their JSON."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, UUID, uuid5

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from parley.accounts.v1 import events_pb2 as accounts_events
from parley.calls.v1 import events_pb2 as calls_events
from parley.calls.v1 import messages_pb2 as calls
from parley.messaging.v1 import events_pb2 as messaging_events
from parley.messaging.v1 import messages_pb2 as messaging
from parley.presence.v1 import events_pb2 as presence_events

from services.runtime.kafka.bus import Incoming, PoisonRecord, require_key
from services.runtime.user_ids import is_user_id
from services.webhooks.core.model import ConversationKind, Event, OrderKey, WebhookId
from services.webhooks.ports import Erasure

MESSAGING_TOPIC = "messaging.events.v1"
CALLS_TOPIC = "calls.events.v1"
PRESENCE_TOPIC = "presence.events.v1"
ACCOUNTS_TOPIC = "accounts.events.v1"

# By the field of the event. A test holds them against the protos.
MESSAGING_TYPES: Mapping[str, str] = {
    "conversation_created": "conversation.created",
    "conversation_changed": "conversation.changed",
    "message_sent": "message.sent",
    "message_changed": "message.changed",
    "read_cursor_moved": "read_cursor.moved",
    "pair_closed": "pair.closed",
}
# By the state of the call after the change.
CALL_TYPES: Mapping[int, str] = {
    calls.CALL_STATE_RINGING: "call.ringing",
    calls.CALL_STATE_ACTIVE: "call.active",
    calls.CALL_STATE_ENDED: "call.ended",
}
PRESENCE_TYPE, ACCOUNT_TYPE = "presence.changed", "account.changed"
TYPES = (*MESSAGING_TYPES.values(), *CALL_TYPES.values(), PRESENCE_TYPE, ACCOUNT_TYPE)
# The protobuf that is `data` of a type, by the beginning of the type.
DATA: Mapping[str, type[Message]] = {
    **dict.fromkeys(MESSAGING_TYPES.values(), messaging_events.ConversationEvent),
    **dict.fromkeys(CALL_TYPES.values(), calls_events.CallEvent),
    PRESENCE_TYPE: presence_events.PresenceEvent,
    ACCOUNT_TYPE: accounts_events.AccountState,
}

# What people wrote, named and expressed. An endpoint without contents gets an event without these fields; a test says
# of every other text in the events that it is an id or chosen from a list.
CONTENTS = frozenset(
    {
        "parley.messaging.v1.TextContent.text",
        "parley.messaging.v1.TextContent.entities",
        "parley.messaging.v1.TextContent.preview",
        "parley.messaging.v1.VoiceContent.waveform",
        "parley.messaging.v1.PollContent.question",
        "parley.messaging.v1.PollContent.options",
        "parley.messaging.v1.StickerContent.url",
        "parley.messaging.v1.StickerContent.description",
        "parley.messaging.v1.StickerContent.provider_ref",
        "parley.messaging.v1.Attachment.file_name",
        "parley.messaging.v1.Reaction.emoji",
        "parley.messaging.v1.Conversation.title",
        "parley.messaging.v1.Conversation.avatar_ref",
        "parley.messaging.v1.GroupRenamed.title",
    }
)
GONE = ("unsent", "expired")
NOTHING = Erasure()


@dataclass(frozen=True)
class News:
    """A public event that was read, before it is written as JSON."""

    event: Event
    message: Message
    erasure: Erasure = NOTHING
    # Its contents are for nobody's store: they vanish.
    is_vanishing: bool = False

    def rendered(self) -> Event:
        """The event with its bodies. Raises PoisonRecord."""
        try:
            return self._rendered()
        except (json_format.Error, ValueError, OverflowError) as error:
            raise PoisonRecord(f"an event that is no JSON: {type(error).__name__}") from error

    def _rendered(self) -> Event:
        body = _body(self.event, self.message)
        bare = type(self.message)()
        bare.CopyFrom(self.message)
        if not strip(bare):
            return replace(self.event, body=body)
        bare_body = _body(self.event, bare)
        return replace(self.event, body=bare_body, body_with_contents=None if self.is_vanishing else body)


def strip(message: Message) -> bool:
    """Clear what people wrote; whether there was any."""
    found = False
    for field, value in message.ListFields():
        if field.full_name in CONTENTS:
            message.ClearField(field.name)
            found = True
        elif field.message_type and not field.message_type.GetOptions().map_entry:
            # All of them, not up to the first that had some.
            cleared = [strip(one) for one in ([value] if isinstance(value, Message) else value)]
            found = found or any(cleared)
    return found


def read(record: Incoming) -> News | None:
    """The news of a record; None for a tombstone, and for what is no public event. Raises PoisonRecord."""
    if record.value is None:
        return None
    try:
        return _READERS[record.topic](record)
    except (DecodeError, ValueError, OverflowError) as error:
        raise PoisonRecord(f"not an event of {record.topic}: {type(error).__name__}") from error


def _read_conversation(record: Incoming) -> News | None:
    event = messaging_events.ConversationEvent.FromString(record.value or b"")
    require_key(record, event.conversation_id, "conversation_id")
    name = event.WhichOneof("event")
    if name is None or name not in MESSAGING_TYPES:
        # Of a newer release.
        return None
    said = getattr(event, name).message if name in ("message_sent", "message_changed") else None
    header = Event(
        webhook_id=WebhookId(str(UUID(event.event_id))),
        type=MESSAGING_TYPES[name],
        order_key=OrderKey(f"conversation:{UUID(event.conversation_id)}"),
        time=_time(event),
        body=b"",
        conversations=_kind(event, name),
        author_id=said.sender_id if said is not None else None,
        message_id=said.message_id if said is not None else None,
        reactor_ids=tuple(_reactors(said)) if said is not None else (),
    )
    if said is None:
        return News(header, event)
    is_gone = said.WhichOneof("content") in GONE
    erasure = Erasure(message_ids=frozenset({said.message_id})) if is_gone else NOTHING
    return News(header, event, erasure, is_vanishing=said.HasField("expire_time"))


def _reactors(said: messaging.Message) -> Iterator[str]:
    reacted = [user_id for reaction in said.reactions for user_id in reaction.user_ids]
    voted = [user_id for votes in said.poll_votes for user_id in votes.user_ids]
    opened = list(said.opened_by_user_ids)
    for user_id in dict.fromkeys(reacted + voted + opened):
        # As a store takes them.
        if not is_user_id(user_id):
            raise PoisonRecord("somebody reacted, voted or opened it who is nobody")
        yield user_id


def _kind(event: messaging_events.ConversationEvent, name: str) -> ConversationKind:
    if name in ("conversation_created", "conversation_changed"):
        is_direct = getattr(event, name).conversation.kind == messaging.CONVERSATION_KIND_DIRECT
    else:
        # The event says whom its relay tells, of direct conversations alone.
        is_direct = name == "pair_closed" or bool(event.direct_user_ids)
    return ConversationKind.DIRECT if is_direct else ConversationKind.GROUP


def _read_call(record: Incoming) -> News | None:
    event = calls_events.CallEvent.FromString(record.value or b"")
    require_key(record, event.call_id, "call_id")
    call = event.call_changed.call
    # A push that signaling asks for is a request to one provider, and too late after seconds: it is no news.
    if event.WhichOneof("event") != "call_changed" or call.state not in CALL_TYPES:
        return None
    header = Event(
        webhook_id=WebhookId(str(UUID(event.event_id))),
        type=CALL_TYPES[call.state],
        order_key=OrderKey(f"call:{UUID(event.call_id)}"),
        time=_time(event),
        body=b"",
        conversations=ConversationKind.GROUP if call.group else ConversationKind.DIRECT,
    )
    return News(header, event)


def _read_presence(record: Incoming) -> News:
    event = presence_events.PresenceEvent.FromString(record.value or b"")
    require_key(record, event.user_id, "user_id")
    return News(_of_person(record, PRESENCE_TYPE, "presence", event.user_id, event), event)


def _read_account(record: Incoming) -> News:
    event = accounts_events.AccountState.FromString(record.value or b"")
    require_key(record, event.user_id, "user_id")
    is_deleted = event.HasField("delete_time")
    erasure = Erasure(author_ids=frozenset({event.user_id})) if is_deleted else NOTHING
    return News(_of_person(record, ACCOUNT_TYPE, "account", event.user_id, event), event, erasure)


def _of_person(record: Incoming, kind: str, key: str, user_id: str, event: Message) -> Event:
    """States have no id of their own: theirs is made of what they say, so that a repetition has the same."""
    if not is_user_id(user_id):
        raise PoisonRecord("it names nobody")
    said = (record.value or b"").hex()
    webhook_id = WebhookId(str(uuid5(NAMESPACE_URL, f"{record.topic}/{user_id}/{said}")))
    return Event(webhook_id, kind, OrderKey(f"{key}:{user_id}"), _time(event), b"")


def _time(event: Message) -> datetime:
    time: datetime = event.event_time.ToDatetime(UTC)  # type: ignore[attr-defined]
    return time


def _body(event: Event, message: Message) -> bytes:
    said = {
        "type": event.type,
        "timestamp": message.event_time.ToJsonString(),  # type: ignore[attr-defined]
        "data": json_format.MessageToDict(message),
    }
    return json.dumps(said, separators=(",", ":")).encode()


_READERS: Mapping[str, Callable[[Incoming], News | None]] = {
    MESSAGING_TOPIC: _read_conversation,
    CALLS_TOPIC: _read_call,
    PRESENCE_TOPIC: _read_presence,
    ACCOUNTS_TOPIC: _read_account,
}
