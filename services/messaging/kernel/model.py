"""The nouns: conversations, members and messages. What messages hold is content.py."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from services.messaging.kernel.content import Content, Text
from services.messaging.kernel.errors import ConversationNotFound, InvalidField
from services.messaging.kernel.ids import NOBODY
from services.messaging.kernel.ids import AttachmentId as AttachmentId
from services.messaging.kernel.ids import ConversationId as ConversationId
from services.messaging.kernel.ids import MessageId as MessageId
from services.messaging.kernel.ids import UserId as UserId
from services.messaging.kernel.own_state import OwnState
from services.messaging.kernel.request import RequestState
from services.messaging.kernel.role import Role as Role

# Outside of what a user may choose as a client_message_id, so that nobody can take a call record's place.
CALL_KEY_PREFIX = "\x1fcall/"


class ConversationKind(Enum):
    DIRECT = "direct"
    GROUP = "group"


class AddAudience(Enum):
    """Who may add people to a group."""

    MEMBERS = "members"
    ADMINS = "admins"


@dataclass(frozen=True)
class Member:
    """A person in a conversation, who sees only messages above `visible_after_seq`.

    `read_seq` and `delivered_seq` are what the others may know; one's own read cursor is OwnState.read_seq.
    """

    user_id: UserId
    joined_at: datetime
    read_seq: int = 0
    role: Role = Role.MEMBER
    visible_after_seq: int = 0
    delivered_seq: int = 0
    request: RequestState = RequestState.ACCEPTED
    # Who added the member; empty for who came by oneself.
    added_by: UserId = NOBODY


@dataclass(frozen=True)
class Pin:
    """A message that all members keep in view."""

    seq: int
    pinned_at: datetime


@dataclass(frozen=True)
class Conversation:
    """Members are ordered by user id. `revision` counts changes other than new messages and read cursors.

    New messages vanish after `vanish_after`, zero for never; those up to `history_start_seq` are deleted for good.
    """

    id: ConversationId
    kind: ConversationKind
    members: tuple[Member, ...]
    last_seq: int
    created_at: datetime
    title: str = ""
    avatar_ref: str = ""
    history_open: bool = False
    revision: int = 0
    vanish_after: timedelta = timedelta(0)
    history_start_seq: int = 0
    # Of a direct conversation: one of the two blocked the other.
    blocked: bool = False
    # Of a group: who may add people.
    add_audience: AddAudience = AddAudience.MEMBERS
    # Moderation lets nobody say anything in it.
    frozen: bool = False
    # The latest pinned first.
    pins: tuple[Pin, ...] = ()
    # Of a group: who was removed and may not come in again. Read under the lock only, for what is decided there.
    banned: frozenset[UserId] = field(default=frozenset(), compare=False)

    def member(self, user_id: UserId) -> Member | None:
        """The member of this id."""
        return next((member for member in self.members if member.user_id == user_id), None)

    def is_unaccepted_by_others(self, user_id: UserId) -> bool:
        """Whether there are other members, none of whom has accepted the conversation."""
        others = [member for member in self.members if member.user_id != user_id]
        return bool(others) and all(member.request is not RequestState.ACCEPTED for member in others)


@dataclass(frozen=True)
class Reaction:
    """One emoji and who put it, the first one first. A message has them ordered by emoji."""

    emoji: str
    user_ids: tuple[UserId, ...]


@dataclass(frozen=True)
class Votes:
    """One option of a poll and who chose it, the first one first. A message has them ordered by option."""

    option_index: int
    user_ids: tuple[UserId, ...]


@dataclass(frozen=True)
class Edit:
    """A text as it was before an edit, and when it was written."""

    text: Text
    written_at: datetime


@dataclass(frozen=True)
class Attachment:
    """A file that belongs to a message; its bytes stand in the object store. Width and height 0 when not said."""

    id: AttachmentId
    file_name: str
    content_type: str
    size_bytes: int
    width: int = 0
    height: int = 0
    length: timedelta = timedelta(0)
    # Of a forwarded file: the upload whose bytes it has. None: they are its own.
    object_id: AttachmentId | None = None


@dataclass(frozen=True)
class Message:
    id: MessageId
    conversation_id: ConversationId
    seq: int
    sender_id: UserId
    client_message_id: str
    sent_at: datetime
    content: Content
    reply_to_seq: int = 0
    # The conversation's revision of the last change; 0 when there was none.
    revision: int = 0
    edited_at: datetime | None = None
    edit_count: int = 0
    reactions: tuple[Reaction, ...] = ()
    # From then on nobody is shown what it said; None when it stays.
    expires_at: datetime | None = None
    attachments: tuple[Attachment, ...] = ()
    # A copy of another message; it does not say of which.
    forwarded: bool = False
    # Of a poll; none of options that nobody chose.
    votes: tuple[Votes, ...] = ()
    # Each recipient opens its file once, and those who did, the first one first.
    view_once: bool = False
    opened_by: tuple[UserId, ...] = ()


@dataclass(frozen=True)
class Draft:
    """A message that has no place in its conversation yet."""

    message_id: MessageId
    conversation_id: ConversationId
    sender_id: UserId
    client_message_id: str
    sent_at: datetime
    content: Content
    reply_to_seq: int = 0
    attachments: tuple[Attachment, ...] = ()
    # The W3C trace of the send, which is committed and published together with others.
    trace: str = ""
    forwarded: bool = False
    # The version of the conversation that it was judged by, where that was remembered (hooks.core.holding.Place).
    judged_version: int | None = None
    view_once: bool = False

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
class Cursor:
    """Where a device stands in a conversation: it has all messages up to `seq` and all changes up to `revision`."""

    seq: int
    revision: int = 0


@dataclass(frozen=True)
class Delta:
    """What a device lacks of one conversation: new messages by seq, changed ones by revision, both ascending."""

    conversation: Conversation
    messages: tuple[Message, ...]
    changed: tuple[Message, ...]
    has_more: bool
    cursor: Cursor
    own: OwnState


@dataclass(frozen=True)
class Summary:
    """A conversation in a list: its last message that the user may see, and when it was active last."""

    conversation: Conversation
    last_message: Message | None
    active_at: datetime
    own: OwnState


@dataclass(frozen=True)
class PageMark:
    """The last row of a page of conversations: the next page begins below it."""

    active_at: datetime
    conversation_id: ConversationId


def pair_key(one: UserId, other: UserId) -> str:
    """The same for a pair in either direction. User ids hold no space, so no two pairs share a key."""
    return " ".join(sorted((one, other)))


def direct_recipients(conversation: Conversation) -> tuple[UserId, ...]:
    """Whom the events of a direct conversation are for; empty for a group, whose members the fan-out looks up."""
    if conversation.kind is not ConversationKind.DIRECT:
        return ()
    return tuple(member.user_id for member in conversation.members if member.request is not RequestState.DECLINED)


def open_direct(conversation_id: ConversationId, caller: UserId, peer: UserId, now: datetime) -> Conversation:
    """A new conversation of two people. Raises InvalidField when the peer is the caller."""
    if caller == peer:
        raise InvalidField("peer_user_id", "a direct conversation needs another person")
    members = tuple(Member(user, now) for user in sorted((caller, peer)))
    return Conversation(conversation_id, ConversationKind.DIRECT, members, 0, now)


def require_member(conversation: Conversation | None, user_id: UserId) -> Conversation:
    """The conversation, if the user is in it. Raises ConversationNotFound in both other cases alike."""
    if conversation is None or conversation.member(user_id) is None:
        raise ConversationNotFound
    return conversation


@dataclass(frozen=True)
class Recipient:
    """A member as the fan-out sees it."""

    user_id: UserId
    visible_after_seq: int
    joined_unix_s: float
    request: RequestState = RequestState.ACCEPTED
