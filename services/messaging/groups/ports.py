"""What groups need of the world."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from services.messaging.groups.core.changes import Ban, ChangeStamp, GroupChange
from services.messaging.kernel.model import Conversation, ConversationId, UserId
from services.messaging.kernel.quotas import DayQuota

# How long a request to add or to join is known to be done. Raising it keeps more rows; lowering it lets a late retry do
# it again.
REQUEST_KEYS_KEPT = timedelta(days=37)

# Decides under the conversation's lock; None for nothing to do. What it raises undoes the transaction.
DecideGroup = Callable[[Conversation], GroupChange | None]


@dataclass(frozen=True)
class Invite:
    """A right to join. Only the hash of its token is stored."""

    token_sha256: bytes
    conversation_id: ConversationId
    created_by: UserId
    expires_at: datetime


class GroupStore(Protocol):
    """The truth. Every change writes its event to the outbox in the same transaction.

    Errors of every method: runtime's StoreUnavailable.
    """

    async def create_group(
        self, change: GroupChange, creation_key: str, stamp: ChangeStamp, quota: DayQuota
    ) -> Conversation:
        """Store a new group unless the key has one; give the one that stands. Idempotent; only new ones count.

        Errors: ConversationQuota, RequestQuota.
        """

    async def change_group(
        self,
        conversation_id: ConversationId,
        decide: DecideGroup,
        stamp: ChangeStamp,
        key: str = "",
        quota: DayQuota | None = None,
    ) -> Conversation:
        """Lock, decide, write; the conversation as it stands then. The decision alone is given the bans.

        A key, of the stamp's actor in this group, is kept for about a month once it was decided: then nothing more is
        done under it. The invites of whom the change bans are revoked. People who have to let it in are counted.
        Errors: ConversationNotFound, RequestQuota.
        """

    async def find_group(self, creation_key: str) -> Conversation | None:
        """The group that was made under this key."""


class InviteStore(Protocol):
    """Who comes in: invites, one a group that can be used; bans; and which requests were done already.

    Errors of every method: runtime's StoreUnavailable.
    """

    async def put_invite(self, invite: Invite) -> None:
        """Store it in place of the group's older ones."""

    async def revoke_invites(self, conversation_id: ConversationId) -> None:
        """Let nobody in by the group's invites any more. Idempotent."""

    async def find_invite(self, token_sha256: bytes, now: datetime) -> Invite | None:
        """An invite that has not expired."""

    async def find_used_invite(self, token_sha256: bytes) -> Invite | None:
        """An invite, also one that expired or was revoked within about a month: who came in by it may ask again."""

    async def list_bans(
        self, conversation_id: ConversationId, below: tuple[datetime, UserId] | None, limit: int
    ) -> Sequence[Ban]:
        """The group's bans, the newest first."""

    async def was_done(self, conversation_id: ConversationId, user_id: UserId, key: str) -> bool:
        """Whether this person's request of this key was done in the group (change_group) within about a month."""
