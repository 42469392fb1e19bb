"""PostgreSQL: what people's devices are to show. The person's row is the lock of all that is kept of the person."""

from collections.abc import Callable, Collection, Mapping, Sequence
from uuid import UUID

import asyncpg

from services.push.core.effects import due_after_s, receivers
from services.push.core.model import (
    ConversationId,
    Level,
    MessageId,
    Person,
    Thread,
    ThreadKey,
    Token,
    UserId,
)
from services.push.ports import Change, Kept
from services.push.sql.rows import THREAD_COLUMNS, TOKEN_COLUMNS, of_thread, to_settings, to_thread, to_token
from services.runtime.postgres.database import Connection, Database

_WITH_TOKENS = "SELECT DISTINCT user_id FROM tokens WHERE user_id = ANY($1::text[])"
_PERSON = """
SELECT level, previews, quiet_hours,
    EXISTS (SELECT FROM attended WHERE attended.user_id = people.user_id) AS is_attended
FROM people WHERE user_id = $1
"""
_LEVELS = """
SELECT conversation_id, level FROM conversation_levels WHERE user_id = $1 AND conversation_id = ANY($2::uuid[])
"""
_THREADS = f"SELECT {THREAD_COLUMNS} FROM threads WHERE user_id = $1 AND key = ANY($2::text[])"  # noqa: S608
_STANDING = f"SELECT {THREAD_COLUMNS} FROM threads WHERE user_id = $1 AND kind IS NOT NULL ORDER BY key"  # noqa: S608
_REACTORS = "SELECT message_id, user_ids FROM reactors WHERE user_id = $1 AND message_id = ANY($2::text[])"
_TOKENS = f"SELECT {TOKEN_COLUMNS} FROM tokens WHERE user_id = $1 ORDER BY id"  # noqa: S608
_WRITE_THREAD = f"""
INSERT INTO threads (user_id, {THREAD_COLUMNS}, change_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, clock_timestamp())
ON CONFLICT (user_id, key) DO UPDATE SET
    version = excluded.version, seqs = excluded.seqs, seen_seq = excluded.seen_seq, read_seq = excluded.read_seq,
    kind = excluded.kind, conversation_id = excluded.conversation_id, notice_time = excluded.notice_time,
    seq = excluded.seq, message_id = excluded.message_id, from_user_id = excluded.from_user_id, body = excluded.body,
    title = excluded.title, is_quiet = excluded.is_quiet, call_id = excluded.call_id, video = excluded.video,
    expire_time = excluded.expire_time, change_time = excluded.change_time
"""  # noqa: S608
_WRITE_REACTORS = """
INSERT INTO reactors (user_id, message_id, user_ids, change_time) VALUES ($1, $2, $3, clock_timestamp())
ON CONFLICT (user_id, message_id) DO UPDATE SET user_ids = excluded.user_ids, change_time = excluded.change_time
"""
# What somebody sends is due when the lease runs out, as before: who settles it sees that there is more. What waits
# already does not wait for longer.
_TELL = """
INSERT INTO deliveries (token_id, user_id, key, provider, wanted, due, queue_time)
SELECT id, $1, $2, provider, $3, clock_timestamp() + make_interval(secs => $5), clock_timestamp()
FROM tokens WHERE id = ANY($4::uuid[]) ORDER BY id
ON CONFLICT (token_id, key) DO UPDATE SET
    wanted = excluded.wanted, attempts = 0, queue_time = excluded.queue_time, give_up_time = NULL,
    due = CASE WHEN deliveries.claim IS NULL THEN least(deliveries.due, excluded.due) ELSE deliveries.due END
"""
# Devices that were never sent anything of the thread need not hear that nothing is left of it.
_FORGET_UNSENT = "DELETE FROM deliveries WHERE user_id = $1 AND key = $2 AND NOT is_up AND claim IS NULL"
_TAKE_BACK = """
UPDATE deliveries SET wanted = $3, attempts = 0, queue_time = clock_timestamp(), give_up_time = NULL,
    due = CASE WHEN claim IS NULL THEN clock_timestamp() ELSE due END
WHERE user_id = $1 AND key = $2
"""
_COME = "INSERT INTO attended (user_id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING"
_GO = "DELETE FROM attended WHERE user_id = ANY($1::text[])"


