"""PostgreSQL: scheduled calls, what members said of them, and who waits outside."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from services.runtime.postgres import outbox
from services.runtime.postgres.database import Connection, Database
from services.signaling.core.model import CallId, ConversationId, LinkId, ScheduledId, UserId
from services.signaling.ports import Committed, Record
from services.signaling.scheduled.core import (
    MAX_OF_CONVERSATION,
    MAX_OF_MAKER,
    Answer,
    Draft,
    ScheduledCall,
    State,
    Waiting,
)

# Those who plan in one conversation, or as one person, are counted one after the other.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest($1::text[]) AS key"
_COUNT = """
SELECT count(*) FILTER (WHERE maker_id = $1) AS of_maker,
    count(*) FILTER (WHERE conversation_id = $2) AS of_conversation
FROM scheduled_calls WHERE due_time IS NOT NULL AND (maker_id = $1 OR conversation_id = $2)
"""
_INSERT = """
INSERT INTO scheduled_calls (
    scheduled_id, conversation_id, maker_id, is_group, create_time, request_id, title, video, start_time, length_s,
    reminder_s, state, was_reminded, call_id, end_time, due_time, version
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
"""
_SAVE = """
UPDATE scheduled_calls SET title = $3, video = $4, start_time = $5, length_s = $6, reminder_s = $7, state = $8,
    was_reminded = $9, call_id = $10, end_time = $11, due_time = $12, version = $13
WHERE scheduled_id = $1 AND version = $2 RETURNING scheduled_id
"""
_ANSWER = """
INSERT INTO scheduled_answers (scheduled_id, user_id, answer) VALUES ($1, $2, $3)
ON CONFLICT (scheduled_id, user_id) DO UPDATE SET answer = excluded.answer
"""
# A link counts its time from the start.
_MOVE_LINKS = """
UPDATE join_links SET expire_time = expire_time + ($2::timestamptz - $3::timestamptz)
WHERE scheduled_id = $1 AND call_id IS NULL
"""
_CLOSE_LINKS = """
UPDATE join_links SET revoke_time = coalesce(revoke_time, $2), close_time = coalesce(close_time, $2)
WHERE scheduled_id = $1 AND call_id IS NULL
"""
_FORGET_WAITING = "DELETE FROM scheduled_waiting WHERE scheduled_id = $1"
_SELECT = """
SELECT scheduled_calls.*, (
    SELECT jsonb_object_agg(user_id, answer) FROM scheduled_answers WHERE scheduled_id = scheduled_calls.scheduled_id
) AS answers FROM scheduled_calls WHERE {condition} ORDER BY start_time, scheduled_id
"""
_BY_ID = _SELECT.format(condition="scheduled_id = $1")
_BY_REQUEST = _SELECT.format(condition="maker_id = $1 AND request_id = $2")
_IN = _SELECT.format(condition="conversation_id = $1 AND due_time IS NOT NULL")
_CLAIM = """
UPDATE scheduled_calls SET due_time = $1 + $2::interval WHERE scheduled_id IN (
    SELECT scheduled_id FROM scheduled_calls WHERE due_time <= $1 ORDER BY due_time LIMIT $3 FOR UPDATE SKIP LOCKED
) RETURNING scheduled_id
"""
_PRUNE = """
DELETE FROM scheduled_calls WHERE scheduled_id IN (
    SELECT scheduled_id FROM scheduled_calls WHERE end_time < $1 ORDER BY end_time LIMIT $2 FOR UPDATE SKIP LOCKED
) RETURNING scheduled_id
"""
_LOCK_PLANNED = "SELECT FROM scheduled_calls WHERE scheduled_id = $1 AND state = 'planned' FOR UPDATE"
_IS_WAITING = "SELECT FROM scheduled_waiting WHERE scheduled_id = $1 AND user_id = $2"
_COUNT_WAITING = "SELECT count(*) FROM scheduled_waiting WHERE scheduled_id = $1"
_WAIT = """
INSERT INTO scheduled_waiting (scheduled_id, user_id, link_id, wait_time) VALUES ($1, $2, $3, $4)
ON CONFLICT (scheduled_id, user_id) DO UPDATE SET link_id = excluded.link_id
"""
_WAIT_NO_MORE = "DELETE FROM scheduled_waiting WHERE scheduled_id = $1 AND user_id = $2"
_WAITING = "SELECT user_id, link_id FROM scheduled_waiting WHERE scheduled_id = $1 ORDER BY wait_time, user_id"


class PostgresScheduled:
    """See ports.ScheduledStore."""

    def __init__(self, database: Database, committed: Committed) -> None:
        self._database = database
        self._committed = committed

    async def add(self, call: ScheduledCall, request_id: str, records: Sequence[Record]) -> ScheduledCall | None:
        """See ports.ScheduledStore."""
        async with self._database.transaction() as connection:
            # Sorted, so that nobody waits for who waits for them.
            keys = sorted([f"scheduled of {call.maker_id}", f"scheduled in {call.conversation_id}"])
            await connection.execute(_LOCK, keys)
            if request_id and (known := await connection.fetchrow(_BY_REQUEST, call.maker_id, request_id)):
                return _scheduled(known)
            counted = await connection.fetchrow(_COUNT, call.maker_id, call.conversation_id)
            assert counted is not None
            if counted["of_maker"] >= MAX_OF_MAKER or counted["of_conversation"] >= MAX_OF_CONVERSATION:
                return None
            await connection.execute(
                _INSERT,
                *(call.scheduled_id, call.conversation_id, call.maker_id, call.group, call.create_time),
                *(request_id or None, *_changing(call)),
            )
            await outbox.append(connection, call.scheduled_id, records)
        self._committed(call.scheduled_id, records)
        return call

    async def save(self, call: ScheduledCall, before: ScheduledCall, records: Sequence[Record]) -> bool:
        """See ports.ScheduledStore."""
        async with self._database.transaction() as connection:
            if not await connection.fetchval(_SAVE, call.scheduled_id, before.version, *_changing(call)):
                return False
            await _save_beside(connection, call, before)
            if records:
                await outbox.append(connection, call.scheduled_id, records)
        if records:
            self._committed(call.scheduled_id, records)
        return True

    async def find(self, scheduled_id: ScheduledId) -> ScheduledCall | None:
        """See ports.ScheduledStore."""
        return next(iter(await self._select(_BY_ID, scheduled_id)), None)

    async def find_by_request(self, maker_id: UserId, request_id: str) -> ScheduledCall | None:
        """See ports.ScheduledStore."""
        return next(iter(await self._select(_BY_REQUEST, maker_id, request_id)), None)

    async def list_in(self, conversation_id: ConversationId) -> Sequence[ScheduledCall]:
        """See ports.ScheduledStore."""
        return await self._select(_IN, conversation_id)

    async def claim_due(self, now: datetime, lease: timedelta, limit: int) -> Sequence[ScheduledId]:
        """See ports.ScheduledStore."""
        async with self._database.connection() as connection:
            return [ScheduledId(str(row["scheduled_id"])) for row in await connection.fetch(_CLAIM, now, lease, limit)]

    async def prune(self, before: datetime, limit: int) -> int:
        """See ports.ScheduledStore."""
        async with self._database.connection() as connection:
            return len(await connection.fetch(_PRUNE, before, limit))

    async def add_waiting(self, scheduled_id: ScheduledId, waiting: Waiting, now: datetime, limit: int) -> bool:
        """See ports.ScheduledStore."""
        async with self._database.transaction() as connection:
            if await connection.fetchrow(_LOCK_PLANNED, scheduled_id) is None:
                return True
            known = await connection.fetchrow(_IS_WAITING, scheduled_id, waiting.user_id)
            if known is None and await connection.fetchval(_COUNT_WAITING, scheduled_id) >= limit:
                return False
            await connection.execute(_WAIT, scheduled_id, waiting.user_id, waiting.link_id, now)
        return True

    async def remove_waiting(self, scheduled_id: ScheduledId, user_id: UserId) -> bool:
        """See ports.ScheduledStore."""
        async with self._database.connection() as connection:
            removed: str = await connection.execute(_WAIT_NO_MORE, scheduled_id, user_id)
            return removed != "DELETE 0"

    async def list_waiting(self, scheduled_id: ScheduledId) -> Sequence[Waiting]:
        """See ports.ScheduledStore."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_WAITING, scheduled_id)
        return [Waiting(UserId(row["user_id"]), LinkId(str(row["link_id"]))) for row in rows]

    async def _select(self, query: str, *arguments: object) -> Sequence[ScheduledCall]:
        async with self._database.connection() as connection:
            return [_scheduled(row) for row in await connection.fetch(query, *arguments)]


async def _save_beside(connection: Connection, call: ScheduledCall, before: ScheduledCall) -> None:
    """Answers, links and those who wait, as far as the change is about them."""
    for user_id, answer in call.answers.items():
        if before.answers.get(user_id) is not answer:
            await connection.execute(_ANSWER, call.scheduled_id, user_id, answer.value)
    if call.draft.start_time != before.draft.start_time:
        await connection.execute(_MOVE_LINKS, call.scheduled_id, call.draft.start_time, before.draft.start_time)
    if call.is_over:
        await connection.execute(_CLOSE_LINKS, call.scheduled_id, call.end_time)
    if call.state is not State.PLANNED and before.state is State.PLANNED:
        await connection.execute(_FORGET_WAITING, call.scheduled_id)


def _changing(call: ScheduledCall) -> tuple[Any, ...]:
    draft = call.draft
    return (
        *(draft.title, draft.video, draft.start_time, draft.length_s, draft.reminder_s),
        *(call.state.value, call.was_reminded, UUID(call.call_id) if call.call_id else None),
        *(call.end_time, call.due_time, call.version),
    )


def _scheduled(row: asyncpg.Record) -> ScheduledCall:
    answers = json.loads(row["answers"]) if row["answers"] else {}
    return ScheduledCall(
        scheduled_id=ScheduledId(str(row["scheduled_id"])),
        conversation_id=ConversationId(str(row["conversation_id"])),
        maker_id=UserId(row["maker_id"]),
        draft=Draft(row["title"], row["video"], row["start_time"], row["length_s"], row["reminder_s"]),
        group=row["is_group"],
        create_time=row["create_time"],
        state=State(row["state"]),
        was_reminded=row["was_reminded"],
        call_id=CallId(str(row["call_id"])) if row["call_id"] else None,
        answers={UserId(user_id): Answer(answer) for user_id, answer in sorted(answers.items())},
        end_time=row["end_time"],
        due_time=row["due_time"],
        version=row["version"],
    )
