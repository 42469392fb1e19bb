"""Between the core's types and the protobufs of the API and the events."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from parley.gateway.v1 import messages_pb2 as gateway
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.messaging.v1 import events_pb2, messages_pb2
from parley.presence.v1 import events_pb2 as presence

from services.messaging.groups.core import Ban
from services.messaging.kernel.file_names import safe_file_name
from services.messaging.kernel.model import (
    AddAudience,
    Attachment,
    AttachmentId,
    Conversation,
    ConversationKind,
    Delta,
    Edit,
    Message,
    Role,
    UserId,
)
from services.messaging.kernel.own_state import OwnState
from services.messaging.kernel.request import Request
from services.messaging.wire.contents import put_content, text_message, withhold_in
from services.messaging.wire.values import ROLES, ROLES_BACK, to_duration
from services.messaging.wire.values import to_timestamp as to_timestamp

_KINDS = {
    ConversationKind.DIRECT: messages_pb2.CONVERSATION_KIND_DIRECT,
    ConversationKind.GROUP: messages_pb2.CONVERSATION_KIND_GROUP,
}
_REQUESTS = {
    Request.NONE: messages_pb2.REQUEST_STATE_UNSPECIFIED,
    Request.PENDING: messages_pb2.REQUEST_STATE_PENDING,
    Request.DECLINED: messages_pb2.REQUEST_STATE_DECLINED,
}
_ADD_AUDIENCES = {
    AddAudience.MEMBERS: messages_pb2.ADD_AUDIENCE_MEMBERS,
    AddAudience.ADMINS: messages_pb2.ADD_AUDIENCE_ADMINS,
}
ADD_AUDIENCES_BACK = {value: key for key, value in _ADD_AUDIENCES.items()}


def role_of(value: int) -> Role | None:
    """The role of a request; None for none or an unknown one."""
    return ROLES_BACK.get(messages_pb2.MemberRole.ValueType(value))


def conversation_message(conversation: Conversation) -> messages_pb2.Conversation:
    """The API's form of a conversation."""
    # Who is out is given a group without members, and nothing of what it is set to (groups.core.as_founded).
    is_shown_group = conversation.kind is ConversationKind.GROUP and bool(conversation.members)
    return messages_pb2.Conversation(
        conversation_id=str(conversation.id),
        kind=_KINDS[conversation.kind],
        members=[
            messages_pb2.Member(
                user_id=member.user_id,
                join_time=to_timestamp(member.joined_at),
                read_seq=member.read_seq,
                role=ROLES[member.role],
                visible_after_seq=member.visible_after_seq,
                delivered_seq=member.delivered_seq,
            )
            for member in conversation.members
        ],
        last_seq=conversation.last_seq,
        create_time=to_timestamp(conversation.created_at),
        title=conversation.title,
        avatar_ref=conversation.avatar_ref,
        history_open=conversation.history_open,
        revision=conversation.revision,
        vanish_after=to_duration(conversation.vanish_after) if conversation.vanish_after else None,
        history_start_seq=conversation.history_start_seq,
        add_audience=_ADD_AUDIENCES[conversation.add_audience]
        if is_shown_group
        else messages_pb2.ADD_AUDIENCE_UNSPECIFIED,
    )


def ban_message(ban: Ban) -> messages_pb2.Ban:
    """The API's form of a ban."""
    return messages_pb2.Ban(user_id=ban.user_id, banned_by_user_id=ban.banned_by, ban_time=to_timestamp(ban.banned_at))


def message_message(message: Message) -> messages_pb2.Message:
    """The API's form of a message."""
    encoded = messages_pb2.Message(
        message_id=str(message.id),
        conversation_id=str(message.conversation_id),
        seq=message.seq,
        sender_id=message.sender_id,
        client_message_id=message.client_message_id,
        send_time=to_timestamp(message.sent_at),
        revision=message.revision,
        edit_time=to_timestamp(message.edited_at) if message.edited_at else None,
        edit_count=message.edit_count,
        reply_to_seq=message.reply_to_seq,
        reactions=[
            messages_pb2.Reaction(emoji=reaction.emoji, user_ids=reaction.user_ids) for reaction in message.reactions
        ],
        expire_time=to_timestamp(message.expires_at) if message.expires_at else None,
        attachments=[attachment_message(attachment) for attachment in message.attachments],
    )
    put_content(encoded, message.content)
    return encoded


def attachment_message(attachment: Attachment) -> messages_pb2.Attachment:
    """The API's form of an attachment. A name that an older release kept is told as it would be kept today."""
    encoded = messages_pb2.Attachment(
        attachment_id=str(attachment.id),
        file_name=safe_file_name(attachment.file_name, attachment.content_type),
        content_type=attachment.content_type,
        size_bytes=attachment.size_bytes,
        width=attachment.width,
        height=attachment.height,
    )
    if attachment.length:
        encoded.length.FromTimedelta(attachment.length)
    return encoded


def attachment_bytes(attachments: Sequence[Attachment]) -> bytes:
    """The column of a message's attachments: a parley.messaging.v1.Message with these alone."""
    encoded = [attachment_message(attachment) for attachment in attachments]
    return messages_pb2.Message(attachments=encoded).SerializeToString()


def to_attachments(data: bytes) -> tuple[Attachment, ...]:
    """Stored attachments."""
    return tuple(
        Attachment(
            AttachmentId(UUID(each.attachment_id)),
            each.file_name,
            each.content_type,
            each.size_bytes,
            each.width,
            each.height,
            each.length.ToTimedelta(),
        )
        for each in messages_pb2.Message.FromString(data).attachments
    )


