"""How messages enter a conversation: each takes the next number, once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from services.messaging.core.errors import (
    ConversationNotFound,
    InvalidField,
    MessagingError,
    NotAllowed,
    NotAMember,
)
from services.messaging.core.model import CallRecord, ConversationId, Draft, DraftKey, Message, UserId
from services.messaging.core.request import Request


@dataclass(frozen=True)
class Places:
    """What is known of the conversations of a batch: those that exist."""

    last_seqs: Mapping[ConversationId, int]
    # The senders who are in them, and whether they let them in.
    senders: Mapping[tuple[ConversationId, UserId], Request]
    blocked: Collection[ConversationId] = ()
    # Rises when anything of the above but the counter changes.
    facts: Mapping[ConversationId, int] = field(default_factory=dict)
    # Whom the news of a direct conversation are for; nobody of a group's, which the fan-out looks up.
    people: Mapping[ConversationId, Sequence[UserId]] = field(default_factory=dict)


@dataclass(frozen=True)
class Placement:
    """What becomes of a batch of drafts: an outcome for each, in order, and the messages to insert."""

    outcomes: list[Message | MessagingError] = field(default_factory=list)
    inserted: list[Message] = field(default_factory=list)
    last_seqs: dict[ConversationId, int] = field(default_factory=dict)
    # Whose request it was that they wrote in: writing lets a conversation in.
    accepted: dict[tuple[ConversationId, UserId], None] = field(default_factory=dict)


def place_drafts(drafts: Sequence[Draft], places: Places, stored: Mapping[DraftKey, Message]) -> Placement:
    """Give each draft the next seq of its conversation, so that sequences have no gaps.

    `stored` holds the earlier results of the same keys. A repeated key, earlier or within the batch, gets the first
    result and takes no seq. The record of a call that took place is written whoever blocked whom meanwhile.
    """
    placement = Placement(last_seqs=dict(places.last_seqs))
    known = dict(stored)
    for draft in drafts:
        sender = (draft.conversation_id, draft.sender_id)
        is_record = isinstance(draft.content, CallRecord)
        if draft.conversation_id not in placement.last_seqs:
            placement.outcomes.append(ConversationNotFound())
        elif sender not in places.senders:
            placement.outcomes.append(NotAMember())
        elif draft.key in known:
            placement.outcomes.append(known[draft.key])
        elif draft.conversation_id in places.blocked and not is_record:
            placement.outcomes.append(NotAllowed())
        elif draft.reply_to_seq > placement.last_seqs[draft.conversation_id]:
            placement.outcomes.append(InvalidField("reply_to_seq", "there is no such message"))
        else:
            message = _at(draft, placement.last_seqs[draft.conversation_id] + 1)
            placement.last_seqs[draft.conversation_id] = message.seq
            known[draft.key] = message
            placement.inserted.append(message)
            if places.senders[sender] is not Request.NONE and not is_record:
                placement.accepted[sender] = None
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
    )
