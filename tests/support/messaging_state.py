"""What messaging keeps, in memory: conversations, messages and what hangs on them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from services.messaging.attachments.core.uploads import PendingDelete, Upload, object_key_of
from services.messaging.attachments.core.view_once import Opening
from services.messaging.groups.core.changes import Ban
from services.messaging.groups.ports import Invite
from services.messaging.kernel.content import kind_of
from services.messaging.kernel.errors import (
    ConversationNotFound,
)
from services.messaging.kernel.expiry import as_of
from services.messaging.kernel.model import (
    AttachmentId,
    Conversation,
    ConversationId,
    Edit,
    Member,
    Message,
    UserId,
)
from services.messaging.kernel.own_state import (
    MAX_UNREAD,
    OwnState,
)
from services.messaging.kernel.request import RequestState
from services.messaging.wire.events import conversation_created, message_sent
from tests.support.messaging_positions import Positions


class MemoryState:
    """The tables, and what each feature's part of the store in memory reads and writes of them."""

    def __init__(self, large_above: int) -> None:
        self.positions = Positions(large_above)
        self.batches: list[int] = []
        self.commits_begun = 0
        # The outbox: serialized ConversationEvents, in order.
        self.events: list[bytes] = []
        # Held to make sends wait for their commit.
        self.gate = asyncio.Event()
        self.gate.set()
        self._conversations: dict[ConversationId, Conversation] = {}
        self._keys: dict[str, ConversationId] = {}
        self._messages: dict[ConversationId, list[Message]] = {}
        self._edits: dict[tuple[ConversationId, int], list[Edit]] = {}
        self._openings: dict[tuple[ConversationId, int], list[Opening]] = {}
        # Of the files of view-once messages.
        self._release_at: dict[tuple[ConversationId, int], datetime] = {}
        self._active: dict[ConversationId, datetime] = {}
        self._read_moved: dict[ConversationId, datetime] = {}
        self._invites: dict[bytes, Invite] = {}
        self._bans: dict[ConversationId, dict[UserId, Ban]] = {}
        self._request_keys: dict[tuple[ConversationId, UserId, str], datetime] = {}
        self._indexed: set[tuple[ConversationId, int]] = set()
        self._own: dict[tuple[UserId, ConversationId], OwnState] = {}
        self._own_read: dict[tuple[UserId, ConversationId], int] = {}
        self._own_moved: dict[tuple[UserId, ConversationId], datetime] = {}
        # For FakeAttachments, which shares them.
        self.unused_uploads: dict[AttachmentId, Upload] = {}
        self.attached_uploads: dict[AttachmentId, Upload] = {}
        self.pending_deletes: dict[str, PendingDelete] = {}

    async def find_conversation(self, conversation_id: ConversationId) -> Conversation | None:
        return self._conversations.get(conversation_id)

    async def find_message(self, conversation_id: ConversationId, seq: int) -> Message | None:
        return next((message for message in self._messages.get(conversation_id, ()) if message.seq == seq), None)

    async def list_messages(
        self, conversation_id: ConversationId, after_seq: int, before_seq: int | None, limit: int
    ) -> Sequence[Message]:
        messages = reversed(self._messages.get(conversation_id, []))
        wanted = [m for m in messages if m.seq > after_seq and (before_seq is None or m.seq < before_seq)]
        return wanted[:limit]

    def set_request(
        self, conversation_id: ConversationId, user_id: UserId, request: RequestState, now: datetime
    ) -> None:
        """What the tables of PostgreSQL's store let both stores write."""
        conversation = self._conversations[conversation_id]
        members = tuple(
            replace(member, request=request) if member.user_id == user_id else member for member in conversation.members
        )
        self._conversations[conversation_id] = replace(conversation, members=members)
        self._own_moved[user_id, conversation_id] = now

    def set_blocked(self, conversation_id: ConversationId, blocked: bool) -> None:
        """As set_request."""
        self._conversations[conversation_id] = replace(self._conversations[conversation_id], blocked=blocked)

    async def set_frozen(self, conversation_id: ConversationId, *, frozen: bool) -> None:
        """See back_office.ports.ModerationStore."""
        self._conversations[conversation_id] = replace(self._require(conversation_id), frozen=frozen)

    def conversations_of(self, user_id: UserId) -> list[Conversation]:
        """Those that the person is in."""
        return [conversation for conversation in self._conversations.values() if conversation.member(user_id)]

    def direct_of(self, key: str) -> Conversation | None:
        """The direct conversation of a pair."""
        return self._conversations[self._keys[key]] if key in self._keys else None

    def messages_of(self, conversation_id: ConversationId) -> Sequence[Message]:
        """All that is in a conversation."""
        return self._messages[conversation_id]

    def queue_delete(self, upload: Upload) -> None:
        """The object of a forgotten upload is to be deleted."""
        key = object_key_of(upload.attachment)
        before = self.pending_deletes.get(key)
        put_until = max(upload.put_until, before.put_until) if before else upload.put_until
        self.pending_deletes[key] = PendingDelete(key, put_until)

    def _written(self, conversation: Conversation, user_id: UserId) -> int:
        """How much a person wrote; what the retention deleted counts too."""
        own = [m for m in self._messages[conversation.id] if m.sender_id == user_id]
        return conversation.history_start_seq + sum(not m.client_message_id.startswith("\x1f") for m in own)

    def _insert(self, conversation: Conversation, key: str) -> tuple[Conversation, bool]:
        is_new = key not in self._keys
        if is_new:
            self._keys[key] = conversation.id
            self._conversations[conversation.id] = conversation
            self._messages[conversation.id] = []
            self._active[conversation.id] = conversation.created_at
            self.events.append(conversation_created(conversation))
        return self._conversations[self._keys[key]], is_new

    def _append(self, message: Message) -> None:
        id_ = message.conversation_id
        self._messages[id_].append(message)
        self._active[id_] = max(self._active[id_], message.sent_at)
        self._conversations[id_] = replace(self._conversations[id_], last_seq=message.seq)
        self.events.append(message_sent(message))

    def _release(self, message: Message | None) -> None:
        if message is None:
            return
        self._release_at.pop((message.conversation_id, message.seq), None)
        for attachment in message.attachments:
            self.queue_delete(self.attached_uploads.pop(attachment.id))

    def _unpin(self, conversation_id: ConversationId, seq: int) -> None:
        """A pin ends with its message."""
        conversation = self._conversations[conversation_id]
        left = tuple(pin for pin in conversation.pins if pin.seq != seq)
        self._conversations[conversation_id] = replace(conversation, pins=left)

    def _require(self, conversation_id: ConversationId) -> Conversation:
        if conversation_id not in self._conversations:
            raise ConversationNotFound
        return self._conversations[conversation_id]

    def _of(self, user_id: UserId) -> list[ConversationId]:
        return [id_ for id_ in self._conversations if self._is_member(id_, user_id)]

    def _request(self, conversation_id: ConversationId, user_id: UserId) -> RequestState:
        member = self._conversations[conversation_id].member(user_id)
        return member.request if member else RequestState.ACCEPTED

    def _is_member(self, conversation_id: ConversationId, user_id: UserId) -> bool:
        conversation = self._conversations.get(conversation_id)
        return conversation is not None and conversation.member(user_id) is not None

    def _visible_after(self, conversation_id: ConversationId, user_id: UserId) -> int:
        conversation = self._conversations[conversation_id]
        member = conversation.member(user_id)
        return max(member.visible_after_seq if member else 0, conversation.history_start_seq)

    def _own_state(self, conversation_id: ConversationId, user_id: UserId, now: datetime) -> OwnState:
        member = self._conversations[conversation_id].member(user_id)
        read_seq = max(member.read_seq if member else 0, self._own_read.get((user_id, conversation_id), 0))
        start = max(read_seq, self._visible_after(conversation_id, user_id))
        unread = [
            message
            for message in self._messages[conversation_id]
            if message.seq > start and message.sender_id != user_id and kind_of(as_of(message, now).content).is_said
        ]
        kept = self._own.get((user_id, conversation_id), OwnState())
        request = self._request(conversation_id, user_id)
        return replace(kept, unread=min(len(unread), MAX_UNREAD), read_seq=read_seq, request=request)

    def _replace(self, after: Message) -> None:
        messages = self._messages[after.conversation_id]
        messages[after.seq - messages[0].seq] = after


def pending_requests(members: Sequence[Member]) -> int:
    """How many have to let it in."""
    return sum(member.request is RequestState.PENDING for member in members)
