"""What can be forwarded, to how many, and what of it goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.messaging.kernel import checks
from services.messaging.kernel.access import find_visible, is_unaccepted_by
from services.messaging.kernel.content import Content, forwarded, kind_of
from services.messaging.kernel.errors import InvalidField, NotAllowed, NotForwardable
from services.messaging.kernel.expiry import as_of
from services.messaging.kernel.model import Attachment, Conversation, ConversationId, Message, UserId

# Of one request. Raising it lets one request write in more conversations; lowering it makes more requests of honest
# use.
MAX_TARGETS = 10


@dataclass(frozen=True)
class Target:
    """Where a copy goes, and the key of its sending."""

    conversation_id: ConversationId
    client_message_id: str


def check_targets(values: Sequence[tuple[str, str]]) -> tuple[Target, ...]:
    """(conversation, client_message_id) of each, every conversation once. Raises InvalidField."""
    if not 0 < len(values) <= MAX_TARGETS:
        raise InvalidField("targets", f"must have 1 to {MAX_TARGETS} entries")
    targets = tuple(
        Target(
            ConversationId(checks.check_uuid("targets.conversation_id", conversation_id)),
            checks.check_client_id("targets.client_message_id", client_message_id),
        )
        for conversation_id, client_message_id in values
    )
    if len({target.conversation_id for target in targets}) < len(targets):
        raise InvalidField("targets", "names a conversation twice")
    return targets


def find_forwardable(conversation: Conversation, user: UserId, message: Message | None, now: datetime) -> Message:
    """The message, if the user sees all of it and it can go on. Raises MessageNotFound, NotForwardable, and NotAllowed
    to who has not let the conversation in."""
    visible = as_of(find_visible(conversation, user, message), now)
    if is_unaccepted_by(conversation, user):
        raise NotAllowed
    if kind_of(visible.content).forward is None:
        raise NotForwardable("only what a person wrote or spoke can be forwarded")
    if visible.view_once:
        raise NotForwardable("what can be opened once cannot be forwarded")
    return visible


def copy_of(message: Message, copies: Sequence[Attachment]) -> Content:
    """What goes on of a message whose files have these copies, in order."""
    ids = {one.id: other.id for one, other in zip(message.attachments, copies, strict=True)}
    return forwarded(message.content, ids)
