"""A store of messaging in memory, held to the same contract as PostgreSQL's."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from services.messaging.attachments.core.uploads import PendingDelete, Upload, object_key
from services.messaging.groups.core import Ban, GroupChange, LineStamp, line_message
from services.messaging.groups.ports import REQUEST_KEYS_KEPT, DecideGroup, Invite
from services.messaging.kernel.content import kind_of, text_of
from services.messaging.kernel.errors import (
    ConversationNotFound,
    MessageNotFound,
    MessagingError,
    NotAllowed,
)
from services.messaging.kernel.expiry import as_of
from services.messaging.kernel.model import (
    AttachmentId,
    Conversation,
    ConversationId,
    Cursor,
    Delta,
    Draft,
    DraftKey,
    Edit,
    Member,
    Message,
    MessageId,
    PageMark,
    Recipient,
    Summary,
    UserId,
    pair_key,
)
from services.messaging.kernel.own_state import (
    MAX_UNREAD,
    OwnChange,
    OwnState,
    apply_own_change,
)
from services.messaging.kernel.quotas import DayQuota
from services.messaging.kernel.request import Request
from services.messaging.messages.core.sequencing import ConversationStates, first_result, sequence_drafts
from services.messaging.messages.ports import DecideMessage
from services.messaging.relations.core.reach import invite
from services.messaging.search.core import answers, words_of
from services.messaging.sync.core.account import (
    AccountPage,
    Mark,
    Snapshot,
    Step,
    SyncToken,
    begin_walk,
)
from services.messaging.sync.core.deltas import build_delta
from services.messaging.wire.events import conversation_changed, conversation_created, message_changed, message_sent
from tests.support.messaging_positions import Positions
from tests.support.relations import FakeRelations

# Of an invite that lets nobody in any more.
NEVER = datetime.fromtimestamp(0, UTC)


class FakeStore:
    """See services.messaging.messages.ports.Store."""

    def __init__(self, large_above: int = 16) -> None:
        self.positions = Positions(large_above)
        self.relations = FakeRelations(self)
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

    async def open_direct(self, conversation: Conversation, opener: UserId, quota: DayQuota) -> Conversation:
        key = pair_key(conversation.members[0].user_id, conversation.members[1].user_id)
        known = self.direct_of(key)
        if known:
            if known.blocked:
                raise NotAllowed
            return known
        peer = next(member.user_id for member in conversation.members if member.user_id != opener)
        invited = invite(conversation, opener, self.relations.relationship(peer, opener))
        self.relations.check_quota(quota, 1, _asked(invited.members))
        return self._insert(invited, key)[0]

    async def create_group(
        self, change: GroupChange, creation_key: str, stamp: LineStamp, quota: DayQuota
    ) -> Conversation:
        if f"group {creation_key}" not in self._keys:
            self.relations.check_quota(quota, 1, _asked(change.after.members))
        group, is_new = self._insert(change.after, f"group {creation_key}")
        return self._write_line(replace(change, after=group), stamp) if is_new else group

    async def change_group(
        self,
        conversation_id: ConversationId,
        decide: DecideGroup,
        stamp: LineStamp,
        key: str = "",
        quota: DayQuota | None = None,
    ) -> Conversation:
        bans = self._bans.setdefault(conversation_id, {})
        before = replace(self._require(conversation_id), banned=frozenset(bans))
        asked, kept_from = (conversation_id, stamp.actor, key), stamp.now - REQUEST_KEYS_KEPT
        if key:
            self._request_keys = {old: time for old, time in self._request_keys.items() if time >= kept_from}
        if asked in self._request_keys:
            return before
        change = decide(before)
        if quota is not None and change is not None:
            new_members = [member for member in change.after.members if before.member(member.user_id) is None]
            self.relations.check_quota(quota, 0, _asked(new_members))
        if key:
            self._request_keys[asked] = stamp.now
        if change is None:
            return before
        self._conversations[conversation_id] = replace(change.after, banned=frozenset())
        self._write_bans(before, change.after, stamp)
        told = change.after if change.line is None else replace(change.after, last_seq=change.after.last_seq + 1)
        self.events.append(conversation_changed(stamp.message_id, told, change.removed, stamp.now))
        return self._write_line(change, stamp)

    async def change_message(
        self, conversation_id: ConversationId, seq: int, decide: DecideMessage, now: datetime
    ) -> Message:
        conversation = self._require(conversation_id)
        before = await self.find_message(conversation_id, seq)
        change = decide(conversation, before)
        if change is None:
            if before is None:
                raise MessageNotFound
            return before
        after = replace(change.after, revision=conversation.revision + 1)
        self._conversations[conversation_id] = replace(conversation, revision=after.revision)
        self._replace(after)
        if change.edit:
            self._edits.setdefault((conversation_id, seq), []).append(change.edit)
        if change.reaction is None:
            self._indexed.discard((conversation_id, seq))
        if kind_of(after.content).is_gone:
            self._edits.pop((conversation_id, seq), None)
            self._release(before)
        self.events.append(message_changed(after.id, after, now))
        return after

    async def find_conversation(self, conversation_id: ConversationId) -> Conversation | None:
        return self._conversations.get(conversation_id)

    async def find_message(self, conversation_id: ConversationId, seq: int) -> Message | None:
        return next((message for message in self._messages.get(conversation_id, ()) if message.seq == seq), None)

    async def list_edits(self, conversation_id: ConversationId, seq: int) -> Sequence[Edit]:
        return list(self._edits.get((conversation_id, seq), []))

    async def list_conversations(
        self,
        user_id: UserId,
        below: PageMark | None,
        limit: int,
        now: datetime,
        request: Request = Request.NONE,
    ) -> Sequence[Summary]:
        marks = [(self._active[id_], id_) for id_ in self._of(user_id) if self._request(id_, user_id) is request]
        if below:
            marks = [mark for mark in marks if mark < (below.active_at, below.conversation_id)]
        rows = []
        for active_at, id_ in sorted(marks, reverse=True)[:limit]:
            last = await self.list_messages(id_, self._visible_after(id_, user_id), None, 1)
            own = self._own_state(id_, user_id, now)
            rows.append(Summary(self._conversations[id_], last[0] if last else None, active_at, own))
        return rows

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Message | MessagingError]:
        self.commits_begun += 1
        await self.gate.wait()
        self.batches.append(len(drafts))
        ids = {draft.conversation_id for draft in drafts} & self._conversations.keys()
        stored = {
            DraftKey(message.conversation_id, message.sender_id, message.client_message_id): message
            for id_ in ids
            for message in self._messages[id_]
        }
        rooms = [self._conversations[id_] for id_ in ids]
        states = ConversationStates(
            last_seqs={room.id: room.last_seq for room in rooms},
            senders={(room.id, member.user_id): member.request for room in rooms for member in room.members},
            blocked={room.id for room in rooms if room.blocked},
            vanish_after={room.id: room.vanish_after for room in rooms},
            unused=self.unused_uploads.keys(),
            asking={
                (room.id, member.user_id): self._written(room, member.user_id)
                for room in rooms
                for member in room.members
                if room.is_asking(member.user_id)
            },
        )
        sequenced = sequence_drafts(drafts, states, stored)
        for message in sequenced.inserted:
            for attachment in message.attachments:
                self.attached_uploads[attachment.id] = self.unused_uploads.pop(attachment.id)
            self._append(message)
        for id_, user_id in sequenced.accepted:
            self.set_request(id_, user_id, Request.NONE, max(message.sent_at for message in sequenced.inserted))
        return sequenced.outcomes

    async def find_sent(self, key: DraftKey) -> Message | None:
        messages = self._messages.get(key.conversation_id, ())
        found = next(
            (m for m in messages if (m.sender_id, m.client_message_id) == (key.sender_id, key.client_message_id)), None
        )
        return found and first_result(found, is_member=self._is_member(key.conversation_id, key.sender_id))

    async def find_group(self, creation_key: str) -> Conversation | None:
        found = self._keys.get(f"group {creation_key}")
        return self._conversations[found] if found else None

    async def list_messages(
        self, conversation_id: ConversationId, after_seq: int, before_seq: int | None, limit: int
    ) -> Sequence[Message]:
        messages = reversed(self._messages.get(conversation_id, []))
        wanted = [m for m in messages if m.seq > after_seq and (before_seq is None or m.seq < before_seq)]
        return wanted[:limit]

    async def sync(
        self,
        user_id: UserId,
        cursors: Mapping[ConversationId, Cursor],
        read_since: datetime | None,
        limit: int,
        max_deltas: int,
        now: datetime,
    ) -> Sequence[Delta]:
        news, moved_only = [], []
        shown = [id_ for id_ in self._of(user_id) if self._request(id_, user_id) is not Request.DECLINED]
        for id_ in sorted(shown, key=lambda id_: (self._active[id_], id_)):
            conversation, cursor = self._conversations[id_], cursors.get(id_)
            delta = self._delta(conversation, user_id, cursor, limit, now)
            moves = (self._read_moved.get(id_), self._own_moved.get((user_id, id_)))
            if cursor is None or conversation.last_seq > cursor.seq or conversation.revision > cursor.revision:
                news.append(delta)
            elif read_since is not None and any(moved is not None and moved >= read_since for moved in moves):
                moved_only.append(delta)
        return [*news, *moved_only] if len(news) < max_deltas else news[:max_deltas]

    async def snapshot(self) -> Snapshot:
        self._look()
        return self.positions.snapshot()

    async def sync_account(
        self,
        user_id: UserId,
        token: SyncToken | None,
        cursors: Mapping[ConversationId, Cursor],
        limit: int,
        max_conversations: int,
        now: datetime,
    ) -> AccountPage:
        self._look()
        snapshot = self.positions.snapshot()
        walking = begin_walk(token, snapshot)
        gone = [id_ for id_ in cursors if self.positions.is_gone((user_id, id_))]
        behind = sorted(
            (id_ for id_ in cursors if id_ not in gone and _is_behind(self._conversations[id_], cursors[id_])),
            key=lambda id_: (self._active[id_], id_),
        )
        named = [self._delta(self._conversations[id_], user_id, cursors[id_], limit, now) for id_ in behind]
        room = max_conversations - len(behind)
        found = self._walked(user_id, walking, cursors) if room > 0 else []
        steps = [
            Step(mark)
            if mark.conversation_id in behind
            else self._step(user_id, mark, cursors.get(mark.conversation_id), limit, now)
            for mark in found[: max(room, 0)]
        ]
        return AccountPage(
            walking,
            snapshot.oldest_running,
            named[:max_conversations],
            gone,
            len(behind) > max_conversations,
            steps,
            room <= 0 or len(found) > room,
        )

    def _walked(self, user_id: UserId, walking: SyncToken, cursors: Mapping[ConversationId, Cursor]) -> list[Mark]:
        positions, begun_at = self.positions, walking.begun_at
        found = {
            Mark(position, id_)
            for (user, id_), position in positions.changed.items()
            if user == user_id and not (position < begun_at and positions.is_gone((user, id_)))
        }
        moves = [(id_, position) for (user, id_), position in positions.moved.items() if user == user_id]
        moves += [(id_, position) for id_, position in positions.moved_large.items() if id_ in cursors]
        found |= {Mark(position, id_) for id_, position in moves if position >= begun_at}
        return sorted(mark for mark in found if walking.mark < mark)

    def _step(self, user_id: UserId, mark: Mark, cursor: Cursor | None, limit: int, now: datetime) -> Step:
        id_ = mark.conversation_id
        if self.positions.is_gone((user_id, id_)):
            return Step(mark, gone=True)
        return Step(mark, self._delta(self._conversations[id_], user_id, cursor, limit, now))

    async def has_more_conversations_than(self, user_id: UserId, most: int) -> bool:
        return sum(self._request(id_, user_id) is not Request.DECLINED for id_ in self._of(user_id)) > most

    def _look(self) -> None:
        rooms = self._conversations.values()
        own = {
            (member.user_id, room.id): (
                self._own.get((member.user_id, room.id)),
                self._own_read.get((member.user_id, room.id)),
                member.read_seq,
                member.request,
            )
            for room in rooms
            for member in room.members
        }
        self.positions.look(rooms, own)

    async def joined_of(
        self, user_id: UserId, conversation_ids: Collection[ConversationId]
    ) -> Collection[ConversationId]:
        return {
            id_
            for id_ in conversation_ids
            if self._is_member(id_, user_id) and self._request(id_, user_id) is not Request.DECLINED
        }

    async def change_own_state(
        self, conversation_id: ConversationId, user_id: UserId, change: OwnChange, now: datetime
    ) -> OwnState | None:
        if not self._is_member(conversation_id, user_id):
            return None
        before = self._own_state(conversation_id, user_id, now)
        after = apply_own_change(before, change, now)
        if after != before:
            self._own[user_id, conversation_id] = after
            self._own_moved[user_id, conversation_id] = now
        return after

    async def recipients_of(
        self, conversation_ids: Collection[ConversationId]
    ) -> Mapping[ConversationId, Sequence[Recipient]]:
        return {
            id_: [Recipient(m.user_id, m.visible_after_seq, m.request) for m in self._conversations[id_].members]
            for id_ in conversation_ids
            if id_ in self._conversations and self._conversations[id_].members
        }

    async def contacts_among(self, user_id: UserId, candidates: Collection[UserId]) -> Collection[UserId]:
        let_in = [id_ for id_ in self._of(user_id) if self._request(id_, user_id) is Request.NONE]
        mine = [id_ for id_ in let_in if not self._conversations[id_].blocked]
        members = [member for id_ in mine for member in self._conversations[id_].members]
        known = {member.user_id for member in members if member.request is Request.NONE} - {user_id}
        return [candidate for candidate in candidates if candidate in known]

    async def index_words(self, keys: Sequence[tuple[ConversationId, int]]) -> None:
        self._indexed |= set(keys)

    async def index_old(self, limit: int) -> int:
        # The words are made when they are asked for.
        return 0

    async def search(
        self, user_id: UserId, query: str, within: ConversationId | None, below: MessageId | None, limit: int
    ) -> Sequence[Message]:
        found = [
            message
            for id_ in self._of(user_id)
            for message in self._messages[id_]
            if (within == id_ or (within is None and self._request(id_, user_id) is Request.NONE))
            and (id_, message.seq) in self._indexed
            and message.seq > self._visible_after(id_, user_id)
            and (below is None or message.id < below)
            and answers(words_of(text_of(message.content)), query)
        ]
        return sorted(found, key=lambda message: message.id, reverse=True)[:limit]

    async def put_invite(self, invite: Invite) -> None:
        await self.revoke_invites(invite.conversation_id)
        self._invites[invite.token_sha256] = invite

    async def revoke_invites(self, conversation_id: ConversationId) -> None:
        self._invites = {
            key: replace(kept, expires_at=NEVER) if kept.conversation_id == conversation_id else kept
            for key, kept in self._invites.items()
        }

    async def find_used_invite(self, token_sha256: bytes) -> Invite | None:
        return self._invites.get(token_sha256)

    async def find_invite(self, token_sha256: bytes, now: datetime) -> Invite | None:
        invite = self._invites.get(token_sha256)
        return invite if invite and invite.expires_at > now else None

    async def list_bans(
        self, conversation_id: ConversationId, below: tuple[datetime, UserId] | None, limit: int
    ) -> Sequence[Ban]:
        bans = self._bans.get(conversation_id, {}).values()
        found = [ban for ban in bans if below is None or (ban.banned_at, ban.user_id) < below]
        return sorted(found, key=lambda ban: (ban.banned_at, ban.user_id), reverse=True)[:limit]

    async def was_asked(self, conversation_id: ConversationId, user_id: UserId, key: str) -> bool:
        return (conversation_id, user_id, key) in self._request_keys

    def _write_bans(self, before: Conversation, after: Conversation, stamp: LineStamp) -> None:
        bans = self._bans[after.id]
        for user in before.banned - after.banned:
            del bans[user]
        for user in after.banned - before.banned:
            bans[user] = Ban(user, stamp.actor, stamp.now)
        self._invites = {
            token: replace(invite, expires_at=NEVER)
            if invite.conversation_id == after.id and invite.created_by in after.banned
            else invite
            for token, invite in self._invites.items()
        }

    def set_request(self, conversation_id: ConversationId, user_id: UserId, request: Request, now: datetime) -> None:
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

    def conversations_of(self, user_id: UserId) -> list[Conversation]:
        """Those that the person is in."""
        return [room for room in self._conversations.values() if room.member(user_id)]

    def direct_of(self, key: str) -> Conversation | None:
        """The direct conversation of a pair."""
        return self._conversations[self._keys[key]] if key in self._keys else None

    def messages_of(self, conversation_id: ConversationId) -> Sequence[Message]:
        """All that is in a conversation."""
        return self._messages[conversation_id]

    def _written(self, room: Conversation, user_id: UserId) -> int:
        """How much a person wrote; what the retention deleted counts too."""
        own = [m for m in self._messages[room.id] if m.sender_id == user_id]
        return room.history_start_seq + sum(not m.client_message_id.startswith("\x1f") for m in own)

    def _insert(self, conversation: Conversation, key: str) -> tuple[Conversation, bool]:
        is_new = key not in self._keys
        if is_new:
            self._keys[key] = conversation.id
            self._conversations[conversation.id] = conversation
            self._messages[conversation.id] = []
            self._active[conversation.id] = conversation.created_at
            self.events.append(conversation_created(conversation))
        return self._conversations[self._keys[key]], is_new

    def _write_line(self, change: GroupChange, stamp: LineStamp) -> Conversation:
        if change.line is not None:
            self._append(line_message(change, stamp))
        return self._conversations[change.after.id]

    def _append(self, message: Message) -> None:
        id_ = message.conversation_id
        self._messages[id_].append(message)
        self._active[id_] = max(self._active[id_], message.sent_at)
        self._conversations[id_] = replace(self._conversations[id_], last_seq=message.seq)
        self.events.append(message_sent(message))

    def queue_delete(self, upload: Upload) -> None:
        """The object of a forgotten upload is to be deleted."""
        key = object_key(upload.attachment.id)
        self.pending_deletes[key] = PendingDelete(key, upload.put_until)

    def _release(self, message: Message | None) -> None:
        for attachment in message.attachments if message else ():
            self.queue_delete(self.attached_uploads.pop(attachment.id))

    def _require(self, conversation_id: ConversationId) -> Conversation:
        if conversation_id not in self._conversations:
            raise ConversationNotFound
        return self._conversations[conversation_id]

    def _of(self, user_id: UserId) -> list[ConversationId]:
        return [id_ for id_ in self._conversations if self._is_member(id_, user_id)]

    def _request(self, conversation_id: ConversationId, user_id: UserId) -> Request:
        member = self._conversations[conversation_id].member(user_id)
        return member.request if member else Request.NONE

    def _is_member(self, conversation_id: ConversationId, user_id: UserId) -> bool:
        conversation = self._conversations.get(conversation_id)
        return conversation is not None and conversation.member(user_id) is not None

    def _visible_after(self, conversation_id: ConversationId, user_id: UserId) -> int:
        conversation = self._conversations[conversation_id]
        member = conversation.member(user_id)
        return max(member.visible_after_seq if member else 0, conversation.history_start_seq)

    def _delta(
        self, conversation: Conversation, user_id: UserId, cursor: Cursor | None, limit: int, now: datetime
    ) -> Delta:
        visible_after = self._visible_after(conversation.id, user_id)
        known_seq = cursor.seq if cursor else 0
        start = max(visible_after, known_seq or conversation.last_seq - limit)
        messages = self._messages[conversation.id]
        new = [message for message in messages if message.seq > start]
        revision = cursor.revision if cursor else conversation.revision
        changed = [m for m in messages if m.revision > revision and visible_after < m.seq <= known_seq]
        changed.sort(key=lambda message: message.revision)
        own = self._own_state(conversation.id, user_id, now)
        return build_delta(conversation, cursor, new[: limit + 1], changed[: limit + 1], own, limit)

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


def _asked(members: Sequence[Member]) -> int:
    return sum(member.request is Request.PENDING for member in members)


def _is_behind(conversation: Conversation, cursor: Cursor) -> bool:
    return conversation.last_seq > cursor.seq or conversation.revision > cursor.revision
