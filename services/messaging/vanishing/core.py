"""When messages go."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.messaging.groups.core import permissions
from services.messaging.groups.core.changes import GroupChange
from services.messaging.groups.core.permissions import GroupAction
from services.messaging.kernel.access import require_open
from services.messaging.kernel.content import SystemContent, SystemKind
from services.messaging.kernel.errors import ConversationNotFound, InvalidField
from services.messaging.kernel.model import (
    Conversation,
    ConversationKind,
    UserId,
)

MIN_VANISH_AFTER = timedelta(minutes=5)
MAX_VANISH_AFTER = timedelta(days=365)


def check_vanish_after(length: timedelta) -> timedelta:
    """Whole seconds from 5 minutes to 1 year, or zero for never. Raises InvalidField."""
    whole = timedelta(seconds=length // timedelta(seconds=1))
    if length and not MIN_VANISH_AFTER <= whole <= MAX_VANISH_AFTER:
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
        permissions.require(conversation, actor, GroupAction.SET_VANISHING)
    after = replace(conversation, vanish_after=vanish_after, revision=conversation.revision + 1)
    return GroupChange(after, SystemContent(SystemKind.VANISHING_CHANGED, vanish_after=vanish_after))


def end_of_old(messages: Sequence[tuple[int, datetime]], cutoff: datetime) -> int | None:
    """The last seq of the messages, (seq, sent at) ascending, before the first that is to be kept. None for none."""
    last = None
    for seq, sent_at in messages:
        if sent_at >= cutoff:
            break
        last = seq
    return last
