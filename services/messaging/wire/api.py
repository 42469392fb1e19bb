"""Between the kernel's types and the protobufs of the API that several features tell."""

from parley.messaging.v1 import messages_pb2

from services.messaging.kernel.file_names import safe_file_name
from services.messaging.kernel.model import (
    AddAudience,
    Attachment,
    Conversation,
    ConversationKind,
    Delta,
    Edit,
    Message,
)
from services.messaging.kernel.own_state import OwnState
from services.messaging.kernel.request import RequestState
from services.messaging.wire.contents import put_content, text_message
from services.messaging.wire.values import ROLES, to_duration
from services.messaging.wire.values import to_timestamp as to_timestamp

_KINDS = {
    ConversationKind.DIRECT: messages_pb2.CONVERSATION_KIND_DIRECT,
    ConversationKind.GROUP: messages_pb2.CONVERSATION_KIND_GROUP,
}
_REQUESTS = {
    RequestState.ACCEPTED: messages_pb2.REQUEST_STATE_UNSPECIFIED,
    RequestState.PENDING: messages_pb2.REQUEST_STATE_PENDING,
    RequestState.DECLINED: messages_pb2.REQUEST_STATE_DECLINED,
}
_ADD_AUDIENCES = {
    AddAudience.MEMBERS: messages_pb2.ADD_AUDIENCE_MEMBERS,
    AddAudience.ADMINS: messages_pb2.ADD_AUDIENCE_ADMINS,
}
ADD_AUDIENCES_BACK = {value: key for key, value in _ADD_AUDIENCES.items()}


def conversation_message(conversation: Conversation) -> messages_pb2.Conversation:
    """The API's form of a conversation."""
    # Former members are given a group without members and settings (groups.core.changes.redacted_group).
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
        pinned_messages=[
            messages_pb2.PinnedMessage(seq=pin.seq, pin_time=to_timestamp(pin.pinned_at)) for pin in conversation.pins
        ],
    )


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
        forwarded=message.forwarded,
        poll_votes=[
            messages_pb2.PollVotes(option_index=votes.option_index, user_ids=votes.user_ids) for votes in message.votes
        ],
        view_once=message.view_once,
        opened_by_user_ids=message.opened_by,
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
