"""What is kept from people who have not let a conversation in: what would be drawn, fetched, linked or rung by."""

from dataclasses import replace

from services.messaging.kernel.content import withheld
from services.messaging.kernel.model import Conversation, Message, UserId
from services.messaging.kernel.request import Request


def withhold(message: Message) -> Message:
    """The message as it is shown in Requests: without files too."""
    return replace(message, content=withheld(message.content), attachments=())


def shown_to(conversation: Conversation, user_id: UserId) -> Conversation:
    """The conversation as one of its people is shown it: in Requests without its picture."""
    member = conversation.member(user_id)
    return replace(conversation, avatar_ref="") if member and member.request is not Request.NONE else conversation
