"""What the devices of each person, and presence, are told: of an event of a conversation, or of one's own."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from parley.gateway.v1 import messages_pb2 as gateway
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.messaging.v1 import events_pb2
from parley.presence.v1 import events_pb2 as presence

from services.messaging import metrics
from services.messaging.kernel.model import UserId
from services.messaging.kernel.own_state import OwnState
from services.messaging.wire import topics
from services.messaging.wire.api import own_state_message
from services.messaging.wire.values import to_timestamp
from services.runtime.ids import unix_time_of
from services.runtime.kafka.bus import Headers, Outgoing

# What is handed to presence directly as well, ahead of the topic: devices bear it in any order relative to all else.
# Messages wait for each other (their place), and cursors only move forward.
_AT_ONCE = ("message_sent", "read_cursor_moved")
# For so long after somebody came into a conversation, what comes directly may not overtake what tells their devices of
# it. Raising it delays more messages of young conversations after presence has moved; lowering it lets more of them
# overtake while the topic is behind.
NEWCOMER_S = 10.0


def deliveries_at_once(record: Outgoing) -> Sequence[Outgoing]:
    """Of the deliveries that the relay publishes with a record, those that may be handed to presence now."""
    if record.topic != topics.EVENTS or record.value is None:
        return ()
    event = events_pb2.ConversationEvent.FromString(record.value)
    if not is_told_at_once(event):
        return ()
    return _deliveries(event, event.direct_user_ids, record.headers, _newcomers_of_pair(event))


def is_told_at_once(event: events_pb2.ConversationEvent) -> bool:
    """Whether the deliveries of an event may be handed to presence before the topic brings them."""
    return event.WhichOneof("event") in _AT_ONCE


def direct_deliveries(record: Outgoing) -> Sequence[Outgoing]:
    """The deliveries of an event that names whom it is for; none of other records.

    The relay publishes them together with the event: a message between two people reaches them without the hop
    through the fan-out, which leaves such events out.
    """
    if record.topic != topics.EVENTS or record.value is None:
        return ()
    event = events_pb2.ConversationEvent.FromString(record.value)
    return deliveries(event, event.direct_user_ids, record.headers, _newcomers_of_pair(event))


def is_newcomer(event: events_pb2.ConversationEvent, joined_unix_s: float) -> bool:
    """Whether somebody who came into the conversation then may not know it yet when this event comes directly."""
    return event.event_time.seconds - joined_unix_s < NEWCOMER_S


def deliveries(
    event: events_pb2.ConversationEvent, user_ids: Collection[str], headers: Headers, newcomers: Collection[str] = ()
) -> list[Outgoing]:
    """One delivery for each person; the frame inside is what their devices will read. `newcomers`: of `is_newcomer`."""
    metrics.DELIVERIES.inc(len(user_ids))
    return _deliveries(event, user_ids, headers, newcomers)


def _newcomers_of_pair(event: events_pb2.ConversationEvent) -> Collection[str]:
    """Both, while the direct conversation is new. Its id says since when it is there."""
    began = unix_time_of(UUID(event.conversation_id)) if event.direct_user_ids else None
    return event.direct_user_ids if began is not None and is_newcomer(event, began) else ()


def _deliveries(
    event: events_pb2.ConversationEvent, user_ids: Collection[str], headers: Headers, newcomers: Collection[str]
) -> list[Outgoing]:
    if not user_ids:
        return []
    frame = gateway_service.SubscribeResponse(event=_device_event(event)).SerializeToString()
    gone = set(event.conversation_changed.removed_user_ids)
    delivery_id = event.event_id if is_told_at_once(event) else ""
    return [
        Outgoing(
            topics.DELIVERY,
            user_id.encode(),
            presence.Delivery(
                user_id=user_id,
                frame=frame,
                event_time=event.event_time,
                # Whoever went may not see those whom they met here alone, nor tell them anything, and the other way.
                relations_changed=user_id in gone,
                delivery_id=delivery_id,
                place=_place(event, newcomer=user_id in newcomers),
            ).SerializeToString(),
            headers,
        )
        for user_id in user_ids
    ]


def _place(event: events_pb2.ConversationEvent, *, newcomer: bool) -> presence.Place | None:
    match event.WhichOneof("event"):
        case "message_sent":
            number = event.message_sent.message.seq
            return presence.Place(sequence=event.conversation_id, number=number, newcomer=newcomer)
        case "conversation_created":
            # The first message comes right after it.
            return presence.Place(sequence=event.conversation_id, number=0)
        case _:
            return None


def own_delivery(
    user_id: UserId, event: gateway.DeviceEvent, time: datetime, *, relations_changed: bool = False
) -> bytes:
    """What the person's own devices are told: nobody else is, so it needs no fan-out."""
    frame = gateway_service.SubscribeResponse(event=event).SerializeToString()
    return presence.Delivery(
        user_id=user_id, frame=frame, event_time=to_timestamp(time), relations_changed=relations_changed
    ).SerializeToString()


def own_state_delivery(
    user_id: UserId, conversation_id: UUID, state: OwnState, time: datetime, *, relations_changed: bool = False
) -> bytes:
    """What the person's own devices are told of how the person keeps a conversation."""
    changed = gateway.OwnStateChanged(conversation_id=str(conversation_id), own_state=own_state_message(state))
    return own_delivery(user_id, gateway.DeviceEvent(own_state=changed), time, relations_changed=relations_changed)


def account_gone_delivery(user_id: UserId, time: datetime) -> bytes:
    """What presence is told of a deleted account; devices read nothing of it."""
    return presence.Delivery(user_id=user_id, event_time=to_timestamp(time), user_deleted=True).SerializeToString()


def relations_delivery(user_id: UserId, time: datetime, *, is_own: bool) -> bytes:
    """The person's gateways ask anew whom the person may see. Devices read of it only when it was the person's doing:
    nobody learns of another's block."""
    frame = b""
    if is_own:
        event = gateway.DeviceEvent(relations=gateway.RelationsChanged())
        frame = gateway_service.SubscribeResponse(event=event).SerializeToString()
    delivery = presence.Delivery(user_id=user_id, frame=frame, event_time=to_timestamp(time), relations_changed=True)
    return delivery.SerializeToString()


def _device_event(event: events_pb2.ConversationEvent) -> gateway.DeviceEvent:
    match event.WhichOneof("event"):
        case "message_sent":
            return gateway.DeviceEvent(message=event.message_sent.message)
        case "message_changed":
            return gateway.DeviceEvent(message=event.message_changed.message)
        case "conversation_created":
            return gateway.DeviceEvent(conversation=event.conversation_created.conversation)
        case "conversation_changed":
            return gateway.DeviceEvent(conversation=event.conversation_changed.conversation)
        case _:
            moved = event.read_cursor_moved
            return gateway.DeviceEvent(
                read=gateway.ReadMoved(
                    conversation_id=moved.conversation_id,
                    user_id=moved.user_id,
                    read_seq=moved.read_seq,
                    delivered_seq=moved.delivered_seq,
                )
            )
