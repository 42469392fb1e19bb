"""The store in memory with what messaging's features keep: cursors, and what the sweeper erases."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from services.messaging.attachments.ports import DecideOpening
from services.messaging.kernel.content import Expired, kind_of
from services.messaging.kernel.errors import AttachmentNotFound
from services.messaging.kernel.expiry import expire, is_due, release
from services.messaging.kernel.model import ConversationId, Message, UserId
from services.messaging.kernel.own_state import OwnChange, OwnState
from services.messaging.kernel.request import RequestState
from services.messaging.vanishing.core import end_of_old
from services.messaging.wire.events import conversation_changed, message_changed, read_cursor_moved
from tests.support.messaging import FakeStore


class MemoryStore(FakeStore):
    """See receipts.ports.ReceiptStore, vanishing.ports.SweepStore and attachments.ports.OpeningStore."""

    def __init__(self, large_above: int = 16) -> None:
        super().__init__(large_above)
        # Who sends no receipts.
        self.silent: set[UserId] = set()
        # What the users' own devices are told: (user, conversation, state), in order.
        self.own_told: list[tuple[UserId, ConversationId, OwnState]] = []

    async def move_read_cursor(
        self, conversation_id: ConversationId, user_id: UserId, seq: int, now: datetime
    ) -> int | None:
        if not self._is_member(conversation_id, user_id):
            return None
        key = (user_id, conversation_id)
        before = self._own_state(conversation_id, user_id, now)
        wanted = min(seq, self._conversations[conversation_id].last_seq)
        moved = max(before.read_seq, wanted)
        if moved == before.read_seq and not before.marked_unread:
            return moved
        self._own_moved[key] = now
        self._own_read[key] = moved
        self._own[key] = replace(before, marked_unread=False)
        self.own_told.append((*key, self._own_state(conversation_id, user_id, now)))
        if moved > before.read_seq:
            self._tell(conversation_id, user_id, now, read_seq=moved, is_live=True)
        return moved

    async def change_own_state(
        self, conversation_id: ConversationId, user_id: UserId, change: OwnChange, now: datetime
    ) -> OwnState | None:
        if not self._is_member(conversation_id, user_id):
            return None
        before = self._own_state(conversation_id, user_id, now)
        after = await super().change_own_state(conversation_id, user_id, change, now)
        if after is not None and after != before:
            self.own_told.append((user_id, conversation_id, after))
        return after

    async def move_delivered_cursors(
        self, user_id: UserId, places: Mapping[ConversationId, int], now: datetime, receipt_members: int
    ) -> None:
        for id_, seq in places.items():
            if self._is_member(id_, user_id):
                conversation = self._conversations[id_]
                wanted = min(seq, conversation.last_seq)
                self._tell(
                    id_, user_id, now, delivered_seq=wanted, is_live=len(conversation.members) <= receipt_members
                )

    async def open_once(
        self, conversation_id: ConversationId, seq: int, user_id: UserId, decide: DecideOpening, now: datetime
    ) -> Message:
        conversation, key = self._require(conversation_id), (conversation_id, seq)
        before = await self.find_message(conversation_id, seq)
        former = [each for each in self._openings.get(key, ()) if each.user_id == user_id]
        opened = decide(conversation, before, former[0] if former else None)
        if opened is None:
            if before is None:
                raise AttachmentNotFound
            return before
        after = replace(opened.after, revision=conversation.revision + 1)
        self._conversations[conversation_id] = replace(conversation, revision=after.revision)
        self._replace(after)
        self._openings.setdefault(key, []).append(opened.opening)
        put_off = max(self._release_at[key], opened.release_at)
        self._release_at[key] = opened.release_at if opened.is_last else put_off
        self.events.append(message_changed(after.id, after, now))
        return after

    async def release_due(self, now: datetime, limit: int) -> int:
        due = sorted(key for key, at in self._release_at.items() if at <= now)[:limit]
        messages = [message for key in due if (message := await self.find_message(*key))]
        revisions = {id_: conversation.revision for id_, conversation in self._conversations.items()}
        for before, after in zip(messages, release(messages, revisions), strict=True):
            id_ = after.conversation_id
            self._release(before)
            self._replace(after)
            self._conversations[id_] = replace(self._conversations[id_], revision=after.revision)
            self.events.append(message_changed(after.id, after, now))
        return len(messages)

    async def expire_due(self, now: datetime, limit: int, skipped: int = 0) -> int:
        due = [message for messages in self._messages.values() for message in messages if is_due(message, now)]
        due = sorted(due, key=lambda message: message.expires_at or now)[skipped : skipped + limit]
        revisions = {id_: conversation.revision for id_, conversation in self._conversations.items()}
        for message in expire(sorted(due, key=lambda message: (message.conversation_id, message.seq)), revisions):
            id_ = message.conversation_id
            self._replace(message)
            self._erase_hanging(message)
            self._conversations[id_] = replace(self._conversations[id_], revision=message.revision)
            self.events.append(message_changed(message.id, message, now))
        return len(due)

    async def take_back(self, conversation_id: ConversationId, user_id: UserId) -> None:
        """What is left of the messages of a person whose account is deleted."""
        for message in [m for m in self._messages[conversation_id] if m.sender_id == user_id]:
            if kind_of(message.content).is_said:
                bare = replace(message, content=Expired(), reactions=(), reply_to_seq=0, votes=())
                self._replace(replace(bare, view_once=False, opened_by=()))
                self._erase_hanging(message)

    async def find_old(
        self, cutoff: datetime, after: ConversationId | None, limit: int
    ) -> tuple[list[ConversationId], ConversationId | None]:
        looked_at = sorted(id_ for id_ in self._conversations if after is None or id_ > after)[:limit]
        old = [id_ for id_ in looked_at if self._messages[id_] and self._messages[id_][0].sent_at < cutoff]
        return old, looked_at[-1] if len(looked_at) == limit else None

    async def delete_old(self, conversation_id: ConversationId, cutoff: datetime, now: datetime, limit: int) -> int:
        messages = self._messages[conversation_id]
        last = end_of_old([(message.seq, message.sent_at) for message in messages[:limit]], cutoff)
        if last is None:
            return 0
        gone = [message for message in messages if message.seq <= last]
        del messages[: len(gone)]
        for message in gone:
            self._erase_hanging(message)
        before = self._conversations[conversation_id]
        after = replace(before, history_start_seq=last, revision=before.revision + 1)
        self._conversations[conversation_id] = after
        self.events.append(conversation_changed(gone[0].id, after, (), now))
        return len(gone)

    def _erase_hanging(self, message: Message) -> None:
        key = (message.conversation_id, message.seq)
        self._edits.pop(key, None)
        self._openings.pop(key, None)
        self._release_at.pop(key, None)
        self._indexed.discard(key)
        self._unpin(*key)

    def _tell(
        self,
        conversation_id: ConversationId,
        user_id: UserId,
        now: datetime,
        *,
        read_seq: int = 0,
        delivered_seq: int = 0,
        is_live: bool,
    ) -> None:
        """Moves what others know forward, and the event of it."""
        conversation = self._conversations[conversation_id]
        member = conversation.member(user_id)
        if (
            member is None
            or member.request is not RequestState.ACCEPTED
            or conversation.blocked
            or user_id in self.silent
        ):
            return
        after = replace(
            member,
            read_seq=max(member.read_seq, read_seq),
            delivered_seq=max(member.delivered_seq, member.read_seq, read_seq, delivered_seq),
        )
        if after == replace(member, delivered_seq=max(member.delivered_seq, member.read_seq)):
            return
        members = tuple(after if other.user_id == user_id else other for other in conversation.members)
        self._conversations[conversation_id] = replace(conversation, members=members)
        self._read_moved[conversation_id] = now
        if is_live:
            is_delivered = after.delivered_seq > max(member.delivered_seq, member.read_seq)
            told_delivered = after.delivered_seq if is_delivered else 0
            self.events.append(
                read_cursor_moved(conversation_id, conversation_id, user_id, read_seq, told_delivered, now)
            )