class PostgresThreads:
    """See ports.Store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def with_tokens(self, user_ids: Collection[UserId]) -> frozenset[UserId]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(_WITH_TOKENS, list(user_ids))
        return frozenset(UserId(row["user_id"]) for row in rows)

    async def look(self, user_id: UserId, keys: Collection[ThreadKey], message_ids: Collection[MessageId]) -> Kept:
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_PERSON, user_id)
            return await _load(connection, user_id, row, keys, message_ids)

    async def standing(self, user_id: UserId) -> Sequence[Thread]:
        async with self._database.connection() as connection:
            return [to_thread(row) for row in await connection.fetch(_STANDING, user_id)]

    async def change(
        self,
        user_id: UserId,
        keys: Collection[ThreadKey],
        message_ids: Collection[MessageId],
        decide: Callable[[Kept], Change],
    ) -> bool:
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(f"{_PERSON} FOR UPDATE", user_id)
            tokens = [to_token(found) for found in await connection.fetch(_TOKENS, user_id)] if row else []
            if not tokens:
                return False
            kept = await _load(connection, user_id, row, keys, message_ids)
            change = decide(kept)
            return await _write(connection, kept, change, tokens)

    async def note_attended(self, people: Mapping[UserId, bool]) -> None:
        async with self._database.transaction() as connection:
            if come := sorted(user_id for user_id, is_attended in people.items() if is_attended):
                await connection.execute(_COME, come)
            if gone := [user_id for user_id, is_attended in people.items() if not is_attended]:
                await connection.execute(_GO, gone)


async def _load(
    connection: Connection,
    user_id: UserId,
    row: asyncpg.Record | None,
    keys: Collection[ThreadKey],
    message_ids: Collection[MessageId],
) -> Kept:
    if row is None:
        return Kept(Person(user_id), {}, {})
    conversations = [UUID(key.partition(":")[2]) for key in keys if key.startswith("conversation:")]
    levels = await connection.fetch(_LEVELS, user_id, conversations) if conversations else []
    threads = [to_thread(found) for found in await connection.fetch(_THREADS, user_id, list(keys))]
    reactors = await connection.fetch(_REACTORS, user_id, list(message_ids)) if message_ids else []
    settings = to_settings(
        row, {ConversationId(str(found["conversation_id"])): Level(found["level"]) for found in levels}
    )
    return Kept(
        Person(user_id, settings, row["is_attended"]),
        {thread.key: thread for thread in threads},
        {MessageId(found["message_id"]): frozenset(map(UserId, found["user_ids"])) for found in reactors},
    )


async def _write(connection: Connection, kept: Kept, change: Change, tokens: Sequence[Token]) -> bool:
    user_id = kept.person.user_id
    is_due = False
    for message_id, reactors in change.reactors.items():
        if reactors != kept.reactors.get(message_id):
            await connection.execute(_WRITE_REACTORS, user_id, message_id, sorted(reactors))
    for thread in sorted(change.threads, key=lambda one: one.key):
        before = kept.threads.get(thread.key, Thread(thread.key))
        if thread == before:
            continue
        await connection.execute(_WRITE_THREAD, user_id, *of_thread(thread))
        if thread.version == before.version:
            continue
        is_due = True
        if thread.notice is None:
            await connection.execute(_FORGET_UNSENT, user_id, thread.key)
            await connection.execute(_TAKE_BACK, user_id, thread.key, thread.version)
            continue
        told = [UUID(token.id) for token in receivers(thread.key, tokens)]
        wait_s = due_after_s(thread, is_attended=kept.person.is_attended)
        await connection.execute(_TELL, user_id, thread.key, thread.version, told, wait_s)
    return is_due
