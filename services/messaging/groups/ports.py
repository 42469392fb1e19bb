"""What groups need of the world beside messaging's store."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.messaging.core.model import ConversationId, UserId


@dataclass(frozen=True)
class Invite:
    """A right to join. Only the hash of its token is stored."""

    token_sha256: bytes
    conversation_id: ConversationId
    created_by: UserId
    expires_at: datetime


class InviteStore(Protocol):
    """Invites, one a group that can be used. Errors of every method: runtime's StoreUnavailable."""

    async def put_invite(self, invite: Invite) -> None:
        """Store it in place of the group's older ones."""

    async def revoke_invites(self, conversation_id: ConversationId) -> None:
        """Let nobody in by the group's invites any more. Idempotent."""

    async def find_invite(self, token_sha256: bytes, now: datetime) -> Invite | None:
        """An invite that has not expired."""

    async def find_used_invite(self, token_sha256: bytes) -> Invite | None:
        """An invite, also one that expired or was revoked within about a month: who came in by it may ask again."""
