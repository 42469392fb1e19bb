"""PostgreSQL: what is due, what was given up, and what is kept for long enough. All times are the database's."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from services.push.core.effects import Shown
from services.push.core.model import DeviceId, Person, Provider, Token, UserId
from services.push.ports import Backlog, Claimed, DeadLetter
from services.push.sql.rows import THREAD_COLUMNS, to_settings, to_thread, to_token
from services.runtime.postgres.database import Database

_BACKLOGS = """
SELECT asked.provider, extract(epoch FROM first.due - clock_timestamp())::float8 AS due_in_s,
    extract(epoch FROM clock_timestamp() - oldest.queue_time)::float8 AS oldest_s
FROM unnest($1::text[]) AS asked (provider)
CROSS JOIN LATERAL (
    SELECT due FROM deliveries WHERE provider = asked.provider AND due IS NOT NULL ORDER BY due LIMIT 1
) AS first
CROSS JOIN LATERAL (
    SELECT queue_time FROM deliveries WHERE provider = asked.provider AND due IS NOT NULL ORDER BY queue_time LIMIT 1
) AS oldest
"""
_COLUMNS = ", ".join(f"t.{column.strip()}" for column in THREAD_COLUMNS.split(","))
# From here on each device may show its notice, whatever becomes of us.
_CLAIM = f"""
WITH taken AS (
    SELECT token_id, key, is_up FROM deliveries WHERE provider = $1 AND due <= clock_timestamp()
    ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED
), mine AS (
    UPDATE deliveries AS d SET claim = $4, is_up = true, due = clock_timestamp() + make_interval(secs => $3)
    FROM taken WHERE d.token_id = taken.token_id AND d.key = taken.key
    RETURNING d.token_id, d.user_id, d.key, d.version, taken.is_up AS was_up, d.attempts,
        extract(epoch FROM clock_timestamp() - d.queue_time)::float8 AS waited_s
)
SELECT mine.version AS has_version, mine.was_up, mine.attempts, mine.waited_s, k.id, k.user_id, k.device_id,
    k.provider, k.address, k.app, k.p256dh, k.auth, p.level, p.previews, p.quiet_hours, {_COLUMNS},
    (
        SELECT coalesce(sum(cardinality(b.seqs)), 0) FROM threads b
        WHERE b.user_id = mine.user_id AND b.kind IS NOT NULL AND b.kind <> 'request'
    )::int AS badge
FROM mine JOIN tokens k ON k.id = mine.token_id JOIN people p ON p.user_id = mine.user_id
JOIN threads t ON t.user_id = mine.user_id AND t.key = mine.key
"""  # noqa: S608
# The row itself says whether there is more: what was added while we waited for its lock is seen.
_SETTLE = """
UPDATE deliveries SET claim = NULL, version = $4, is_up = $5, last_status = $6, attempts = 0, give_up_time = NULL,
    due = CASE WHEN wanted > $4 THEN clock_timestamp() END
WHERE token_id = $1 AND key = $2 AND claim = $3
"""
_DEFER = """
UPDATE deliveries SET claim = NULL, attempts = attempts + 1, last_status = $4,
    due = clock_timestamp() + make_interval(secs => $5)
WHERE token_id = $1 AND key = $2 AND claim = $3
"""
_GIVE_UP = """
UPDATE deliveries SET claim = NULL, attempts = attempts + 1, last_status = $4,
    due = CASE WHEN wanted > $5 THEN clock_timestamp() END,
    give_up_time = CASE WHEN wanted > $5 THEN NULL ELSE clock_timestamp() END
