"""Calls in PostgreSQL: the version is the lock, and a unique key gives each user one call at a time."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID

from services.runtime.postgres import outbox
from services.runtime.postgres.database import Connection, Database
from services.signaling.core.call_settings import CallSettings
from services.signaling.core.errors import UserBusy, VersionConflict
from services.signaling.core.model import Call, CallId, CallState, ConversationId, UserId, Worker, WorkerId
from services.signaling.core.quality import Direction, QualityReport, UserQuality, sum_up
from services.signaling.ports import (
    AlreadyStarted,
    CalleesBusy,
    CallerBusy,
    Committed,
    Created,
    CreateResult,
    GroupCallExists,
    IdempotencyKey,
    Record,
)
from services.signaling.sql import rows
from services.signaling.sql import statements as sql


class _Conflict(Exception):
    """Rolls the creation back; says whose uniqueness stands in the way."""

    def __init__(self, what: type[AlreadyStarted] | type[CallerBusy] | type[GroupCallExists] | CalleesBusy) -> None:
        self.what = what


class PostgresStore:
    """See ports.Store."""

    def __init__(self, database: Database, committed: Committed) -> None:
        self._database = database
        self._committed = committed

    async def create(self, call: Call, key: IdempotencyKey, records: Sequence[Record]) -> CreateResult:
        """See ports.Store."""
        try:
            await self._insert(call, key, records)
        except _Conflict as conflict:
            if isinstance(conflict.what, CalleesBusy):
                return conflict.what
            known = await self.find_by_key(key)
            if known:
                return AlreadyStarted(known)
            if conflict.what is GroupCallExists:
                return GroupCallExists(await self.find_of_group(call.conversation_id))
            return CallerBusy(await self.find_busy_with(call.caller_id))
        self._committed(call.call_id, records)
        return Created()

    async def save(
        self, call: Call, records: Sequence[Record], key: IdempotencyKey | None = None, *, same_busy: bool = False
    ) -> None:
        """See ports.Store."""
        if same_busy and not records and key is None:
            async with self._database.connection() as connection:
                return await _save(connection, call)
        async with self._database.transaction() as connection:
            await _save(connection, call)
            if not same_busy:
                await _mark_all_busy(connection, call)
            if key:
                await connection.fetchval(sql.INSERT_KEY, key.user_id, key.client_call_id, call.call_id)
            if call.group and call.state is CallState.ENDED:
                await connection.execute(sql.END_SCHEDULED, call.call_id, call.end_time)
            if call.state is CallState.ENDED:
                # Nobody needs them any more, and who once gets hold of a device's key shall find none.
                await connection.execute(sql.FORGET_SEALED_KEYS, call.call_id)
                if call.spread:
                    await connection.execute(sql.FORGET_RELAYS, call.call_id)
            if records:
                await outbox.append(connection, call.call_id, records)
        self._committed(call.call_id, records)
        return None

    async def save_key(self, key: IdempotencyKey, call_id: CallId) -> None:
        """See ports.Store."""
        async with self._database.connection() as connection:
            await connection.fetchval(sql.INSERT_KEY, key.user_id, key.client_call_id, call_id)

    async def find(self, call_id: CallId) -> Call | None:
        """See ports.Store."""
        return next(iter(await self._select(sql.BY_ID, call_id)), None)

    async def find_by_key(self, key: IdempotencyKey) -> Call | None:
        """See ports.Store."""
        return next(iter(await self._select(sql.BY_KEY, key.user_id, key.client_call_id)), None)

    async def find_busy_with(self, user_id: UserId) -> Call | None:
        """See ports.Store."""
        return next(iter(await self._select(sql.BY_BUSY_USER, user_id)), None)

    async def find_of_group(self, conversation_id: ConversationId) -> Call | None:
        """See ports.Store."""
        return next(iter(await self._select(sql.BY_GROUP, conversation_id)), None)

    async def list_running_in(self, conversation_id: ConversationId) -> Sequence[Call]:
        """See ports.Store."""
        return await self._select(sql.RUNNING_IN, conversation_id)

    async def list_active(self, user_id: UserId) -> Sequence[Call]:
        """See ports.Store."""
        return await self._select(sql.BY_USER, user_id)

    async def list_ended(self, user_id: UserId, before: CallId | None, limit: int) -> Sequence[Call]:
        """See ports.Store."""
        return await self._select(sql.ENDED, user_id, before, limit)

    async def list_placed(self, user_id: UserId, since: datetime, limit: int) -> Sequence[datetime]:
        """See ports.Store."""
        async with self._database.connection() as connection:
            return [row["create_time"] for row in await connection.fetch(sql.PLACED, user_id, since, limit)]

    async def list_over_ring_limit(
        self, user_ids: Sequence[UserId], conversation_id: ConversationId, since: datetime, limit: int
    ) -> Sequence[UserId]:
        """See ports.Store."""
        async with self._database.connection() as connection:
            found = await connection.fetch(sql.OVER_RING_LIMIT, list(user_ids), conversation_id, since, limit)
        return [UserId(row["user_id"]) for row in found]

    async def list_on(self, worker: Worker, limit: int) -> Sequence[CallId]:
        """See ports.Store."""
        return await self._select_ids(sql.ON_WORKER, worker.worker_id, worker.start_time, limit)

    async def list_workers(self) -> Sequence[Worker]:
        """See ports.Store."""
        async with self._database.connection() as connection:
            found = await connection.fetch(sql.WORKERS)
        return [Worker(WorkerId(row[0]), row[1], row[2]) for row in found]

    async def claim_due(self, now: datetime, lease: timedelta, limit: int) -> Sequence[CallId]:
        """See ports.Store."""
        return await self._select_ids(sql.CLAIM_DUE, now, lease, limit)

    async def count_by_state(self) -> Mapping[CallState, int]:
        """See ports.Store."""
        async with self._database.connection() as connection:
            found = await connection.fetch(sql.COUNT)
        return {CallState(row["state"]): row["number"] for row in found}

    async def prune(self, before: datetime, limit: int) -> int:
        """See ports.Store."""
        async with self._database.transaction() as connection:
            ids = [row["call_id"] for row in await connection.fetch(sql.OLD, before, limit)]
            for statement in sql.FORGET:
                await connection.execute(statement, ids)
        return len(ids)

    async def settings_of(self, user_ids: Sequence[UserId]) -> Mapping[UserId, CallSettings]:
        """See ports.Store."""
        async with self._database.connection() as connection:
            found = await connection.fetch(sql.SETTINGS, list(user_ids))
        return {UserId(row["user_id"]): rows.to_settings(row) for row in found}

    async def save_settings(self, user_id: UserId, settings: CallSettings) -> None:
        """See ports.Store."""
        hours = settings.quiet_hours
        values = (hours.start_minute, hours.end_minute, hours.time_zone) if hours else (None, None, None)
        weekdays = list(hours.weekdays) if hours else []
        async with self._database.connection() as connection:
            await connection.execute(sql.SAVE_SETTINGS, user_id, settings.call_waiting, *values, weekdays)

    async def add_quality(self, reports: Sequence[QualityReport]) -> None:
        """See ports.Store."""
        values = [
            (*rows.quality_key(report.key), direction.value, report.report_time, *rows.totals(totals))
            for report in reports
            for direction, totals in report.legs.items()
        ]
        async with self._database.transaction() as connection:
            await connection.executemany(sql.ADD_QUALITY, values)

    async def quality_of(self, call_ids: Sequence[CallId]) -> Mapping[CallId, Sequence[UserQuality]]:
        """See ports.Store."""
        ids = [UUID(call_id) for call_id in call_ids]
        async with self._database.connection() as connection:
            found = await connection.fetch(sql.QUALITY, ids)
        return {
            CallId(str(call_id)): sum_up(
                (UserId(row["user_id"]), Direction(row["direction"]), rows.to_totals(row)) for row in group
            )
            for call_id, group in groupby(found, key=lambda row: row["call_id"])
        }

    async def _insert(self, call: Call, key: IdempotencyKey, records: Sequence[Record]) -> None:
        async with self._database.transaction() as connection:
            if await connection.fetchval(sql.INSERT_CALL, *rows.changing(call), *rows.fixed(call)) is None:
                raise _Conflict(GroupCallExists)
            await connection.execute(sql.INSERT_LEGS, *rows.legs(call))
            if await connection.fetchval(sql.INSERT_KEY, key.user_id, key.client_call_id, call.call_id) is None:
                raise _Conflict(AlreadyStarted)
            if call.busy_user_ids:
                held = await _mark_busy(connection, call)
                if call.caller_id in call.busy_user_ids and call.caller_id not in held:
                    raise _Conflict(CallerBusy)
                if len(held) < len(call.busy_user_ids):
                    raise _Conflict(CalleesBusy(tuple(user for user in call.busy_user_ids if user not in held)))
            await outbox.append(connection, call.call_id, records)

    async def _select(self, query: str, *arguments: object) -> Sequence[Call]:
        async with self._database.connection() as connection:
            found = await connection.fetch(query, *arguments)
        return rows.to_calls(found)

    async def _select_ids(self, query: str, *arguments: object) -> Sequence[CallId]:
        async with self._database.connection() as connection:
            return [CallId(str(row["call_id"])) for row in await connection.fetch(query, *arguments)]


async def _save(connection: Connection, call: Call) -> None:
    _, *columns = rows.legs(call)
    if await connection.fetchval(sql.SAVE, *rows.changing(call), *columns) is None:
        raise VersionConflict


async def _mark_all_busy(connection: Connection, call: Call) -> None:
    held = await _mark_busy(connection, call)
    refused = next((user_id for user_id in call.busy_user_ids if user_id not in held), None)
    if refused:
        other = await connection.fetchval(sql.BUSY_WITH, refused)
        raise UserBusy(refused, str(other) if other else None)


async def _mark_busy(connection: Connection, call: Call) -> set[str]:
    """Marks the users who are busy with the call, and frees the others; those that it could mark."""
    return {row["user_id"] for row in await connection.fetch(sql.MARK_BUSY, list(call.busy_user_ids), call.call_id)}
