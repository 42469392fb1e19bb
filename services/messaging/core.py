"""What a conversation is and how messages enter it: types, checks and decisions, without IO."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import NewType
from uuid import UUID

UserId = NewType("UserId", str)
ConversationId = NewType("ConversationId", UUID)
MessageId = NewType("MessageId", UUID)

MAX_CLIENT_ID_CHARS = 64
MAX_USER_ID_CHARS = 64
MAX_CURSORS = 1_000
MAX_SYNC_DELTAS = 200
# Outside of what a user may choose as a client_message_id, so that nobody can take a call record's place.
CALL_KEY_PREFIX = "\x1fcall/"


class MessagingError(Exception):
    """Base of what messaging refuses."""


class InvalidField(MessagingError):
    """A value of the request is out of bounds; `field` names it."""

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(message)
        self.field = field_name


class ConversationNotFound(MessagingError):
    """There is no such conversation, or the caller may not know of it."""


class NotAMember(MessagingError):
    """The conversation exists, but the caller is not in it."""


class Overloaded(MessagingError):
    """More sends are waiting than the service takes."""


class ConversationKind(Enum):
    DIRECT = "direct"


@dataclass(frozen=True)
class Member:
    user_id: UserId
    joined_at: datetime
    read_seq: int = 0


@dataclass(frozen=True)
class Conversation:
    id: ConversationId
    kind: ConversationKind
    members: tuple[Member, ...]
    last_seq: int
    created_at: datetime


class CallOutcome(Enum):
    COMPLETED = "completed"
    MISSED = "missed"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    BUSY = "busy"
    FAILED = "failed"


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class CallRecord:
    call_id: UUID
    video: bool
    outcome: CallOutcome
    length: timedelta


Content = Text | CallRecord


@dataclass(frozen=True)
class Message:
    id: MessageId
    conversation_id: ConversationId
    seq: int
    sender_id: UserId
    client_message_id: str
    sent_at: datetime
    content: Content


@dataclass(frozen=True)
class Draft:
    """A message that has no place in its conversation yet."""

    message_id: MessageId
    conversation_id: ConversationId
    sender_id: UserId
    client_message_id: str
    sent_at: datetime
    content: Content

    @property
    def key(self) -> "DraftKey":
        return DraftKey(self.conversation_id, self.sender_id, self.client_message_id)


@dataclass(frozen=True)
class DraftKey:
    """What makes a send idempotent."""

    conversation_id: ConversationId
    sender_id: UserId
    client_message_id: str


@dataclass(frozen=True)
class Delta:
    """What a device lacks of one conversation; messages ascend."""

    conversation: Conversation
    messages: tuple[Message, ...]
    has_more: bool


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
) -> Placement:
    """Give each draft the next seq of its conversation, so that sequences have no gaps.

    `last_seqs` holds the conversations that exist, locked by the caller; `stored` the earlier results of the same
    keys. A repeated key, earlier or within the batch, gets the first result and takes no seq.
    """
    placement = Placement(last_seqs=dict(last_seqs))
    known = dict(stored)
    for draft in drafts:
        if draft.conversation_id not in placement.last_seqs:
            placement.outcomes.append(ConversationNotFound("no such conversation"))
        elif not is_member(draft.conversation_id, draft.sender_id):
            placement.outcomes.append(NotAMember("not a member of this conversation"))
        elif draft.key in known:
            placement.outcomes.append(known[draft.key])
        else:
            message = _at(draft, placement.last_seqs[draft.conversation_id] + 1)
            placement.last_seqs[draft.conversation_id] = message.seq
            known[draft.key] = message
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
    )


def pair_key(one: UserId, other: UserId) -> str:
    """The same for a pair in either direction. User ids hold no space, so no two pairs share a key."""
    return " ".join(sorted((one, other)))


def open_direct(conversation_id: ConversationId, caller: UserId, peer: UserId, now: datetime) -> Conversation:
    """A new conversation of two people. Raises InvalidField when the peer is the caller."""
    if caller == peer:
        raise InvalidField("peer_user_id", "a direct conversation needs another person")
    members = tuple(Member(user, now) for user in sorted((caller, peer)))
    return Conversation(conversation_id, ConversationKind.DIRECT, members, 0, now)


def with_read_cursor(conversation: Conversation, user_id: UserId, read_seq: int) -> Conversation:
    """The conversation after a member's cursor moved; cursors never go back."""
    members = tuple(
        replace(member, read_seq=max(member.read_seq, read_seq)) if member.user_id == user_id else member
        for member in conversation.members
    )
    return replace(conversation, members=members)


