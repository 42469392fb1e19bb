"""When messages go, and what is left of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.messaging.groups import core as groups
from services.messaging.groups.core import Act, GroupChange
from services.messaging.kernel.content import Expired, Line, LineKind, kind_of
from services.messaging.kernel.errors import ConversationNotFound, InvalidField
from services.messaging.kernel.model import (
    Conversation,
    ConversationId,
    ConversationKind,
    Message,
    UserId,
)
from services.messaging.messages.core.changes import require_open

LEAST_VANISH_AFTER = timedelta(minutes=5)
MOST_VANISH_AFTER = timedelta(days=365)


def check_vanish_after(length: timedelta) -> timedelta:
    """Whole seconds from 5 minutes to 1 year, or zero for never. Raises InvalidField."""
    whole = timedelta(seconds=length // timedelta(seconds=1))
    if length and not LEAST_VANISH_AFTER <= whole <= MOST_VANISH_AFTER:
        raise InvalidField("vanish_after", "must be 5 minutes to 1 year, or 0 for never")
    return whole


def set_vanishing(conversation: Conversation, actor: UserId, vanish_after: timedelta) -> GroupChange | None:
    """New messages vanish so long after their sending. Either of two people; in a group, an admin or the owner.

    None when it is so already. Raises ConversationNotFound, NotAllowed, RoleTooLow.
    """
    if conversation.member(actor) is None:
        raise ConversationNotFound
    if conversation.vanish_after == vanish_after:
        return None
    require_open(conversation, actor)
    if conversation.kind is ConversationKind.GROUP:
        groups.require(conversation, actor, Act.SET_VANISHING)
    after = replace(conversation, vanish_after=vanish_after, revision=conversation.revision + 1)
    return GroupChange(after, Line(LineKind.VANISHING_CHANGED, vanish_after=vanish_after))


def is_due(message: Message, now: datetime) -> bool:
    """Whether its time is over and it still says something."""
    is_over = message.expires_at is not None and message.expires_at <= now
    return is_over and kind_of(message.content).is_said


def as_of(message: Message, now: datetime) -> Message:
    """The message as it may be shown: nothing of one whose time is over, whether or not the sweeper was there."""
    return _tombstone(message) if is_due(message, now) else message


def bury(messages: Sequence[Message], revisions: Mapping[ConversationId, int]) -> list[Message]:
    """The tombstones of messages, in order; each takes the next revision of its conversation after those given."""
    last = dict(revisions)
    buried = []
    for message in messages:
        last[message.conversation_id] += 1
        buried.append(replace(_tombstone(message), revision=last[message.conversation_id]))
    return buried


def end_of_old(messages: Sequence[tuple[int, datetime]], cutoff: datetime) -> int | None:
    """The last seq of the messages, (seq, sent at) ascending, before the first that is to be kept. None for none."""
    last = None
    for seq, sent_at in messages:
        if sent_at >= cutoff:
            break
        last = seq
    return last


def _tombstone(message: Message) -> Message:
    return replace(
        message, content=Expired(), reply_to_seq=0, edited_at=None, edit_count=0, reactions=(), attachments=()
    )
