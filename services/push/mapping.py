"""Records of the topics as news."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from parley.calls.v1 import events_pb2 as calls
from parley.calls.v1 import scheduled_pb2 as scheduled
from parley.gateway.v1 import messages_pb2 as gateway
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.messaging.v1 import messages_pb2 as messaging
from parley.presence.v1 import events_pb2 as presence

from services.push.core.model import ConversationId, MessageId, NoticeKind, RequestState, UserId
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
from services.runtime.kafka.bus import Incoming, PoisonRecord, require_key
from services.runtime.user_ids import is_user_id

DELIVERY_TOPIC = "delivery.v1"
CALLS_TOPIC = "calls.events.v1"
PRESENCE_TOPIC = "presence.events.v1"
ACCOUNTS_TOPIC = "accounts.events.v1"

_REQUESTS = {
    messaging.REQUEST_STATE_UNSPECIFIED: RequestState.ACCEPTED,
    messaging.REQUEST_STATE_PENDING: RequestState.PENDING,
    messaging.REQUEST_STATE_DECLINED: RequestState.DECLINED,
}
# Nobody answered, or the caller gave up before anybody could.
_MISSED = (messaging.CALL_OUTCOME_MISSED, messaging.CALL_OUTCOME_CANCELLED)
_SCHEDULED = {
    scheduled.SCHEDULED_CALL_NOTICE_REMINDER: NoticeKind.CALL_REMINDER,
    scheduled.SCHEDULED_CALL_NOTICE_BEGINS: NoticeKind.CALL_BEGINS,
}
_NOT_OVER = (scheduled.SCHEDULED_CALL_STATE_PLANNED, scheduled.SCHEDULED_CALL_STATE_OPEN)
# Fields of the oneof `content` (a test compares them with messaging's kinds). Nothing is left of what was said:
GONE = ("unsent", "expired")
# Somebody said it: whoever sleeps is told. Calls have a rule of their own.
SAID = ("text", "voice", "poll", "sticker")


def read_delivery(record: Incoming) -> Iterator[Told]:
    """What a person's devices are told, as far as it deserves a notice or takes one back. Raises PoisonRecord."""
    if record.value is None:
        return
    try:
        delivery = presence.Delivery.FromString(record.value)
        require_key(record, delivery.user_id, "user_id")
        if not is_user_id(delivery.user_id):
            raise PoisonRecord("it names nobody")
        user_id = UserId(delivery.user_id)
        event = gateway_service.SubscribeResponse.FromString(delivery.frame).event
        news = _news(user_id, event, _time(delivery.event_time))
    except (DecodeError, ValueError, OverflowError) as error:
        raise PoisonRecord(f"not a delivery: {type(error).__name__}") from error
    if delivery.relations_changed:
        # First: what comes with it was decided by what holds since.
        yield Told(user_id, RelationsChanged())
    if news is not None:
        yield Told(user_id, news)


def _news(user_id: UserId, event: gateway.DeviceEvent, time: datetime) -> News | None:
    match event.WhichOneof("event"):
        case "message":
            return _message(event.message, time)
        case "own_state":
            own = event.own_state
            request = _REQUESTS.get(own.own_state.request)
            if request is None:
                # Of a newer release.
                return None
            return OwnStateChanged(_conversation(own.conversation_id), own.own_state.read_seq, request, time)
        case "conversation":
            is_in = any(member.user_id == user_id for member in event.conversation.members)
            return None if is_in else ConversationLeft(_conversation(event.conversation.conversation_id), time)
        case "scheduled_call":
            return _scheduled(user_id, event.scheduled_call, time)
        case _:
            return None


def _message(message: messaging.Message, time: datetime) -> News | None:
    kind = message.WhichOneof("content")
    conversation_id, message_id = _conversation(message.conversation_id), MessageId(message.message_id)
    sender_id = UserId(message.sender_id)
    # What vanishes is written down nowhere.
    text = "" if message.HasField("expire_time") else message.text.text or message.sticker.description
    if message.revision:
        return MessageChanged(
            conversation_id,
            message_id,
            message.seq,
            sender_id,
            time,
            text,
            is_gone=kind in GONE,
            is_edit=message.HasField("edit_time") and _time(message.edit_time) == time,
            reactors=tuple(dict.fromkeys(UserId(one) for reaction in message.reactions for one in reaction.user_ids)),
        )
    is_missed_call = kind == "call" and message.call.outcome in _MISSED
    if kind not in SAID and not is_missed_call:
        return None
    mentions = frozenset(
        UserId(entity.mention_user_id)
        for entity in message.text.entities
        if entity.WhichOneof("entity") == "mention_user_id"
    )
    return MessageSent(
        conversation_id,
        message_id,
        message.seq,
        sender_id,
        time,
        text,
        mentions,
        message.reply_to_seq,
        is_missed_call=is_missed_call,
    )


def _scheduled(user_id: UserId, changed: gateway.ScheduledCallChanged, time: datetime) -> ScheduledCallTold:
    call = changed.scheduled_call
    start_time = _time(call.start_time)
    stays_away = any(each.user_id == user_id and each.answer == scheduled.ATTENDANCE_ANSWER_NO for each in call.answers)
    return ScheduledCallTold(
        str(UUID(call.scheduled_call_id)),
        _conversation(call.conversation_id),
        call.version,
        time,
        UserId(call.maker_user_id),
        call.title,
        call.video,
        start_time,
        start_time + timedelta(seconds=call.length_s),
        _SCHEDULED.get(changed.notice),
        is_off=call.state not in _NOT_OVER or stays_away,
    )


def read_call(record: Incoming) -> list[Told]:
    """Whom a call rings, or rings no more. Raises PoisonRecord."""
    if record.value is None:
        return []
    try:
        event = calls.CallEvent.FromString(record.value)
        require_key(record, event.call_id, "call_id")
        if event.WhichOneof("event") != "push_requested":
            return []
        push, call_id, time = event.push_requested, str(UUID(event.call_id)), _time(event.event_time)
        conversation_id = _conversation(push.call.conversation_id)
        deadline = _time(push.call.ring_deadline_time)
    except (DecodeError, ValueError, OverflowError) as error:
        raise PoisonRecord(f"not a call event: {type(error).__name__}") from error
    news: News
    if push.kind == calls.PUSH_KIND_RING:
        caller = UserId(push.call.caller_id)
        news = CallRang(call_id, conversation_id, caller, push.call.video, time, deadline)
    elif push.kind == calls.PUSH_KIND_RING_ENDED:
        news = RingEnded(call_id, conversation_id, time)
    else:
        return []
    return [Told(UserId(user_id), news) for user_id in dict.fromkeys(push.user_ids) if is_user_id(user_id)]


def read_presence(record: Incoming) -> tuple[UserId, bool]:
    """Whether somebody is at a device; whose account is gone (a tombstone) is not. Raises PoisonRecord."""
    if record.value is None:
        user_id = record.key.decode(errors="replace")
        if not is_user_id(user_id):
            raise PoisonRecord("the key names nobody")
        return UserId(user_id), False
    try:
        event = presence.PresenceEvent.FromString(record.value)
    except DecodeError as error:
        raise PoisonRecord("not a PresenceEvent") from error
    require_key(record, event.user_id, "user_id")
    if not is_user_id(event.user_id):
        raise PoisonRecord("it names nobody")
    return UserId(event.user_id), event.state == gateway.PRESENCE_STATE_ONLINE


def _conversation(value: str) -> ConversationId:
    return ConversationId(str(UUID(value)))


def _time(stamp: Timestamp) -> datetime:
    time: datetime = stamp.ToDatetime(UTC)
    return time
