"""A store of messaging in memory, held to the same contract as PostgreSQL's."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from services.messaging.attachments.core.view_once import kept_until
from services.messaging.kernel.content import kind_of
from services.messaging.kernel.errors import (
    MessageNotFound,
    MessagingError,
    NotAllowed,
)
from services.messaging.kernel.model import (
    Conversation,
    ConversationId,
    Draft,
    DraftKey,
    Edit,
    Message,
    Recipient,
    UserId,
    pair_key,
)
from services.messaging.kernel.own_state import (
    OwnChange,
    OwnState,
    apply_own_change,
)
from services.messaging.kernel.quotas import DayQuota
from services.messaging.kernel.request import RequestState
from services.messaging.messages.core.sequencing import ConversationStates, first_result, sequence_drafts
from services.messaging.messages.ports import DecideMessage
from services.messaging.relations.core.reach import invite
from services.messaging.wire.events import message_changed
from tests.support.messaging_groups import MemoryGroups
from tests.support.messaging_state import pending_requests
from tests.support.messaging_sync import MemorySync
from tests.support.relations import FakeRelations


class FakeStore(MemorySync, MemoryGroups):
    """See ports.py of messaging's features: one store for all of them."""

    def __init__(self, large_above: int = 16) -> None:
        super().__init__(large_above)
        # As a test sets them: what is judged as of another one is not stored.
        self.versions: dict[ConversationId, int] = {}
        self.relations = FakeRelations(self)

    async def open_direct(self, conversation: Conversation, opener: UserId, quota: DayQuota) -> Conversation:
        key = pair_key(conversation.members[0].user_id, conversation.members[1].user_id)
        known = self.direct_of(key)
        if known:
            if known.blocked:
                raise NotAllowed
            return known
        peer = next(member.user_id for member in conversation.members if member.user_id != opener)
        invited = invite(conversation, opener, self.relations.relationship(peer, opener))
        self.relations.check_quota(quota, 1, pending_requests(invited.members))
        return self._insert(invited, key)[0]

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
            id_: [
                Recipient(m.user_id, m.visible_after_seq, m.joined_at.timestamp(), m.request)
                for m in self._conversations[id_].members
            ]
            for id_ in conversation_ids
            if id_ in self._conversations and self._conversations[id_].members
        }

    async def contacts_among(self, user_id: UserId, candidates: Collection[UserId]) -> Collection[UserId]:
        let_in = [id_ for id_ in self._of(user_id) if self._request(id_, user_id) is RequestState.ACCEPTED]
        mine = [id_ for id_ in let_in if not self._conversations[id_].blocked]
        members = [member for id_ in mine for member in self._conversations[id_].members]
        known = {member.user_id for member in members if member.request is RequestState.ACCEPTED} - {user_id}
        return [candidate for candidate in candidates if candidate in known]

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
        conversations = [self._conversations[id_] for id_ in ids]
        states = ConversationStates(
            last_seqs={conversation.id: conversation.last_seq for conversation in conversations},
            last_times={id_: self._messages[id_][-1].sent_at for id_ in ids if self._messages[id_]},
            senders={
                (conversation.id, member.user_id): member.request
                for conversation in conversations
                for member in conversation.members
            },
            blocked={conversation.id for conversation in conversations if conversation.blocked},
            frozen={conversation.id for conversation in conversations if conversation.frozen},
            vanish_after={conversation.id: conversation.vanish_after for conversation in conversations},
            unused=self.unused_uploads.keys(),
            versions={id_: self.versions.get(id_, 0) for id_ in ids},
            sent_in_request={
                (conversation.id, member.user_id): self._written(conversation, member.user_id)
                for conversation in conversations
                for member in conversation.members
                if conversation.is_unaccepted_by_others(member.user_id)
            },
        )
        sequenced = sequence_drafts(drafts, states, stored)
        for message in sequenced.inserted:
            for attachment in message.attachments:
                self.attached_uploads[attachment.id] = self.unused_uploads.pop(attachment.id)
            if due := kept_until(message):
                self._release_at[message.conversation_id, message.seq] = due
            self._append(message)
        for id_, user_id in sequenced.accepted:
            self.set_request(
                id_, user_id, RequestState.ACCEPTED, max(message.sent_at for message in sequenced.inserted)
            )
        return sequenced.outcomes

    async def find_sent(self, key: DraftKey) -> Message | None:
        messages = self._messages.get(key.conversation_id, ())
        found = next(
            (m for m in messages if (m.sender_id, m.client_message_id) == (key.sender_id, key.client_message_id)), None
        )
        return found and first_result(found, is_member=self._is_member(key.conversation_id, key.sender_id))

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
        if change.reaction is None and change.vote is None:
            self._indexed.discard((conversation_id, seq))
        if kind_of(after.content).is_gone:
            self._edits.pop((conversation_id, seq), None)
            self._openings.pop((conversation_id, seq), None)
            self._unpin(conversation_id, seq)
            self._release(before)
        self.events.append(message_changed(after.id, after, now))
        return after

    async def list_edits(self, conversation_id: ConversationId, seq: int) -> Sequence[Edit]:
        return list(self._edits.get((conversation_id, seq), []))
