"""What a device is told to take in, so that it stands where the conversation stands."""

from collections.abc import Sequence

from services.messaging.core.model import Conversation, Cursor, Delta, Message
from services.messaging.core.own_state import OwnState


def build_delta(
    conversation: Conversation,
    cursor: Cursor | None,
    new: Sequence[Message],
    changed: Sequence[Message],
    own: OwnState,
    limit: int,
) -> Delta:
    """A page of at most `limit` new and `limit` changed messages, from lists that hold one more when there is more.

    All of one snapshot. New messages come as they are now, so changes up to the conversation's revision are in them.
    """
    page, changes = tuple(new[:limit]), tuple(changed[:limit])
    more_new, more_changed = len(new) > limit, len(changed) > limit
    seq = page[-1].seq if more_new else max(conversation.last_seq, cursor.seq if cursor else 0)
    revision = changes[-1].revision if more_changed else conversation.revision
    return Delta(conversation, page, changes, more_new or more_changed, Cursor(seq, revision), own)
