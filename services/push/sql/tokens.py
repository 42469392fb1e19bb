"""PostgreSQL: tokens and settings, and what goes with an account."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.push.core.errors import TooManyConversations
from services.push.core.model import ConversationId, DeviceId, Level, Provider, Settings, Token, UserId
from services.push.sql.rows import of_quiet_hours, to_settings
from services.runtime.postgres.database import Connection, Database

_LOCK = "SELECT FROM people WHERE user_id = $1 FOR UPDATE"
_KNOW = "INSERT INTO people (user_id) VALUES ($1) ON CONFLICT DO NOTHING"
_TAKE_OVER = "DELETE FROM tokens WHERE provider = $1 AND address = $2 AND NOT (user_id = $3 AND device_id = $4)"
# Two who register one token at a time do it one after the other.
_LOCK_ADDRESS = "SELECT pg_advisory_xact_lock($1, hashtext($2))"
# Any fixed number serves, so long as no other lock of this database takes it.
_ADDRESS_LOCKS = 0x7075736
_REGISTER = """
INSERT INTO tokens (id, user_id, device_id, provider, address, app, p256dh, auth, register_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (user_id, device_id, provider) DO UPDATE SET
    address = excluded.address, app = excluded.app, p256dh = excluded.p256dh, auth = excluded.auth,
    register_time = greatest(tokens.register_time, excluded.register_time)
"""
_DROP_OLDEST = """
DELETE FROM tokens WHERE user_id = $1 AND device_id IN (
    SELECT device_id FROM tokens WHERE user_id = $1
    GROUP BY device_id ORDER BY max(register_time) DESC, device_id OFFSET $2
)
"""
_REMOVE = "DELETE FROM tokens WHERE user_id = $1 AND device_id = $2 AND ($3::text IS NULL OR provider = $3)"
_SETTINGS = "SELECT level, previews, quiet_hours FROM people WHERE user_id = $1"
_LEVELS = "SELECT conversation_id, level FROM conversation_levels WHERE user_id = $1 ORDER BY conversation_id"
_WRITE_SETTINGS = "UPDATE people SET level = $2, previews = $3, quiet_hours = $4 WHERE user_id = $1"
_CLEAR_LEVEL = "DELETE FROM conversation_levels WHERE user_id = $1 AND conversation_id = $2"
_SET_LEVEL = """
INSERT INTO conversation_levels (user_id, conversation_id, level) VALUES ($1, $2, $3)
ON CONFLICT (user_id, conversation_id) DO UPDATE SET level = excluded.level
"""
_COUNT_LEVELS = "SELECT count(*) FROM conversation_levels WHERE user_id = $1"
_REGISTERED = """
SELECT device_id, max(register_time) AS time FROM tokens WHERE user_id = $1 GROUP BY device_id ORDER BY device_id
"""
# Deliveries go with the tokens.
_ERASE = (
    "DELETE FROM tokens WHERE user_id = $1",
    "DELETE FROM threads WHERE user_id = $1",
    "DELETE FROM reactors WHERE user_id = $1",
    "DELETE FROM conversation_levels WHERE user_id = $1",
    # Rows of others, in the order in which those who hold their locks write them.
    "SELECT FROM threads WHERE from_user_id = $1 ORDER BY user_id, key FOR UPDATE",
    "SELECT FROM reactors WHERE user_ids && ARRAY[$1] ORDER BY user_id, message_id FOR UPDATE",
    "UPDATE threads SET body = '', from_user_id = '' WHERE from_user_id = $1",
    "UPDATE reactors SET user_ids = array_remove(user_ids, $1) WHERE user_ids && ARRAY[$1]",
    "DELETE FROM people WHERE user_id = $1",
)
_EXPORT = {
    "notification_settings": """
        SELECT user_id, level, previews, quiet_hours, is_attended FROM people WHERE user_id = $1
    """,
    "notification_level": """
        SELECT user_id, conversation_id, level FROM conversation_levels WHERE user_id = $1 ORDER BY conversation_id
    """,
    "notification_device": """
        SELECT user_id, device_id, provider, app, register_time FROM tokens WHERE user_id = $1
        ORDER BY device_id, provider
    """,
}


class PostgresTokens:
    """See ports.Tokens and ports.Accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, token: Token, most: int, now: datetime) -> None:
        async with self._database.transaction() as connection:
            await _lock(connection, token.user_id)
            provider = token.provider.value
            await connection.execute(_LOCK_ADDRESS, _ADDRESS_LOCKS, token.address)
            await connection.execute(_TAKE_OVER, provider, token.address, token.user_id, token.device_id)
            await connection.execute(
                _REGISTER,
                UUID(token.id),
                token.user_id,
                token.device_id,
                provider,
                *(token.address, token.app, token.p256dh, token.auth, now),
            )
            await connection.execute(_DROP_OLDEST, token.user_id, most)

    async def remove(self, user_id: UserId, device_id: DeviceId, provider: Provider | None) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK, user_id)
            await connection.execute(_REMOVE, user_id, device_id, provider.value if provider else None)

    async def settings(self, user_id: UserId) -> Settings:
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_SETTINGS, user_id)
            levels = await connection.fetch(_LEVELS, user_id)
        found = {ConversationId(str(level["conversation_id"])): Level(level["level"]) for level in levels}
        return to_settings(row, found) if row else Settings(conversations=found)

    async def write_settings(self, user_id: UserId, settings: Settings) -> None:
        async with self._database.transaction() as connection:
            await _lock(connection, user_id)
            await connection.execute(
                *(_WRITE_SETTINGS, user_id, settings.level.value, settings.previews),
                of_quiet_hours(settings.quiet_hours),
            )

    async def set_level(self, user_id: UserId, conversation_id: ConversationId, level: Level | None, most: int) -> None:
        async with self._database.transaction() as connection:
            await _lock(connection, user_id)
            if level is None:
                await connection.execute(_CLEAR_LEVEL, user_id, UUID(conversation_id))
                return
            await connection.execute(_SET_LEVEL, user_id, UUID(conversation_id), level.value)
            if await connection.fetchval(_COUNT_LEVELS, user_id) > most:
                raise TooManyConversations(f"{most} conversations have a level of their own already")

    async def erase(self, user_id: UserId) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK, user_id)
            for statement in _ERASE:
                await connection.execute(statement, user_id)

    async def registered(self, user_id: UserId) -> Sequence[tuple[DeviceId, datetime]]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(_REGISTERED, user_id)
        return [(DeviceId(row["device_id"]), row["time"]) for row in rows]

    async def rows_of(self, user_id: UserId) -> Sequence[tuple[str, dict[str, object]]]:
        async with self._database.connection() as connection:
            return [
                (kind, dict(row))
                for kind, statement in _EXPORT.items()
                for row in await connection.fetch(statement, user_id)
            ]


async def _lock(connection: Connection, user_id: UserId) -> None:
    await connection.execute(_KNOW, user_id)
    await connection.execute(_LOCK, user_id)
