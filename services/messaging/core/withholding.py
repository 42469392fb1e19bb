"""What is kept from people who have not let a conversation in: what would be drawn, fetched, linked or rung by."""

from dataclasses import replace

from services.messaging.core.model import Content, Conversation, Message, Text, UserId
from services.messaging.core.request import Request


def plain(content: Content) -> Content:
    """What it says as a text alone, without links and mentions."""
    return Text(content.text) if isinstance(content, Text) else content


def withhold(message: Message) -> Message:
    """The message as it is shown in Requests: without files too."""
    return replace(message, content=plain(message.content), attachments=())


def shown_to(conversation: Conversation, user_id: UserId) -> Conversation:
    """The conversation as one of its people is shown it: in Requests without its picture."""
    member = conversation.member(user_id)
    return replace(conversation, avatar_ref="") if member and member.request is not Request.NONE else conversation
