"""PostgreSQL: what people's devices are to show. A person's row is the lock of all that is kept of the person."""

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
from services.push.ports import Change, Kept, Places
from services.push.sql.rows import THREAD_COLUMNS, TOKEN_COLUMNS, of_thread, to_settings, to_thread, to_token
from services.runtime.postgres.database import Connection, Database

_WITH_TOKENS = "SELECT DISTINCT user_id FROM tokens WHERE user_id = ANY($1::text[])"
_PEOPLE = "SELECT user_id, level, previews, quiet_hours, is_attended FROM people WHERE user_id = ANY($1::text[])"
_LEVELS = """
SELECT user_id, conversation_id, level
FROM conversation_levels JOIN unnest($1::text[], $2::uuid[]) AS asked (user_id, conversation_id)
    USING (user_id, conversation_id)
"""
_THREADS = f"""
SELECT user_id, {THREAD_COLUMNS} FROM threads JOIN unnest($1::text[], $2::text[]) AS asked (user_id, key)
    USING (user_id, key)
"""  # noqa: S608
_STANDING = f"SELECT {THREAD_COLUMNS} FROM threads WHERE user_id = $1 AND kind IS NOT NULL ORDER BY key"  # noqa: S608
_REACTORS = """
SELECT user_id, message_id, user_ids
FROM reactors JOIN unnest($1::text[], $2::text[]) AS asked (user_id, message_id) USING (user_id, message_id)
"""
_TOKENS = f"SELECT {TOKEN_COLUMNS} FROM tokens WHERE user_id = ANY($1::text[]) ORDER BY id"  # noqa: S608
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
_ATTEND = """
UPDATE people SET is_attended = told.is_attended FROM unnest($1::text[], $2::boolean[]) AS told (user_id, is_attended)
WHERE people.user_id = told.user_id AND people.is_attended <> told.is_attended
"""


class PostgresThreads:
    """See ports.Store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def with_tokens(self, user_ids: Collection[UserId]) -> frozenset[UserId]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(_WITH_TOKENS, list(user_ids))
        return frozenset(UserId(row["user_id"]) for row in rows)

    async def look(self, places: Mapping[UserId, Places]) -> Mapping[UserId, Kept]:
        async with self._database.connection() as connection:
            people = await connection.fetch(_PEOPLE, list(places))
            return await _load(connection, people, places)

    async def standing(self, user_id: UserId) -> Sequence[Thread]:
        async with self._database.connection() as connection:
            return [to_thread(row) for row in await connection.fetch(_STANDING, user_id)]

    async def change(self, places: Mapping[UserId, Places], decide: Callable[[Kept], Change]) -> bool:
        async with self._database.transaction() as connection:
            # Everybody who locks several takes them in this order.
            people = await connection.fetch(f"{_PEOPLE} ORDER BY user_id FOR UPDATE", sorted(places))
            tokens: dict[UserId, list[Token]] = {}
            for row in await connection.fetch(_TOKENS, [person["user_id"] for person in people]):
                token = to_token(row)
                tokens.setdefault(token.user_id, []).append(token)
            if not tokens:
                return False
            all_kept = await _load(connection, people, {user_id: places[user_id] for user_id in sorted(tokens)})
            return await _write(connection, [(kept, decide(kept)) for kept in all_kept.values()], tokens)

    async def note_attended(self, people: Mapping[UserId, bool]) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_ATTEND, list(people), list(people.values()))


async def _load(
    connection: Connection, people: Sequence[asyncpg.Record], places: Mapping[UserId, Places]
) -> dict[UserId, Kept]:
    """In the order of `places`. Of people that are not known nothing is kept."""
    rows = {UserId(row["user_id"]): row for row in people if row["user_id"] in places}
    keys = [(user_id, key) for user_id in rows for key in places[user_id].threads]
    conversations = [(user_id, UUID(key.partition(":")[2])) for user_id, key in keys if key.startswith("conversation:")]
    messages = [(user_id, message_id) for user_id in rows for message_id in places[user_id].messages]
    levels: dict[UserId, dict[ConversationId, Level]] = {user_id: {} for user_id in places}
    for row in await _fetch_pairs(connection, _LEVELS, conversations):
        levels[row["user_id"]][ConversationId(str(row["conversation_id"]))] = Level(row["level"])
    threads: dict[UserId, dict[ThreadKey, Thread]] = {user_id: {} for user_id in places}
    for row in await _fetch_pairs(connection, _THREADS, keys):
        thread = to_thread(row)
        threads[row["user_id"]][thread.key] = thread
    reactors: dict[UserId, dict[MessageId, frozenset[UserId]]] = {user_id: {} for user_id in places}
    for row in await _fetch_pairs(connection, _REACTORS, messages):
        reactors[row["user_id"]][MessageId(row["message_id"])] = frozenset(map(UserId, row["user_ids"]))
    return {
        user_id: Kept(
            Person(user_id, to_settings(found, levels[user_id]), found["is_attended"])
            if (found := rows.get(user_id))
            else Person(user_id),
            threads[user_id],
            reactors[user_id],
        )
        for user_id in places
    }


async def _fetch_pairs(
    connection: Connection, statement: str, pairs: Sequence[tuple[str, object]]
) -> Sequence[asyncpg.Record]:
    if not pairs:
        return ()
    return await connection.fetch(statement, [user_id for user_id, _ in pairs], [other for _, other in pairs])


async def _write(
    connection: Connection, changes: Sequence[tuple[Kept, Change]], tokens: Mapping[UserId, Sequence[Token]]
) -> bool:
    """Rows in one order for all, threads before reactors: erasing goes over other people's without their locks."""
    threads: list[tuple[object, ...]] = []
    reactors: list[tuple[object, ...]] = []
    cleared: list[tuple[object, ...]] = []
    tell: list[tuple[object, ...]] = []
    for kept, change in changes:
        user_id = kept.person.user_id
        for message_id, who in sorted(change.reactors.items()):
            if who != kept.reactors.get(message_id):
                reactors.append((user_id, message_id, sorted(who)))
        for thread in sorted(change.threads, key=lambda one: one.key):
            before = kept.threads.get(thread.key, Thread(thread.key))
            if thread != before:
                threads.append((user_id, *of_thread(thread)))
            if thread.version == before.version:
                continue
            if thread.notice is None:
                cleared.append((user_id, thread.key, thread.version))
                continue
            told = [UUID(token.id) for token in receivers(thread.key, tokens[user_id])]
            wait_s = due_after_s(thread, is_attended=kept.person.is_attended)
            tell.append((user_id, thread.key, thread.version, told, wait_s))
    await _each(connection, _WRITE_THREAD, threads)
    await _each(connection, _WRITE_REACTORS, reactors)
    await _each(connection, _FORGET_UNSENT, [row[:2] for row in cleared])
    await _each(connection, _TAKE_BACK, cleared)
    await _each(connection, _TELL, tell)
    return bool(cleared or tell)


async def _each(connection: Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        await connection.executemany(statement, rows)
