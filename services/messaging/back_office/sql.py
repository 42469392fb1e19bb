"""PostgreSQL: what moderation decides."""

from datetime import datetime

from services.messaging.kernel.errors import ConversationNotFound
from services.messaging.kernel.model import ConversationId, UserId
from services.runtime.postgres.database import Database


class PostgresModeration:
    """See ports.ModerationStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set_frozen(self, conversation_id: ConversationId, *, frozen: bool) -> None:
        # The row's lock is that of sends: what is stored before is so before this is answered, and nothing after.
        async with self._database.connection() as connection:
            found = await connection.fetchval(
                "UPDATE conversations SET frozen = $2 WHERE id = $1 RETURNING true", conversation_id, frozen
            )
        if found is None:
            raise ConversationNotFound

    async def set_restriction(self, user_id: UserId, until: datetime | None) -> None:
        async with self._database.connection() as connection:
            if until is None:
                await connection.execute("DELETE FROM account_restrictions WHERE user_id = $1", user_id)
            else:
                await connection.execute(
                    "INSERT INTO account_restrictions (user_id, restricted_until) VALUES ($1, $2)"
                    " ON CONFLICT (user_id) DO UPDATE SET restricted_until = excluded.restricted_until",
                    *(user_id, until),
                )
