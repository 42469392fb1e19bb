"""What is kept from people who have not let a conversation in: what would be drawn, fetched, linked or rung by."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from services.messaging.kernel.access import is_unaccepted_by
from services.messaging.kernel.content import withheld
from services.messaging.kernel.expiry import as_of
from services.messaging.kernel.model import Conversation, Message, UserId


def withhold(message: Message) -> Message:
    """The message as it is shown in Requests: without files too."""
    return replace(message, content=withheld(message.content), attachments=())


def shown_to(conversation: Conversation, user_id: UserId) -> Conversation:
    """The conversation as one of its people is shown it: in Requests without its picture."""
    return replace(conversation, avatar_ref="") if is_unaccepted_by(conversation, user_id) else conversation


def shown(messages: Sequence[Message], now: datetime, *, is_withheld: bool = False) -> list[Message]:
    """The messages as they are shown now: nothing of those that vanished, and in Requests without what is kept."""
    still = [as_of(message, now) for message in messages]
    return [withhold(message) for message in still] if is_withheld else still
