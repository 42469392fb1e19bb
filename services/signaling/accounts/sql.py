"""PostgreSQL: what stands about a person in the tables of calls."""

import json
from collections.abc import Sequence
from typing import Any

from services.runtime.postgres.database import Database
from services.signaling.accounts.ports import OwnCall
from services.signaling.core.model import Call, CallId, UserId
from services.signaling.core.quality import Direction, sum_up
from services.signaling.sql import rows
from services.signaling.sql import statements as sql

_RUNNING = sql.select_calls(
    "call_id IN (SELECT call_id FROM participants JOIN calls AS now USING (call_id)"
    " WHERE user_id = $1 AND now.state <> 'ended')"
)
_OWN = sql.select_calls(
    "call_id IN (SELECT call_id FROM participants WHERE user_id = $1 AND ($2::uuid IS NULL OR call_id > $2)"
    " ORDER BY call_id LIMIT $3)"
)
_NOTE = """
INSERT INTO erasures AS known (user_id, is_last) VALUES ($1, $2)
ON CONFLICT (user_id) DO UPDATE SET is_last = known.is_last OR excluded.is_last
"""
# Rows of both kinds: a call that lost its last participant before a crash has a caller still.
_ENDED = """
SELECT call_id FROM calls WHERE state = 'ended' AND call_id IN (
    SELECT call_id FROM participants WHERE user_id = $1 UNION SELECT call_id FROM calls WHERE caller_id = $1
    UNION SELECT call_id FROM media_quality WHERE user_id = $1
) ORDER BY call_id LIMIT $2 FOR UPDATE
"""
_ERASE = (
    "DELETE FROM media_quality WHERE call_id = ANY ($1) AND user_id = $2",
    "DELETE FROM participants WHERE call_id = ANY ($1) AND user_id = $2",
    "UPDATE calls SET caller_id = '' WHERE call_id = ANY ($1) AND caller_id = $2",
)
_ERASE_BESIDE = (
    "DELETE FROM call_keys WHERE user_id = $1",
    "DELETE FROM call_settings WHERE user_id = $1",
    "DELETE FROM sealed_call_keys WHERE user_id = $1 OR sender_user_id = $1",
    "DELETE FROM device_keys WHERE user_id = $1",
    "DELETE FROM account_keys WHERE user_id = $1",
    # A link without a host: its guests are put out by the sweep of links.
    "UPDATE join_links SET maker_id = '', revoke_time = coalesce(revoke_time, clock_timestamp()) WHERE maker_id = $1",
    "DELETE FROM scheduled_answers WHERE user_id = $1",
    "DELETE FROM scheduled_waiting WHERE user_id = $1",
    # What was planned is cancelled by the sweep of scheduled calls, which tells the others.
    "UPDATE scheduled_calls SET maker_id = '', title = '', request_id = NULL, version = version + 1,"
    " due_time = CASE WHEN due_time IS NULL THEN NULL ELSE clock_timestamp() END WHERE maker_id = $1",
)
_EMPTY = "SELECT call_id FROM calls WHERE call_id = ANY ($1) AND call_id NOT IN (SELECT call_id FROM participants)"
_FINISH_DELETION = """
DELETE FROM erasures WHERE user_id = $1 AND is_last AND NOT EXISTS (
    SELECT FROM participants JOIN calls USING (call_id) WHERE user_id = $1 AND calls.state <> 'ended'
) RETURNING user_id
"""
_ROWS = (
    ("call_settings", "SELECT to_jsonb(t) AS row FROM call_settings t WHERE user_id = $1"),
    ("account_keys", "SELECT to_jsonb(t) AS row FROM account_keys t WHERE user_id = $1"),
    # What is sealed opens on the device alone.
    (
        "device_keys",
        "SELECT to_jsonb(t) - 'sealed_account_key' AS row FROM device_keys t WHERE user_id = $1 ORDER BY device_id",
    ),
    (
        "join_link",
        "SELECT to_jsonb(t) - '{secret_hash,salt,request_hash}'::text[] AS row FROM join_links t WHERE maker_id = $1"
        " ORDER BY link_id",
    ),
    (
        "scheduled_call",
        "SELECT to_jsonb(t) AS row FROM scheduled_calls t WHERE maker_id = $1 ORDER BY scheduled_id",
    ),
    (
        "scheduled_answer",
        "SELECT to_jsonb(t) AS row FROM scheduled_answers t WHERE user_id = $1 ORDER BY scheduled_id",
    ),
    (
        "scheduled_waiting",
        "SELECT to_jsonb(t) AS row FROM scheduled_waiting t WHERE user_id = $1 ORDER BY scheduled_id",
    ),
    ("call_key", "SELECT to_jsonb(t) AS row FROM call_keys t WHERE user_id = $1 ORDER BY client_call_id"),
)
_MEDIA = """
SELECT call_id, to_jsonb(t) AS row FROM media_quality t WHERE call_id = ANY ($1) AND user_id = $2
ORDER BY call_id, device_id, worker_id, direction
"""


