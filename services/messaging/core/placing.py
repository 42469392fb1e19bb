"""How messages enter a conversation: each takes the next number, once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from services.messaging.core.errors import ConversationNotFound, InvalidField, MessagingError, NotAMember
from services.messaging.core.model import ConversationId, Draft, DraftKey, Message, UserId


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
    vanish_after: Mapping[ConversationId, timedelta],
) -> Placement:
    """Give each draft the next seq of its conversation, so that sequences have no gaps.

    `last_seqs` holds the conversations that exist, locked by the caller; `stored` the earlier results of the same
    keys; `vanish_after` those in which messages vanish. A repeated key, earlier or within the batch, gets the first
    result and takes no seq.
    """
    placement = Placement(last_seqs=dict(last_seqs))
    known = dict(stored)
    for draft in drafts:
        if draft.conversation_id not in placement.last_seqs:
            placement.outcomes.append(ConversationNotFound())
        elif not is_member(draft.conversation_id, draft.sender_id):
            placement.outcomes.append(NotAMember())
        elif draft.key in known:
            placement.outcomes.append(known[draft.key])
        elif draft.reply_to_seq > placement.last_seqs[draft.conversation_id]:
            placement.outcomes.append(InvalidField("reply_to_seq", "there is no such message"))
        else:
            seq = placement.last_seqs[draft.conversation_id] + 1
            message = _at(draft, seq, vanish_after.get(draft.conversation_id))
            placement.last_seqs[draft.conversation_id] = message.seq
            known[draft.key] = message
            placement.inserted.append(message)
            placement.outcomes.append(message)
    return placement


def _at(draft: Draft, seq: int, vanish_after: timedelta | None) -> Message:
    return Message(
        id=draft.message_id,
        conversation_id=draft.conversation_id,
        seq=seq,
        sender_id=draft.sender_id,
        client_message_id=draft.client_message_id,
        sent_at=draft.sent_at,
        content=draft.content,
        reply_to_seq=draft.reply_to_seq,
        expires_at=draft.sent_at + vanish_after if vanish_after else None,
    )
