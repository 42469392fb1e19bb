"""PostgreSQL: join links."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from services.runtime.postgres.database import Database
from services.signaling.core.model import CallId, LinkId, ScheduledId, UserId
from services.signaling.links.core import JoinLink, StoredLink

# In the turn of the call's row, or of the scheduled one's: two that come at once are counted one after the other.
_LOCK = "SELECT FROM calls WHERE call_id = $1 FOR UPDATE"
_LOCK_SCHEDULED = "SELECT FROM scheduled_calls WHERE scheduled_id = $1 FOR UPDATE"
_COUNT = """
SELECT count(*) FROM join_links WHERE (call_id = $1 OR scheduled_id = $1) AND revoke_time IS NULL AND expire_time > $2
"""
_INSERT = """
INSERT INTO join_links
    (link_id, call_id, maker_id, create_time, expire_time, secret_hash, salt, request_hash, scheduled_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_BY_REQUEST = "SELECT * FROM join_links WHERE request_hash = $1"
_BY_HASH = "SELECT * FROM join_links WHERE secret_hash = $1"
_BY_ID = "SELECT * FROM join_links WHERE link_id = $1"
_OF_TARGET = "SELECT * FROM join_links WHERE call_id = $1 OR scheduled_id = $1 ORDER BY link_id"
_BIND = "UPDATE join_links SET call_id = $2 WHERE scheduled_id = $1 AND call_id IS NULL"
_REVOKE = """
UPDATE join_links SET revoke_time = coalesce(revoke_time, $2) WHERE link_id = $1 RETURNING *
"""
_UNCLOSED = """
SELECT * FROM join_links WHERE revoke_time IS NOT NULL AND close_time IS NULL ORDER BY revoke_time LIMIT $1
"""
_CLOSED = "UPDATE join_links SET close_time = $2 WHERE link_id = $1"


class PostgresLinks:
    """See ports.LinkStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, stored: StoredLink, now: datetime, limit: int) -> bool:
        """See ports.LinkStore."""
        link = stored.link
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK_SCHEDULED if link.scheduled_id else _LOCK, link.target_id)
            if stored.request_hash and await connection.fetchrow(_BY_REQUEST, stored.request_hash):
                return True
            if await connection.fetchval(_COUNT, link.target_id, now) >= limit:
                return False
            await connection.execute(
                _INSERT,
                *(link.link_id, link.call_id, link.maker_id, link.create_time, link.expire_time),
                *(stored.secret_hash, stored.salt, stored.request_hash, link.scheduled_id),
            )
        return True

    async def find_by_request(self, request_hash: bytes) -> StoredLink | None:
        """See ports.LinkStore."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_BY_REQUEST, request_hash)
        return StoredLink(_link(row), row["secret_hash"], row["salt"], row["request_hash"]) if row else None

    async def find_by_secret(self, secret_hash: bytes) -> JoinLink | None:
        """See ports.LinkStore."""
        return next(iter(await self._select(_BY_HASH, secret_hash)), None)

    async def find(self, link_id: LinkId) -> JoinLink | None:
        """See ports.LinkStore."""
        return next(iter(await self._select(_BY_ID, link_id)), None)

    async def list_of(self, target_id: CallId) -> Sequence[JoinLink]:
        """See ports.LinkStore."""
        return await self._select(_OF_TARGET, target_id)

    async def bind(self, scheduled_id: ScheduledId, call_id: CallId) -> None:
        """See ports.LinkStore."""
        async with self._database.connection() as connection:
            await connection.execute(_BIND, scheduled_id, call_id)

    async def revoke(self, link_id: LinkId, now: datetime) -> JoinLink | None:
        """See ports.LinkStore."""
        return next(iter(await self._select(_REVOKE, link_id, now)), None)

    async def list_unclosed(self, limit: int) -> Sequence[JoinLink]:
        """See ports.LinkStore."""
        return await self._select(_UNCLOSED, limit)

    async def note_closed(self, link_id: LinkId, now: datetime) -> None:
        """See ports.LinkStore."""
        async with self._database.connection() as connection:
            await connection.execute(_CLOSED, link_id, now)

    async def _select(self, query: str, *arguments: object) -> Sequence[JoinLink]:
        async with self._database.connection() as connection:
            return [_link(row) for row in await connection.fetch(query, *arguments)]


def _link(row: asyncpg.Record) -> JoinLink:
    return JoinLink(
        LinkId(str(row["link_id"])),
        CallId(str(row["call_id"])) if row["call_id"] else None,
        UserId(row["maker_id"]),
        *(row["create_time"], row["expire_time"], row["revoke_time"]),
        ScheduledId(str(row["scheduled_id"])) if row["scheduled_id"] else None,
    )
