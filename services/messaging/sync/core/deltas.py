"""What a device is told to take in, so that it stands where the conversation stands."""

from collections.abc import Sequence

from services.messaging.kernel.model import Conversation, Cursor, Delta, Message
from services.messaging.kernel.own_state import OwnState
from services.messaging.kernel.weighing import MAX_DELTA_BYTES, fitting, weigh_message


def build_delta(
    conversation: Conversation,
    cursor: Cursor | None,
    new: Sequence[Message],
    changed: Sequence[Message],
    own: OwnState,
    limit: int,
) -> Delta:
    """A page of at most `limit` new and `limit` changed messages, from lists that hold one more when there is more.

    Fewer where they are long (MAX_DELTA_BYTES); of the newest page, which a device without a cursor gets, the older
    ones are left out.
    All of one snapshot. New messages come as they are now, so changes up to the conversation's revision are in them.
    """
    if cursor is None or cursor.seq == 0:
        newest = new[:limit]
        page = tuple(newest[len(newest) - _fitting(newest[::-1]) :])
        more_new = False
    else:
        page = tuple(new[: _fitting(new[:limit])])
        more_new = len(page) < len(new)
    changes = tuple(changed[: _fitting(changed[:limit])])
    more_changed = len(changes) < len(changed)
    seq = page[-1].seq if more_new else max(conversation.last_seq, cursor.seq if cursor else 0)
    revision = changes[-1].revision if more_changed else conversation.revision
    return Delta(conversation, page, changes, more_new or more_changed, Cursor(seq, revision), own)


def _fitting(messages: Sequence[Message]) -> int:
    return fitting((weigh_message(message) for message in messages), MAX_DELTA_BYTES)
