"""How messages enter a conversation: each takes the next number, once."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from services.messaging.core.errors import (
    AttachmentNotFound,
    ConversationNotFound,
    InvalidField,
    MessagingError,
    NotAMember,
)
from services.messaging.core.model import AttachmentId, ConversationId, Draft, DraftKey, Message, UserId


@dataclass(frozen=True)
class Placement:
    """What becomes of a batch of drafts: an outcome for each, in order, and the messages to insert."""

    outcomes: list[Message | MessagingError] = field(default_factory=list)
    inserted: list[Message] = field(default_factory=list)
    last_seqs: dict[ConversationId, int] = field(default_factory=dict)


def place_drafts(
    drafts: Sequence[Draft],
    last_seqs: Mapping[ConversationId, int],
    is_member: Callable[[ConversationId, UserId], bool],
    stored: Mapping[DraftKey, Message],
    free: AbstractSet[AttachmentId] = frozenset(),
) -> Placement:
    """Give each draft the next seq of its conversation, so that sequences have no gaps.

    `last_seqs` holds the conversations that exist, locked by the caller; `stored` the earlier results of the same
    keys. A repeated key, earlier or within the batch, gets the first result and takes no seq. `free` are the uploads
    that are in no message yet: each goes into one.
    """
    placement = Placement(last_seqs=dict(last_seqs))
    known = dict(stored)
    unused = set(free)
    for draft in drafts:
        if draft.conversation_id not in placement.last_seqs:
            placement.outcomes.append(ConversationNotFound())
        elif not is_member(draft.conversation_id, draft.sender_id):
            placement.outcomes.append(NotAMember())
        elif draft.key in known:
            placement.outcomes.append(known[draft.key])
        elif draft.reply_to_seq > placement.last_seqs[draft.conversation_id]:
            placement.outcomes.append(InvalidField("reply_to_seq", "there is no such message"))
        elif not unused.issuperset(attachment.id for attachment in draft.attachments):
            placement.outcomes.append(AttachmentNotFound())
        else:
            message = _at(draft, placement.last_seqs[draft.conversation_id] + 1)
            placement.last_seqs[draft.conversation_id] = message.seq
            known[draft.key] = message
            unused.difference_update(attachment.id for attachment in draft.attachments)
            placement.inserted.append(message)
            placement.outcomes.append(message)
    return placement


def _at(draft: Draft, seq: int) -> Message:
    return Message(
        id=draft.message_id,
        conversation_id=draft.conversation_id,
        seq=seq,
        sender_id=draft.sender_id,
        client_message_id=draft.client_message_id,
        sent_at=draft.sent_at,
        content=draft.content,
        reply_to_seq=draft.reply_to_seq,
        attachments=draft.attachments,
    )
