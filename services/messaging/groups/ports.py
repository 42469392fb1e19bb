"""What groups need of the world beside messaging's store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from services.messaging.groups.core import Ban
from services.messaging.kernel.model import ConversationId, UserId

# How long a request to add or to join is known to be done. Higher: more rows. Lower: late retries do it again.
REQUEST_KEYS_KEPT = timedelta(days=37)


@dataclass(frozen=True)
class Invite:
    """A right to join. Only the hash of its token is stored."""

    token_sha256: bytes
    conversation_id: ConversationId
    created_by: UserId
    expires_at: datetime


class InviteStore(Protocol):
    """Who comes in: invites, one a group that can be used; bans; and what was asked for already.

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

    async def was_asked(self, conversation_id: ConversationId, user_id: UserId, key: str) -> bool:
        """Whether this person's request of this key was done in the group (Store.change_group) within about a month."""