class PostgresAccounts:
    """See ports.AccountStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_running(self, user_id: UserId) -> Sequence[Call]:
        """See ports.AccountStore."""
        return await self._select(_RUNNING, user_id)

    async def note_deletion(self, user_id: UserId, *, is_last: bool) -> None:
        """See ports.AccountStore."""
        async with self._database.connection() as connection:
            await connection.execute(_NOTE, user_id, is_last)

    async def erase(self, user_id: UserId, limit: int) -> bool:
        """See ports.AccountStore."""
        async with self._database.transaction() as connection:
            for statement in _ERASE_BESIDE:
                await connection.execute(statement, user_id)
            ids = [row["call_id"] for row in await connection.fetch(_ENDED, user_id, limit)]
            for statement in _ERASE:
                await connection.execute(statement, ids, user_id)
            empty = [row["call_id"] for row in await connection.fetch(_EMPTY, ids)]
            for statement in sql.FORGET:
                await connection.execute(statement, empty)
        return len(ids) == limit

    async def finish_deletion(self, user_id: UserId) -> bool:
        """See ports.AccountStore."""
        async with self._database.connection() as connection:
            return await connection.fetchval(_FINISH_DELETION, user_id) is not None

    async def list_deletions(self, limit: int) -> Sequence[UserId]:
        """See ports.AccountStore."""
        async with self._database.connection() as connection:
            found = await connection.fetch("SELECT user_id FROM erasures ORDER BY user_id LIMIT $1", limit)
        return [UserId(row["user_id"]) for row in found]

    async def read_rows(self, user_id: UserId) -> Sequence[tuple[str, dict[str, Any]]]:
        """See ports.AccountStore."""
        found = []
        async with self._database.connection() as connection:
            for kind, query in _ROWS:
                found += [(kind, json.loads(row["row"])) for row in await connection.fetch(query, user_id)]
        return found

    async def read_calls(self, user_id: UserId, after: CallId | None, limit: int) -> Sequence[OwnCall]:
        """See ports.AccountStore."""
        calls = sorted(await self._select(_OWN, user_id, after, limit), key=lambda call: call.call_id)
        ids = [call.call_id for call in calls]
        async with self._database.connection() as connection:
            measured = await connection.fetch(sql.QUALITY, ids)
            media = await connection.fetch(_MEDIA, ids, user_id)
        return [
            OwnCall(
                call,
                sum_up(
                    (UserId(row["user_id"]), Direction(row["direction"]), rows.to_totals(row))
                    for row in measured
                    if str(row["call_id"]) == call.call_id
                ),
                [json.loads(row["row"]) for row in media if str(row["call_id"]) == call.call_id],
            )
            for call in calls
        ]

    async def _select(self, query: str, *arguments: object) -> Sequence[Call]:
        async with self._database.connection() as connection:
            found = await connection.fetch(query, *arguments)
        return rows.to_calls(found)
