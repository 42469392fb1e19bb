"""What a person may see of a conversation, and whether they may act in it."""

from services.messaging.kernel.errors import ConversationFrozen, MessageNotFound, NotAllowed, RequestPending
from services.messaging.kernel.model import Conversation, Message, UserId, require_member
from services.messaging.kernel.request import RequestState


def find_visible(conversation: Conversation, user: UserId, message: Message | None) -> Message:
    """The message, if the user may see it. Raises MessageNotFound."""
    member = conversation.member(user)
    if message is None or member is None or message.seq <= member.visible_after_seq:
        raise MessageNotFound
    return message


def require_let_in(conversation: Conversation | None, user: UserId) -> Conversation:
    """The conversation, if the user is in it and has let it in: nothing is fetched before. Raises ConversationNotFound,
    NotAllowed."""
    found = require_member(conversation, user)
    if is_unaccepted_by(found, user):
        raise NotAllowed
    return found


def require_open(conversation: Conversation, user: UserId) -> None:
    """Raises NotAllowed where a block stands, and to who has not let the conversation in: only writing does that.

    Raises RequestPending where nobody else has let it in: until then there are a few plain texts, and nothing beside.
    Raises ConversationFrozen where moderation lets nobody say anything.
    """
    if conversation.frozen:
        raise ConversationFrozen
    member = conversation.member(user)
    if conversation.blocked or (member and member.request is not RequestState.ACCEPTED):
        raise NotAllowed
    if conversation.is_unaccepted_by_others(user):
        raise RequestPending


def is_unaccepted_by(conversation: Conversation, user_id: UserId) -> bool:
    """Whether this member has not accepted the conversation: it waits in Requests, or was declined."""
    member = conversation.member(user_id)
    return member is not None and member.request is not RequestState.ACCEPTED