def edit_message(edit: Edit) -> messages_pb2.Edit:
    """The API's form of a former text."""
    return messages_pb2.Edit(text=text_message(edit.text), write_time=to_timestamp(edit.written_at))


def delta_message(delta: Delta) -> messages_pb2.ConversationDelta:
    """The API's form of a delta."""
    return messages_pb2.ConversationDelta(
        conversation=conversation_message(delta.conversation),
        messages=[message_message(message) for message in delta.messages],
        has_more=delta.has_more,
        changed_messages=[message_message(message) for message in delta.changed],
        cursor=messages_pb2.Cursor(
            conversation_id=str(delta.conversation.id), seq=delta.cursor.seq, revision=delta.cursor.revision
        ),
        own_state=own_state_message(delta.own),
    )


def own_state_message(state: OwnState) -> messages_pb2.OwnState:
    """The API's form of how a person keeps a conversation."""
    return messages_pb2.OwnState(
        pinned=state.pinned,
        archived=state.archived,
        marked_unread=state.marked_unread,
        mute_end_time=to_timestamp(state.muted_until) if state.muted_until else None,
        unread_count=state.unread,
        read_seq=state.read_seq,
        request=_REQUESTS[state.request],
    )


def own_state_delivery(
    user_id: UserId, conversation_id: UUID, state: OwnState, time: datetime, *, relations_changed: bool = False
) -> bytes:
    """What the person's own devices are told: nobody else is, so it needs no fan-out."""
    changed = gateway.OwnStateChanged(conversation_id=str(conversation_id), own_state=own_state_message(state))
    frame = gateway_service.SubscribeResponse(event=gateway.DeviceEvent(own_state=changed)).SerializeToString()
    return presence.Delivery(
        user_id=user_id, frame=frame, event_time=to_timestamp(time), relations_changed=relations_changed
    ).SerializeToString()


def account_gone_delivery(user_id: UserId, time: datetime) -> bytes:
    """What presence is told of a deleted account; devices read nothing of it."""
    return presence.Delivery(user_id=user_id, event_time=to_timestamp(time), user_deleted=True).SerializeToString()


# Events.


def _event(event_id: UUID, conversation_id: UUID, time: datetime) -> events_pb2.ConversationEvent:
    return events_pb2.ConversationEvent(
        event_id=str(event_id), conversation_id=str(conversation_id), event_time=to_timestamp(time)
    )


def for_people(event: bytes, user_ids: Collection[str]) -> bytes:
    """The event with whom the relay tells by itself: a protobuf takes further fields at its end."""
    return event + events_pb2.ConversationEvent(direct_user_ids=user_ids).SerializeToString()


def conversation_created(conversation: Conversation) -> bytes:
    """The event of a new conversation. Its id is the conversation's: there is one per conversation."""
    event = _event(conversation.id, conversation.id, conversation.created_at)
    event.conversation_created.conversation.CopyFrom(conversation_message(conversation))
    return event.SerializeToString()


def conversation_changed(event_id: UUID, after: Conversation, removed: tuple[UserId, ...], time: datetime) -> bytes:
    """The event of new members, roles, title or settings."""
    event = _event(event_id, after.id, time)
    event.conversation_changed.conversation.CopyFrom(conversation_message(after))
    event.conversation_changed.removed_user_ids.extend(removed)
    return event.SerializeToString()


def pair_closed(event_id: UUID, conversation_id: UUID, time: datetime) -> bytes:
    """The event of a direct conversation in which nobody may write or call any more."""
    event = _event(event_id, conversation_id, time)
    event.pair_closed.SetInParent()
    return event.SerializeToString()


def message_sent(message: Message) -> bytes:
    """The event of a new message. Its id is the message's."""
    event = _event(message.id, message.conversation_id, message.sent_at)
    event.message_sent.message.CopyFrom(message_message(message))
    return event.SerializeToString()


def message_changed(event_id: UUID, after: Message, time: datetime) -> bytes:
    """The event of an edit, a reaction, or an unsending."""
    event = _event(event_id, after.conversation_id, time)
    event.message_changed.message.CopyFrom(message_message(after))
    return event.SerializeToString()


def read_cursor_moved(
    event_id: UUID, conversation_id: UUID, user_id: str, read_seq: int, delivered_seq: int, time: datetime
) -> bytes:
    """The event of a move of what others may know; 0 for what did not move."""
    event = _event(event_id, conversation_id, time)
    event.read_cursor_moved.CopyFrom(
        events_pb2.ReadCursorMoved(
            conversation_id=str(conversation_id), user_id=user_id, read_seq=read_seq, delivered_seq=delivered_seq
        )
    )
    return event.SerializeToString()


def withheld_event(event: events_pb2.ConversationEvent) -> events_pb2.ConversationEvent:
    """The event as it is told to who has not let the conversation in: see core/withholding.py."""
    bare = events_pb2.ConversationEvent()
    bare.CopyFrom(event)
    match bare.WhichOneof("event"):
        case "message_sent":
            _withhold(bare.message_sent.message)
        case "message_changed":
            _withhold(bare.message_changed.message)
        case "conversation_created":
            bare.conversation_created.conversation.ClearField("avatar_ref")
        case "conversation_changed":
            bare.conversation_changed.conversation.ClearField("avatar_ref")
    return bare


def _withhold(message: messages_pb2.Message) -> None:
    message.ClearField("attachments")
    withhold_in(message)
    # What a newer release wrote, and this one cannot tell what to show of.
    message.DiscardUnknownFields()
