"""What messaging needs of the world."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.messaging.groups.core import GroupChange
from services.messaging.kernel.errors import MessagingError
from services.messaging.kernel.model import (
    Attachment,
    Conversation,
    ConversationId,
    Cursor,
    Delta,
    Draft,
    DraftKey,
    Edit,
    Message,
    MessageId,
    PageMark,
    Recipient,
    Summary,
    UserId,
)
from services.messaging.kernel.own_state import OwnChange, OwnState
from services.messaging.kernel.quotas import DayQuota
from services.messaging.kernel.request import Request
from services.messaging.messages.core.changes import MessageChange
from services.messaging.sync.core.account import AccountPage, Snapshot, SyncToken

# Decide under the conversation's lock; None for nothing to do. What they raise undoes the transaction.
DecideGroup = Callable[[Conversation], GroupChange | None]
DecideMessage = Callable[[Conversation, Message | None], MessageChange | None]


@dataclass(frozen=True)
class LineStamp:
    """What a line about a group needs beside its content: id, who did it, when."""

    message_id: MessageId
    actor: UserId
    now: datetime


def line_message(change: GroupChange, stamp: LineStamp) -> Message:
    """The line of a change as the next message of its group."""
    if change.line is None:
        raise ValueError("this change has no line")
    return Message(
        id=stamp.message_id,
        conversation_id=change.after.id,
        seq=change.after.last_seq + 1,
        sender_id=stamp.actor,
        # Outside of what users may choose, as for call records.
        client_message_id=f"\x1fline/{stamp.message_id}",
        sent_at=stamp.now,
        content=change.line,
    )


class Uploads(Protocol):
    """Where the files of messages come from."""

    async def take(self, key: DraftKey, attachment_ids: Sequence[str]) -> tuple[Attachment, ...]:
        """The sender's uploads of these ids, whose bytes are there, for the message of this key.

        None of them when that message is stored already: its retry gets the first result, whatever became of them.
        Errors: InvalidField, AttachmentNotFound, AttachmentNotUploaded, ObjectsUnavailable, StoreUnavailable.
        """


class Store(Protocol):
    """The truth. Every change writes its event to the outbox in the same transaction.

    Errors of every method: runtime's StoreUnavailable.
    """

    async def open_direct(self, conversation: Conversation, opener: UserId, quota: DayQuota) -> Conversation:
        """Store the conversation, as the other member lets the opener invite (reach.invite), unless the pair has one;
        give the one that stands. Idempotent; only new ones count.

        Errors: NotAllowed, ConversationQuota, RequestQuota."""

    async def create_group(
        self, change: GroupChange, creation_key: str, stamp: LineStamp, quota: DayQuota
    ) -> Conversation:
        """Store a new group unless the key has one; give the one that stands. Idempotent; only new ones count.

        Errors: ConversationQuota, RequestQuota.
        """

    async def change_group(
        self,
        conversation_id: ConversationId,
        decide: DecideGroup,
        stamp: LineStamp,
        key: str = "",
        quota: DayQuota | None = None,
    ) -> Conversation:
        """Lock, decide, write; the conversation as it stands then. The decision alone is given the bans.

        A key, of the stamp's actor in this group, is kept for about a month once it was decided: then nothing more is
        done under it. The invites of whom the change bans are revoked. People who have to let it in are counted.
        Errors: ConversationNotFound, RequestQuota.
        """

    async def change_message(
        self, conversation_id: ConversationId, seq: int, decide: DecideMessage, now: datetime
    ) -> Message:
        """Lock, decide, write with the next revision; the message as it stands then. Errors: ConversationNotFound."""

    async def find_conversation(self, conversation_id: ConversationId) -> Conversation | None:
        """With its members."""

    async def find_message(self, conversation_id: ConversationId, seq: int) -> Message | None:
        """As it stands."""

    async def list_edits(self, conversation_id: ConversationId, seq: int) -> Sequence[Edit]:
        """The former texts, the oldest first."""

    async def list_conversations(
        self,
        user_id: UserId,
        below: PageMark | None,
        limit: int,
        now: datetime,
        request: Request = Request.NONE,
    ) -> Sequence[Summary]:
        """The user's conversations that stand so, newest activity first."""

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Message | MessagingError]:
        """Append the drafts in one transaction; an outcome for each, in order. Idempotent by Draft.key."""

    async def find_sent(self, key: DraftKey) -> Message | None:
        """What was stored under this key, as its sender may know it (placing.first_result)."""

    async def find_group(self, creation_key: str) -> Conversation | None:
        """The group that was made under this key."""

    async def list_messages(
        self, conversation_id: ConversationId, after_seq: int, before_seq: int | None, limit: int
    ) -> Sequence[Message]:
        """Above after_seq and below before_seq, descending."""

    async def sync(
        self,
        user_id: UserId,
        cursors: Mapping[ConversationId, Cursor],
        read_since: datetime | None,
        limit: int,
        max_deltas: int,
        now: datetime,
    ) -> Sequence[Delta]:
        """What the user's device lacks: see Sync in service.proto.

        First at most `max_deltas` conversations in which messages or changes are missing, the oldest activity first;
        when these are fewer, then also all in which only cursors moved.
        """

    async def snapshot(self) -> Snapshot:
        """What reads from now on show at least."""

    async def sync_account(
        self,
        user_id: UserId,
        token: SyncToken | None,
        cursors: Mapping[ConversationId, Cursor],
        limit: int,
        max_conversations: int,
        now: datetime,
    ) -> AccountPage:
        """What the user's device lacks: see `sync_token` in service.proto. None for a device that has nothing.

        At most `max_conversations`: those of the cursors first, the walk in what room they leave.
        Errors: SyncTokenUnknown.
        """

    async def has_more_conversations_than(self, user_id: UserId, most: int) -> bool:
        """Whether Sync by cursors alone would have more to tell than so many conversations."""

    async def joined_of(
        self, user_id: UserId, conversation_ids: Collection[ConversationId]
    ) -> Collection[ConversationId]:
        """Those of the conversations that the user is in and did not decline."""

    async def change_own_state(
        self, conversation_id: ConversationId, user_id: UserId, change: OwnChange, now: datetime
    ) -> OwnState | None:
        """The state afterwards; the user's devices are told. None when the user is no member. Idempotent."""

    async def recipients_of(
        self, conversation_ids: Collection[ConversationId]
    ) -> Mapping[ConversationId, Sequence[Recipient]]:
        """The members of each conversation that has some."""

    async def contacts_among(self, user_id: UserId, candidates: Collection[UserId]) -> Collection[UserId]:
        """The candidates who share a conversation with the user that both let in and that is not closed."""

    async def index_words(self, keys: Sequence[tuple[ConversationId, int]]) -> None:
        """Make the texts at these places findable as they stand now. Idempotent, in any order."""

    async def index_old(self, limit: int) -> int:
        """Index anew some of what an older release indexed; how many there were, at most `limit`."""

    async def search(
        self, user_id: UserId, query: str, within: ConversationId | None, below: MessageId | None, limit: int
    ) -> Sequence[Message]:
        """Texts that the user may see and that answer the query of searching.query_of, newest first."""