WHERE token_id = $1 AND key = $2 AND claim = $3
"""
# As decisions do, the thread before its deliveries: two devices of a thread that end at once see each other.
_LOCK_THREAD = "SELECT FROM threads WHERE user_id = $1 AND key = $2 FOR UPDATE"
# All devices have it, or none is to: the words are of no more use here.
_DROP_WORDS = """
UPDATE threads SET body = '' WHERE user_id = $1 AND key = $2 AND version = $3 AND body <> ''
AND NOT EXISTS (SELECT FROM deliveries WHERE user_id = $1 AND key = $2 AND due IS NOT NULL)
"""
_LOCK = "SELECT FROM people WHERE user_id = $1 FOR UPDATE"
# It may have been registered anew while we sent to the one before.
_DELETE_TOKEN = "DELETE FROM tokens WHERE id = $1 AND address = $2"  # noqa: S105 - a statement
_DEAD = """
SELECT d.provider, d.user_id, k.device_id, d.give_up_time, d.attempts, d.last_status
FROM deliveries d JOIN tokens k ON k.id = d.token_id
WHERE d.give_up_time IS NOT NULL AND ($1::text IS NULL OR d.provider = $1) ORDER BY d.give_up_time DESC LIMIT $2
"""
_REPLAY = """
UPDATE deliveries SET due = clock_timestamp(), give_up_time = NULL, attempts = 0, queue_time = clock_timestamp()
WHERE (token_id, key) IN (
    SELECT token_id, key FROM deliveries
    WHERE give_up_time IS NOT NULL AND ($1::text IS NULL OR provider = $1) ORDER BY give_up_time LIMIT $2
    FOR UPDATE SKIP LOCKED
)
RETURNING 1
"""
_PURGE_THREADS = """
WITH gone AS (
    DELETE FROM threads WHERE (user_id, key) IN (
        SELECT user_id, key FROM threads WHERE change_time < now() - make_interval(secs => $1)
        ORDER BY change_time LIMIT $2 FOR UPDATE SKIP LOCKED
    ) RETURNING user_id, key
), unsent AS (
    DELETE FROM deliveries d USING gone WHERE d.user_id = gone.user_id AND d.key = gone.key
)
SELECT count(*) FROM gone
"""
_PURGE_REACTORS = """
WITH gone AS (
    DELETE FROM reactors WHERE (user_id, message_id) IN (
        SELECT user_id, message_id FROM reactors WHERE change_time < now() - make_interval(secs => $1)
        ORDER BY change_time LIMIT $2 FOR UPDATE SKIP LOCKED
    ) RETURNING 1
)
SELECT count(*) FROM gone
"""


class PostgresQueue:
    """See ports.Queue, ports.Operations and ports.Keeping."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def backlogs(self, providers: Collection[Provider]) -> Mapping[Provider, Backlog]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(_BACKLOGS, [provider.value for provider in providers])
        return {Provider(row["provider"]): Backlog(row["due_in_s"], row["oldest_s"]) for row in rows}

    async def claim(self, provider: Provider, limit: int, lease_s: float, claim: str) -> Sequence[Claimed]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(_CLAIM, provider.value, limit, lease_s, claim)
        return [
            Claimed(
                to_token(row),
                Person(UserId(row["user_id"]), to_settings(row)),
                to_thread(row),
                Shown(row["has_version"], row["was_up"]),
                row["badge"],
                row["attempts"],
                row["waited_s"],
                claim,
            )
            for row in rows
        ]

    async def settle(self, claimed: Claimed, version: int, *, is_up: bool, status: int) -> None:
        await self._end(claimed, _SETTLE, version, is_up, status, version=version)

    async def defer(self, claimed: Claimed, status: int, delay_s: float) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_DEFER, *_place(claimed), status, delay_s)

    async def give_up(self, claimed: Claimed, status: int) -> None:
        version = claimed.thread.version
        await self._end(claimed, _GIVE_UP, status, version, version=version)

    async def _end(self, claimed: Claimed, statement: str, *values: object, version: int) -> None:
        """Nothing is due any more, and the words go with it: not a moment later, which a kill would make for ever."""
        notice = claimed.thread.notice
        if notice is None or not notice.text:
            async with self._database.connection() as connection:
                await connection.execute(statement, *_place(claimed), *values)
            return
        thread = claimed.token.user_id, claimed.thread.key
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK_THREAD, *thread)
            await connection.execute(statement, *_place(claimed), *values)
            await connection.execute(_DROP_WORDS, *thread, version)

    async def drop_token(self, token: Token) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK, token.user_id)
            await connection.execute(_DELETE_TOKEN, UUID(token.id), token.address)

    async def dead_letters(self, provider: Provider | None, limit: int) -> Sequence[DeadLetter]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(_DEAD, provider.value if provider else None, limit)
        return [
            DeadLetter(
                Provider(row["provider"]),
                UserId(row["user_id"]),
                DeviceId(row["device_id"]),
                row["give_up_time"],
                row["attempts"],
                row["last_status"],
            )
            for row in rows
        ]

    async def replay(self, provider: Provider | None, limit: int) -> int:
        async with self._database.connection() as connection:
            return len(await connection.fetch(_REPLAY, provider.value if provider else None, limit))

    async def purge(self, keep_s: float, limit: int) -> int:
        async with self._database.connection() as connection:
            threads: int = await connection.fetchval(_PURGE_THREADS, keep_s, limit)
            return threads + int(await connection.fetchval(_PURGE_REACTORS, keep_s, limit))


def _place(claimed: Claimed) -> tuple[UUID, str, str]:
    return UUID(claimed.token.id), claimed.thread.key, claimed.claim
