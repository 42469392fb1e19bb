"""How messages get their numbers: each takes the next one of its conversation, once."""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.messaging.kernel.content import address_of, kind_of, withheld
from services.messaging.kernel.errors import (
    AttachmentNotFound,
    ConversationFrozen,
    ConversationNotFound,
    InvalidField,
    MessagingError,
    NotAllowed,
    PlaceChanged,
    RequestPending,
    RequestPendingLimit,
)
from services.messaging.kernel.model import (
    AttachmentId,
    ConversationId,
    Draft,
    DraftKey,
    Message,
    UserId,
)
from services.messaging.kernel.request import REQUEST_MESSAGES, RequestState

# How far the times of two replicas may be apart: of StoreClock, half a round trip to the database and a quartz. Raising
# it lets one wrong clock set the time of what follows its message by more; lowering it lets times go back sooner.
MAX_CLOCK_SPREAD = timedelta(seconds=2)


@dataclass(frozen=True)
class ConversationStates:
    """What numbering a batch of drafts looks at, of the conversations that exist."""

    last_seqs: Mapping[ConversationId, int]
    # The senders who are members, and whether they accepted the conversation.
    senders: Mapping[tuple[ConversationId, UserId], RequestState]
    blocked: Collection[ConversationId] = ()
    # Where moderation lets nobody say anything.
    frozen: Collection[ConversationId] = ()
    # Where messages vanish, and after what time.
    vanish_after: Mapping[ConversationId, timedelta] = field(default_factory=dict)
    # The column `facts`: rises when anything of the above but the counter changes.
    versions: Mapping[ConversationId, int] = field(default_factory=dict)
    # Whom the events of a direct conversation are for; empty for a group, whose members the fan-out looks up.
    direct_recipients: Mapping[ConversationId, Sequence[UserId]] = field(default_factory=dict)
    # Of the uploads that the drafts name, those that are in no message yet: each goes into one.
    unused: AbstractSet[AttachmentId] = frozenset()
    # Senders whose conversation no other member has accepted (yet): what they may send changes when that changes.
    unaccepted: AbstractSet[tuple[ConversationId, UserId]] = frozenset()
    # Those of them where another member's request is pending or declined, and how many messages they have sent there,
    # whatever became of these.
    sent_in_request: Mapping[tuple[ConversationId, UserId], int] = field(default_factory=dict)
    # Senders of whom a new message was held for a review, whatever became of it.
    held: AbstractSet[tuple[ConversationId, UserId]] = frozenset()
    # When the last message was sent, or the conversation was made.
    last_times: Mapping[ConversationId, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class Sequenced:
    """What becomes of a batch of drafts: an outcome for each, in order, and the messages to insert."""

    outcomes: list[Message | MessagingError] = field(default_factory=list)
    inserted: list[Message] = field(default_factory=list)
    last_seqs: dict[ConversationId, int] = field(default_factory=dict)
    last_times: dict[ConversationId, datetime] = field(default_factory=dict)
    # Who wrote in a conversation that was a request to them: writing accepts it.
    accepted: dict[tuple[ConversationId, UserId], None] = field(default_factory=dict)


def sequence_drafts(
    drafts: Sequence[Draft],
    states: ConversationStates,
    stored: Mapping[DraftKey, Message],
    request_messages: int = REQUEST_MESSAGES,
) -> Sequenced:
    """Give each draft the next seq of its conversation, so that sequences have no gaps, and no time before the last's.

    `stored` holds the earlier results of the same keys. A repeated key, earlier or within the batch, gets the first
    result and takes no seq, whatever else holds by now: who was removed, a block, files that went. The record of a call
    that took place is written whoever left or blocked whom meanwhile. Nothing at all is written where moderation has
    frozen a conversation. Where nobody else has let the conversation in, a sender gets `request_messages` in, plain:
    without files, stickers, links, mentions and previews. What was judged as of another version of the conversation is
    PlaceChanged.
    """
    batch = _Batch(states, stored, request_messages)
    for draft in drafts:
        batch.sequenced.outcomes.append(batch.take(draft))
    return batch.sequenced


class _Batch:
    """What the drafts so far have made of their conversations."""

    def __init__(self, states: ConversationStates, stored: Mapping[DraftKey, Message], request_messages: int) -> None:
        self.sequenced = Sequenced(last_seqs=dict(states.last_seqs), last_times=dict(states.last_times))
        self._states = states
        self._request_messages = request_messages
        self._known = dict(stored)
        self._unused = set(states.unused)
        # As of `ConversationStates.sent_in_request`.
        self._counts = dict(states.sent_in_request)

    def take(self, draft: Draft) -> Message | MessagingError:
        """The outcome of the next draft."""
        if draft.conversation_id not in self.sequenced.last_seqs:
            return ConversationNotFound()
        if draft.key in self._known:
            is_member = (draft.conversation_id, draft.sender_id) in self._states.senders
            return first_result(self._known[draft.key], is_member=is_member)
        return self._refusal_of(draft) or self._number(draft)

    def _refusal_of(self, draft: Draft) -> MessagingError | None:
        states, place = self._states, draft.conversation_id
        refusal = _refuse(draft, states, self._counts.get((place, draft.sender_id)), self._request_messages)
        if refusal:
            return refusal
        if draft.judged_version is not None and draft.judged_version != states.versions[place]:
            return PlaceChanged()
        if draft.reply_to_seq > self.sequenced.last_seqs[place]:
            return InvalidField("reply_to_seq", "there is no such message")
        if not self._unused.issuperset(attachment.id for attachment in draft.attachments):
            return AttachmentNotFound()
        return None

    def _number(self, draft: Draft) -> Message:
        sequenced, place = self.sequenced, draft.conversation_id
        sender = (place, draft.sender_id)
        is_record = kind_of(draft.content).is_record
        sent_at = not_before(sequenced.last_times.get(place), draft.sent_at)
        message = _at(draft, sequenced.last_seqs[place] + 1, sent_at, self._states.vanish_after.get(place))
        if sender in self._counts:
            message = replace(message, content=withheld(message.content))
            self._counts[sender] += not is_record
        sequenced.last_seqs[place] = message.seq
        sequenced.last_times[place] = message.sent_at
        self._known[draft.key] = message
        self._unused.difference_update(attachment.id for attachment in draft.attachments)
        sequenced.inserted.append(message)
        if not is_record and self._states.senders[sender] is not RequestState.ACCEPTED:
            sequenced.accepted[sender] = None
            # To the others, somebody else has accepted it by this.
            self._counts = {other: n for other, n in self._counts.items() if other[0] != place or other == sender}
        return message


def _refuse(draft: Draft, states: ConversationStates, sent: int | None, request_messages: int) -> MessagingError | None:
    """Why a draft is refused, as far as that is a matter of who sends it, and where."""
    is_frozen = draft.conversation_id in states.frozen
    if kind_of(draft.content).is_record:
        return ConversationFrozen() if is_frozen else None
    refusal = _refuse_person(draft, states, sent, request_messages)
    # Who is out is not told how it stands.
    return ConversationFrozen() if is_frozen and not isinstance(refusal, ConversationNotFound) else refusal


def _refuse_person(
    draft: Draft, states: ConversationStates, sent: int | None, request_messages: int
) -> MessagingError | None:
    """Why what a person sends is refused. `sent`: how many messages before, where nobody else has accepted it."""
    if (draft.conversation_id, draft.sender_id) not in states.senders:
        return ConversationNotFound()
    if draft.conversation_id in states.blocked:
        return NotAllowed()
    if sent is None:
        return None
    if draft.attachments or address_of(draft.content):
        return RequestPending()
    return RequestPendingLimit(request_messages) if sent >= request_messages else None


def first_result(message: Message, *, is_member: bool) -> Message:
    """What the retry of a send gets. Somebody who left gets what they sent, without the others' reactions,
    votes and openings."""
    return message if is_member else replace(message, reactions=(), votes=(), opened_by=())


def recipients(states: ConversationStates, sequenced: Sequenced) -> Mapping[ConversationId, Sequence[UserId]]:
    """Whom the events are for: the direct recipients, and those who wrote in what they had declined, who are told of it
    again from their message on."""
    found = dict(states.direct_recipients)
    for conversation_id, user_id in sequenced.accepted:
        if found[conversation_id] and user_id not in found[conversation_id]:
            found[conversation_id] = [*found[conversation_id], user_id]
    return found


def not_before(last: datetime | None, now: datetime) -> datetime:
    """The time of a message that follows one of the time `last`, written by a replica whose clock says `now`.

    Replicas' clocks differ a little, and what people read has one order. A `last` far ahead was wrong, and is passed
    over.
    """
    return last if last is not None and now < last <= now + MAX_CLOCK_SPREAD else now


def _at(draft: Draft, seq: int, sent_at: datetime, vanish_after: timedelta | None) -> Message:
    return Message(
        id=draft.message_id,
        conversation_id=draft.conversation_id,
        seq=seq,
        sender_id=draft.sender_id,
        client_message_id=draft.client_message_id,
        sent_at=sent_at,
        content=draft.content,
        reply_to_seq=draft.reply_to_seq,
        expires_at=sent_at + vanish_after if vanish_after else None,
        attachments=draft.attachments,
        forwarded=draft.forwarded,
        view_once=draft.view_once,
    )