def require_member(conversation: Conversation | None, user_id: UserId) -> Conversation:
    """The conversation, if the user is in it. Raises ConversationNotFound in both other cases alike."""
    if conversation is None or all(member.user_id != user_id for member in conversation.members):
        raise ConversationNotFound("no such conversation")
    return conversation


def check_text(text: str, limit: int) -> str:
    """The text unchanged. Raises InvalidField when it is empty, only white space, too long, or holds a NUL."""
    if not text.strip():
        raise InvalidField("text.text", "is empty")
    if len(text) > limit:
        raise InvalidField("text.text", f"has {len(text)} characters; at most {limit} are allowed")
    if "\x00" in text:
        raise InvalidField("text.text", "holds the character NUL, which is not text")
    return text


def check_client_id(field_name: str, value: str) -> str:
    """A client's idempotency key. Raises InvalidField."""
    if not 0 < len(value) <= MAX_CLIENT_ID_CHARS or not value.isascii() or not value.isprintable():
        raise InvalidField(field_name, f"must be 1 to {MAX_CLIENT_ID_CHARS} printable ASCII characters")
    return value


def check_user_id(field_name: str, value: str) -> UserId:
    """A user's id. Raises InvalidField."""
    ok = 0 < len(value) <= MAX_USER_ID_CHARS and value.isascii() and value.isprintable() and " " not in value
    if not ok:
        raise InvalidField(field_name, f"must be 1 to {MAX_USER_ID_CHARS} printable ASCII characters without spaces")
    return UserId(value)


def check_uuid(field_name: str, value: str) -> UUID:
    """An id of ours. Raises InvalidField unless it is a UUID in the usual form of 36 characters."""
    try:
        parsed = UUID(value)
    except ValueError:
        parsed = None
    if parsed is None or len(value) != 36:
        raise InvalidField(field_name, "must be a UUID")
    return parsed


def check_range(field_name: str, value: int, default: int, high: int) -> int:
    """A count from 1 to high, with 0 for the default. Raises InvalidField."""
    if value == 0:
        return default
    if not 0 < value <= high:
        raise InvalidField(field_name, f"must be 1 to {high}, or 0 for {default}")
    return value


def check_seq(field_name: str, value: int) -> int:
    """A sequence number or 0. Raises InvalidField when it is negative."""
    if value < 0:
        raise InvalidField(field_name, "must not be negative")
    return value


@dataclass(frozen=True)
class PageMark:
    """The last row of a page of conversations: the next page begins below it."""

    active_at: datetime
    conversation_id: ConversationId


def encode_page_mark(mark: PageMark) -> str:
    """An opaque page token."""
    micros = (mark.active_at - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(micros.to_bytes(8, "big") + mark.conversation_id.bytes).decode()


def decode_page_mark(token: str) -> PageMark | None:
    """The mark of a page token; None for the first page. Raises InvalidField for a token that is not ours."""
    if not token:
        return None
    try:
        raw = base64.urlsafe_b64decode(token.encode())
        if len(raw) != 24:
            raise ValueError(token)
        active_at = _EPOCH + timedelta(microseconds=int.from_bytes(raw[:8], "big"))
    except (ValueError, OverflowError, binascii.Error, UnicodeEncodeError) as error:
        raise InvalidField("page_token", "is not a token that this service gave") from error
    return PageMark(active_at, ConversationId(UUID(bytes=raw[8:])))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
