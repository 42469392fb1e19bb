"""Calls in PostgreSQL: the version is the lock, and a unique key gives each user one call at a time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

import asyncpg

from services.runtime import outbox
from services.runtime.db import Connection, Database
from services.signaling.core.errors import VersionConflict
from services.signaling.core.model import (
    Call,
    CallId,
    CallState,
    ConversationId,
    DeviceId,
    EndReason,
    Leg,
    UserId,
    Worker,
    WorkerId,
)
from services.signaling.ports import CalleeTaken, CallerTaken, ClientKey, Created, Creation, KeyKnown, Record

_INSERT_CALL = """
INSERT INTO calls (call_id, conversation_id, caller_id, video, create_time, state, end_reason, worker_id,
    worker_address, ring_deadline, answer_time, media_time, end_time, due_time, version)
VALUES ($1, $12, $13, $14, $15, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""
_UPDATE_CALL = """
UPDATE calls SET state = $2, end_reason = $3, worker_id = $4, worker_address = $5, ring_deadline = $6,
    answer_time = $7, media_time = $8, end_time = $9, due_time = $10, version = $11
WHERE call_id = $1 AND version = $11 - 1
RETURNING call_id
"""
_UPSERT_LEGS = """
INSERT INTO participants (call_id, user_id, position, device_id, media_up, media_deadline)
SELECT $1, * FROM unnest($2::text[], $3::smallint[], $4::text[], $5::boolean[], $6::timestamptz[])
ON CONFLICT (call_id, user_id) DO UPDATE SET device_id = excluded.device_id, media_up = excluded.media_up,
    media_deadline = excluded.media_deadline
"""
_INSERT_KEY = """
INSERT INTO call_keys (user_id, client_call_id, call_id) VALUES ($1, $2, $3)
ON CONFLICT (user_id, client_call_id) DO NOTHING RETURNING call_id
"""
# In the order of ids, so that two who call each other wait for one another instead of locking each other out.
_TAKE_USERS = """
INSERT INTO active_legs (user_id, call_id) SELECT user_id, $2 FROM unnest($1::text[]) AS user_id ORDER BY user_id
ON CONFLICT (user_id) DO NOTHING RETURNING user_id
"""
_SELECT_CALLS = """
SELECT calls.*, user_id, device_id, media_up, media_deadline
FROM calls JOIN participants USING (call_id) WHERE {condition} ORDER BY create_time, call_id, position
"""
_BY_ID = _SELECT_CALLS.format(condition="call_id = $1")
_BY_KEY = _SELECT_CALLS.format(
    condition="call_id = (SELECT call_id FROM call_keys WHERE user_id = $1 AND client_call_id = $2)"
)
_BY_USER = _SELECT_CALLS.format(condition="call_id IN (SELECT call_id FROM active_legs WHERE user_id = $1)")
_RUNNING_ON = """
SELECT call_id FROM calls WHERE worker_id = $1 AND state <> 'ended'
    AND EXISTS (SELECT FROM participants WHERE participants.call_id = calls.call_id AND media_up)
ORDER BY call_id LIMIT $2
"""
_WORKERS = "SELECT DISTINCT worker_id, worker_address FROM calls WHERE state <> 'ended' AND worker_id IS NOT NULL"
_CLAIM_DUE = """
UPDATE calls SET due_time = $1 + $2::interval WHERE call_id IN (
    SELECT call_id FROM calls WHERE due_time <= $1 ORDER BY due_time LIMIT $3 FOR UPDATE SKIP LOCKED
) RETURNING call_id
"""
_COUNT = "SELECT state, count(*) AS number FROM calls WHERE state <> 'ended' GROUP BY state"


class _Taken(Exception):
    """Rolls the creation back; says whose uniqueness stands in the way."""

    def __init__(self, what: type[KeyKnown] | type[CallerTaken] | type[CalleeTaken]) -> None:
        self.what = what


class PostgresStore:
    """See ports.Store. `wake` tells the outbox relay of a commit."""

    def __init__(self, database: Database, wake: Callable[[str], None]) -> None:
        self._database = database
        self._wake = wake

    async def create(self, call: Call, key: ClientKey, records: Sequence[Record]) -> Creation:
        """See ports.Store."""
        try:
            await self._insert(call, key, records)
        except _Taken as taken:
            if taken.what is CalleeTaken:
                return CalleeTaken()
            known = await self.find_by_key(key)
            if known:
                return KeyKnown(known)
            return CallerTaken(next(iter(await self.list_active(call.caller_id)), None))
        self._wake(call.call_id)
        return Created()

    async def save(self, call: Call, records: Sequence[Record], key: ClientKey | None = None) -> None:
        """See ports.Store."""
        async with self._database.transaction() as connection:
            if await connection.fetchval(_UPDATE_CALL, *_changing(call)) is None:
                raise VersionConflict
            await connection.execute(_UPSERT_LEGS, *_legs(call))
            if call.state is CallState.ENDED:
                await connection.execute("DELETE FROM active_legs WHERE call_id = $1", call.call_id)
            if key:
                await connection.fetchval(_INSERT_KEY, key.user_id, key.client_call_id, call.call_id)
            if records:
                await outbox.append(connection, call.call_id, records)
        self._wake(call.call_id)

    async def find(self, call_id: CallId) -> Call | None:
        """See ports.Store."""
        return next(iter(await self._select(_BY_ID, call_id)), None)

    async def find_by_key(self, key: ClientKey) -> Call | None:
        """See ports.Store."""
        return next(iter(await self._select(_BY_KEY, key.user_id, key.client_call_id)), None)

    async def list_active(self, user_id: UserId) -> Sequence[Call]:
        """See ports.Store."""
        return await self._select(_BY_USER, user_id)

    async def list_running_on(self, worker_id: WorkerId, limit: int) -> Sequence[CallId]:
        """See ports.Store."""
        return await self._select_ids(_RUNNING_ON, worker_id, limit)

    async def list_workers(self) -> Sequence[Worker]:
        """See ports.Store."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_WORKERS)
        return [Worker(WorkerId(row["worker_id"]), row["worker_address"]) for row in rows]

    async def claim_due(self, now: datetime, lease: timedelta, limit: int) -> Sequence[CallId]:
        """See ports.Store."""
        return await self._select_ids(_CLAIM_DUE, now, lease, limit)

    async def count_by_state(self) -> Mapping[CallState, int]:
        """See ports.Store."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_COUNT)
        return {CallState(row["state"]): row["number"] for row in rows}

    async def _insert(self, call: Call, key: ClientKey, records: Sequence[Record]) -> None:
        async with self._database.transaction() as connection:
            fixed = (call.conversation_id, call.caller_id, call.video, call.create_time)
            await connection.execute(_INSERT_CALL, *_changing(call), *fixed)
            await connection.execute(_UPSERT_LEGS, *_legs(call))
            if await connection.fetchval(_INSERT_KEY, key.user_id, key.client_call_id, call.call_id) is None:
                raise _Taken(KeyKnown)
            if call.state is not CallState.ENDED:
                await _take_users(connection, call)
            await outbox.append(connection, call.call_id, records)

    async def _select(self, query: str, *arguments: object) -> Sequence[Call]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(query, *arguments)
        return [_call(list(group)) for _, group in groupby(rows, key=lambda row: row["call_id"])]

    async def _select_ids(self, query: str, *arguments: object) -> Sequence[CallId]:
        async with self._database.connection() as connection:
            return [CallId(str(row["call_id"])) for row in await connection.fetch(query, *arguments)]


async def _take_users(connection: Connection, call: Call) -> None:
    rows = await connection.fetch(_TAKE_USERS, list(call.user_ids), call.call_id)
    taken = {row["user_id"] for row in rows}
    if call.caller_id not in taken:
        raise _Taken(CallerTaken)
    if len(taken) < len(call.legs):
        raise _Taken(CalleeTaken)


def _changing(call: Call) -> Iterable[Any]:
    """The values that both the insert and the update of a call begin with."""
    return (
        UUID(call.call_id),
        call.state.value,
        call.end_reason.value if call.end_reason else None,
        call.worker.worker_id if call.worker else None,
        call.worker.address if call.worker else None,
        call.ring_deadline,
        call.answer_time,
        call.media_time,
        call.end_time,
        call.due_time,
        call.version,
    )


def _legs(call: Call) -> Iterable[Any]:
    return (
        UUID(call.call_id),
        [leg.user_id for leg in call.legs],
        list(range(len(call.legs))),
        [leg.device_id for leg in call.legs],
        [leg.media_up for leg in call.legs],
        [leg.media_deadline for leg in call.legs],
    )


def _call(rows: Sequence[asyncpg.Record]) -> Call:
    row = rows[0]
    return Call(
        call_id=CallId(str(row["call_id"])),
        conversation_id=ConversationId(row["conversation_id"]),
        caller_id=UserId(row["caller_id"]),
        video=row["video"],
        state=CallState(row["state"]),
        legs=tuple(_leg(row) for row in rows),
        create_time=row["create_time"],
        ring_deadline=row["ring_deadline"],
        version=row["version"],
        worker=Worker(WorkerId(row["worker_id"]), row["worker_address"]) if row["worker_id"] else None,
        end_reason=EndReason(row["end_reason"]) if row["end_reason"] else None,
        answer_time=row["answer_time"],
        media_time=row["media_time"],
        end_time=row["end_time"],
    )


def _leg(row: asyncpg.Record) -> Leg:
    device_id = DeviceId(row["device_id"]) if row["device_id"] else None
    return Leg(UserId(row["user_id"]), device_id, row["media_up"], row["media_deadline"])
