"""PostgreSQL: who comes into groups."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.messaging.conversations.sql.conversations import lock_counters
from services.messaging.groups.core.changes import Ban
from services.messaging.groups.ports import Invite
from services.messaging.kernel.errors import ConversationNotFound
from services.messaging.kernel.model import ConversationId, UserId
from services.runtime.postgres.database import Database

# How long who came in by an invite may ask again after it ended. Raising it keeps more rows; lowering it refuses late
# retries.
KEPT = timedelta(days=37)
_REVOKE = (
    "UPDATE invites SET ended_before = expires_at, expires_at = 'epoch'"
    " WHERE conversation_id = $1 AND ended_before IS NULL"
)


class PostgresInvites:
    """See ports.InviteStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put_invite(self, invite: Invite) -> None:
        async with self._database.transaction() as connection:
            if not await lock_counters(connection, [invite.conversation_id]):
                raise ConversationNotFound
            await connection.execute(
                "DELETE FROM invites WHERE conversation_id = $1 AND coalesce(ended_before, expires_at) < $2",
                invite.conversation_id,
                invite.expires_at - KEPT,
            )
            await connection.execute(_REVOKE, invite.conversation_id)
            await connection.execute(
                "INSERT INTO invites (token_sha256, conversation_id, created_by, expires_at) VALUES ($1, $2, $3, $4)",
                invite.token_sha256,
                invite.conversation_id,
                invite.created_by,
                invite.expires_at,
            )

    async def revoke_invites(self, conversation_id: ConversationId) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_REVOKE, conversation_id)

    async def find_invite(self, token_sha256: bytes, now: datetime) -> Invite | None:
        async with self._database.connection() as connection:
            found = await connection.fetchrow(
                "SELECT token_sha256, conversation_id, created_by, expires_at FROM invites"
                " WHERE token_sha256 = $1 AND expires_at > $2",
                token_sha256,
                now,
            )
        return Invite(*found) if found else None

    async def find_used_invite(self, token_sha256: bytes) -> Invite | None:
        async with self._database.connection() as connection:
            found = await connection.fetchrow(
                "SELECT token_sha256, conversation_id, created_by, expires_at FROM invites WHERE token_sha256 = $1",
                token_sha256,
            )
        return Invite(*found) if found else None

    async def list_bans(
        self, conversation_id: ConversationId, below: tuple[datetime, UserId] | None, limit: int
    ) -> Sequence[Ban]:
        async with self._database.connection() as connection:
            found = await connection.fetch(
                "SELECT user_id, banned_by, banned_at FROM group_bans WHERE conversation_id = $1"
                " AND ($2::timestamptz IS NULL OR (banned_at, user_id) < ($2, $3))"
                " ORDER BY banned_at DESC, user_id DESC LIMIT $4",
                *(conversation_id, *(below or (None, None)), limit),
            )
        return [Ban(*row) for row in found]

    async def was_done(self, conversation_id: ConversationId, user_id: UserId, key: str) -> bool:
        async with self._database.connection() as connection:
            found: bool = await connection.fetchval(
                "SELECT EXISTS (SELECT FROM group_request_keys"
                " WHERE conversation_id = $1 AND user_id = $2 AND request_key = $3)",
                *(conversation_id, user_id, key),
            )
        return found
