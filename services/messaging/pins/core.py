"""Which messages are pinned, and who decides it."""

from dataclasses import replace
from datetime import datetime

from services.messaging.groups.core import permissions
from services.messaging.groups.core.changes import GroupChange
from services.messaging.groups.core.permissions import GroupAction
from services.messaging.kernel.access import find_visible, require_open
from services.messaging.kernel.content import SystemContent, SystemKind, kind_of
from services.messaging.kernel.errors import ConversationNotFound, NotEditable, TooManyPins
from services.messaging.kernel.expiry import as_of
from services.messaging.kernel.model import Conversation, ConversationKind, Message, Pin, UserId

# Of one conversation. Raising it makes every copy of a conversation bigger, those in lists too.
MAX_PINS = 20


def pin(conversation: Conversation, message: Message | None, actor: UserId, now: datetime) -> GroupChange | None:
    """Keep the message in view of all members. None when it is so already.

    Raises ConversationNotFound, MessageNotFound, NotEditable, TooManyPins, and what `_require` raises.
    """
    if conversation.member(actor) is None:
        raise ConversationNotFound
    visible = as_of(find_visible(conversation, actor, message), now)
    if any(each.seq == visible.seq for each in conversation.pins):
        return None
    _require(conversation, actor)
    if not kind_of(visible.content).is_said:
        raise NotEditable("only what somebody said can be pinned")
    if len(conversation.pins) >= MAX_PINS:
        raise TooManyPins(f"a conversation has at most {MAX_PINS} pinned messages")
    after = replace(conversation, pins=(Pin(visible.seq, now), *conversation.pins), revision=conversation.revision + 1)
    return GroupChange(after, SystemContent(SystemKind.PINNED, seq=visible.seq))


def unpin(conversation: Conversation, seq: int, actor: UserId) -> GroupChange | None:
    """Keep it in view no longer; the message need not be one that the actor may see. None when it is not pinned.

    Raises ConversationNotFound, and what `_require` raises.
    """
    if conversation.member(actor) is None:
        raise ConversationNotFound
    left = tuple(each for each in conversation.pins if each.seq != seq)
    if left == conversation.pins:
        return None
    _require(conversation, actor)
    return GroupChange(replace(conversation, pins=left, revision=conversation.revision + 1), None)


def _require(conversation: Conversation, actor: UserId) -> None:
    """Either of two people; in a group, an admin or the owner. Raises NotAllowed, RequestPending, ConversationFrozen,
    RoleTooLow."""
    require_open(conversation, actor)
    if conversation.kind is ConversationKind.GROUP:
        permissions.require(conversation, actor, GroupAction.PIN)
