"""Groups, invites and bans, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from services.messaging.groups.core.changes import Ban, ChangeStamp, GroupChange, system_message
from services.messaging.groups.ports import REQUEST_KEYS_KEPT, DecideGroup, Invite
from services.messaging.kernel.model import (
    Conversation,
    ConversationId,
    UserId,
)
from services.messaging.kernel.quotas import DayQuota
from services.messaging.pins.ports import DecidePin
from services.messaging.wire.events import conversation_changed
from tests.support.messaging_state import MemoryState, pending_requests
from tests.support.relations import FakeRelations

# Of an invite that lets nobody in any more.
NEVER = datetime.fromtimestamp(0, UTC)


class MemoryGroups(MemoryState):
    """See services.messaging.groups.ports: GroupStore and InviteStore."""

    relations: FakeRelations

    async def create_group(
        self, change: GroupChange, creation_key: str, stamp: ChangeStamp, quota: DayQuota
    ) -> Conversation:
        if f"group {creation_key}" not in self._keys:
            self.relations.check_quota(quota, 1, pending_requests(change.after.members))
        group, is_new = self._insert(change.after, f"group {creation_key}")
        return self._write_system_message(replace(change, after=group), stamp) if is_new else group

    async def change_group(
        self,
        conversation_id: ConversationId,
        decide: DecideGroup,
        stamp: ChangeStamp,
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
            self.relations.check_quota(quota, 0, pending_requests(new_members))
        if key:
            self._request_keys[asked] = stamp.now
        if change is None:
            return before
        self._conversations[conversation_id] = replace(change.after, banned=frozenset())
        self._write_bans(before, change.after, stamp)
        told = change.after if change.system is None else replace(change.after, last_seq=change.after.last_seq + 1)
        self.events.append(conversation_changed(stamp.message_id, told, change.removed, stamp.now))
        return self._write_system_message(change, stamp)

    async def change_pins(
        self, conversation_id: ConversationId, seq: int, decide: DecidePin, stamp: ChangeStamp
    ) -> Conversation:
        """See services.messaging.pins.ports.PinStore."""
        before = self._require(conversation_id)
        change = decide(before, await self.find_message(conversation_id, seq))
        if change is None:
            return before
        self._conversations[conversation_id] = change.after
        told = change.after if change.system is None else replace(change.after, last_seq=change.after.last_seq + 1)
        self.events.append(conversation_changed(stamp.message_id, told, (), stamp.now))
        return self._write_system_message(change, stamp)

    async def find_group(self, creation_key: str) -> Conversation | None:
        found = self._keys.get(f"group {creation_key}")
        return self._conversations[found] if found else None

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

    async def was_done(self, conversation_id: ConversationId, user_id: UserId, key: str) -> bool:
        return (conversation_id, user_id, key) in self._request_keys

    def _write_bans(self, before: Conversation, after: Conversation, stamp: ChangeStamp) -> None:
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

    def _write_system_message(self, change: GroupChange, stamp: ChangeStamp) -> Conversation:
        if change.system is not None:
            self._append(system_message(change, stamp))
        return self._conversations[change.after.id]
