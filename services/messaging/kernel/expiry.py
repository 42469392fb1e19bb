"""What is left of messages whose time is over, and of those whose files are."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from services.messaging.kernel.content import Content, Expired, kind_of, withheld
from services.messaging.kernel.model import ConversationId, Message


def is_due(message: Message, now: datetime) -> bool:
    """Whether its time is over and it still says something."""
    is_over = message.expires_at is not None and message.expires_at <= now
    return is_over and kind_of(message.content).is_said


def as_of(message: Message, now: datetime) -> Message:
    """The message as it may be shown: nothing of one whose time is over, whether or not the sweeper was there."""
    return tombstone(message) if is_due(message, now) else message


def expire(messages: Sequence[Message], revisions: Mapping[ConversationId, int]) -> list[Message]:
    """The tombstones of messages, in order; each takes the next revision of its conversation after those given."""
    return _numbered([tombstone(message) for message in messages], revisions)


def release(messages: Sequence[Message], revisions: Mapping[ConversationId, int]) -> list[Message]:
    """As `expire`, the messages without their files: nothing to fetch or to draw."""
    bare = [replace(message, content=withheld(message.content), attachments=()) for message in messages]
    return _numbered(bare, revisions)


def tombstone(message: Message) -> Message:
    """What is left of a message whose time is over."""
    return emptied(message, Expired())


def emptied(message: Message, left: Content) -> Message:
    """The message with this in place of all that it said, and of what others did with it."""
    bare = replace(message, reply_to_seq=0, edited_at=None, edit_count=0, reactions=(), attachments=(), votes=())
    return replace(bare, content=left, forwarded=False, view_once=False, opened_by=())


def _numbered(messages: Sequence[Message], revisions: Mapping[ConversationId, int]) -> list[Message]:
    last = dict(revisions)
    numbered = []
    for message in messages:
        last[message.conversation_id] += 1
        numbered.append(replace(message, revision=last[message.conversation_id]))
    return numbered
