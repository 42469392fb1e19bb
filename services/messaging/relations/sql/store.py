"""PostgreSQL: the truth of who may reach whom, and reports. The statements stand beside it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from services.messaging.kernel.model import UserId
from services.messaging.kernel.quotas import DayQuota
from services.messaging.relations.core.errors import ReportNotFound, ReportQuota, TooManyBlocks
from services.messaging.relations.core.graph import Block, GraphEvent, GraphEventKind, Source, newest
from services.messaging.relations.core.reach import Relationship, Settings, SettingsChange, apply_change
from services.messaging.relations.core.reports import Report, State
from services.messaging.relations.ports import DecideReport, Pair
from services.messaging.relations.sql import graph, reports
from services.messaging.relations.sql.relationships import (
    load_blocked,
    load_contacts,
    load_relationships,
    lock_pair,
    notify_pair_closed,
    notify_relations_changed,
    refresh_blocked,
    to_settings,
)
from services.runtime.ids import new_id
from services.runtime.postgres.database import Connection, Database

# Wakes the relay for a key whose rows were committed.
Wake = Callable[[str], None]

_LIST_BLOCKS = """
SELECT blocked_user_id, max(changed_at) AS time FROM blocks WHERE user_id = $1 AND stands GROUP BY blocked_user_id
HAVING $2::timestamptz IS NULL OR (max(changed_at), blocked_user_id) < ($2, $3)
ORDER BY time DESC, blocked_user_id DESC LIMIT $4
"""


class PostgresRelations:
    """See ports.RelationStore."""

    def __init__(self, database: Database, wake: Wake) -> None:
        self._database = database
        self._wake = wake

    async def settings_of(self, user_id: UserId) -> Settings:
        async with self._database.connection() as connection:
            return await _load_settings(connection, user_id)

    async def change_settings(self, user_id: UserId, change: SettingsChange, now: datetime) -> Settings:
        async with self._database.transaction() as connection:
            # The row is the lock: changes of one person's two devices come one after the other.
            await connection.execute("INSERT INTO user_settings (user_id) VALUES ($1) ON CONFLICT DO NOTHING", user_id)
            await connection.execute("SELECT FROM user_settings WHERE user_id = $1 FOR UPDATE", user_id)
            before = await _load_settings(connection, user_id)
            after = apply_change(before, change)
            if after == before:
                return before
            await connection.execute(
                "UPDATE user_settings SET message_audience = $2, presence_audience = $3, call_audience = $4,"
                " send_receipts = $5 WHERE user_id = $1",
                user_id,
                after.messages.value,
                after.presence.value,
                after.calls.value,
                after.send_receipts,
            )
            watchers = await load_contacts(connection, user_id) if after.presence is not before.presence else []
            woken = await notify_relations_changed(connection, [user_id, *watchers], now, actor=user_id)
        self._wake_all(woken)
        return after

    async def block(self, user_id: UserId, other: UserId, limit: int, now: datetime) -> None:
        await self._write_block(Source.PARLEY, GraphEvent(GraphEventKind.BLOCKS, user_id, other, True, now), now, limit)

    async def unblock(self, user_id: UserId, other: UserId, now: datetime) -> None:
        await self._write_block(Source.PARLEY, GraphEvent(GraphEventKind.BLOCKS, user_id, other, False, now), now)

    async def list_blocks(self, user_id: UserId, below: Block | None, limit: int) -> Sequence[Block]:
        async with self._database.connection() as connection:
            found = await connection.fetch(
                _LIST_BLOCKS, user_id, below.time if below else None, below.user_id if below else None, limit
            )
        return [Block(UserId(row["blocked_user_id"]), row["time"]) for row in found]

    async def blocked_among(self, user_id: UserId, others: Collection[UserId]) -> Collection[UserId]:
        async with self._database.connection() as connection:
            return await load_blocked(connection, user_id, others)

    async def relationships(self, pairs: Collection[Pair]) -> Mapping[Pair, Relationship]:
        async with self._database.connection() as connection:
            return await load_relationships(connection, pairs)

    async def apply_graph_events(self, events: Sequence[GraphEvent]) -> None:
        latest = newest(events)
        async with self._database.transaction() as connection:
            await graph.write_verified(connection, [event for event in latest if event.kind is GraphEventKind.VERIFIED])
            follows = [event for event in latest if event.kind is GraphEventKind.FOLLOWS]
            matter = await graph.write_follows(connection, follows)
            woken = []
            for event in matter:
                woken += await notify_relations_changed(connection, [event.user_id, event.other_id], event.time)
        self._wake_all(woken)
        for event in latest:
            # One transaction each: it locks a conversation, and several of them in another order than sends do could
            # deadlock.
            if event.kind is GraphEventKind.BLOCKS:
                await self._write_block(Source.NETWORK, event, event.time)

    async def _write_block(self, source: Source, event: GraphEvent, now: datetime, limit: int | None = None) -> None:
        async with self._database.transaction() as connection:
            await lock_pair(connection, event.user_id, event.other_id)
            if not await graph.write_block(connection, source, event):
                return
            if limit is not None and await _count_blocks(connection, event.user_id) > limit:
                raise TooManyBlocks(f"at most {limit} people can be blocked")
            closed = await refresh_blocked(connection, event.user_id, event.other_id)
            both = [event.user_id, event.other_id]
            woken = await notify_relations_changed(connection, both, now, actor=event.user_id)
            if closed:
                woken.append(await notify_pair_closed(connection, closed, new_id(now), now))
        self._wake_all(woken)

    def _wake_all(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._wake(key)


class PostgresReports:
    """See ports.ReportStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def file(self, report: Report, quota: DayQuota) -> Report:
        async with self._database.transaction() as connection:
            # One report of a person at a time: else two could take the last place of the quota, or one key.
            await connection.execute(
                "SELECT pg_advisory_xact_lock($1, hashtext($2))", _REPORTER_LOCKS, report.reporter_id
            )
            known = await connection.fetchval(
                "SELECT id FROM reports WHERE reporter_id = $1 AND client_report_id = $2",
                report.reporter_id,
                report.client_report_id,
            )
            if known is not None:
                return await reports.load_report(connection, known) or report
            today = await connection.fetchval(
                "SELECT count(*) FROM reports WHERE reporter_id = $1 AND created_at >= $2",
                report.reporter_id,
                quota.day_start,
            )
            if today >= quota.limit:
                raise ReportQuota(quota.retry_delay_s)
            await reports.insert_report(connection, report)
        return report

    async def find_filed(self, reporter_id: UserId, client_report_id: str) -> Report | None:
        async with self._database.connection() as connection:
            return await reports.load_filed(connection, reporter_id, client_report_id)

    async def find(self, report_id: UUID) -> Report | None:
        async with self._database.connection() as connection:
            return await reports.load_report(connection, report_id)

    async def list(self, state: State, after: UUID | None, limit: int) -> Sequence[Report]:
        async with self._database.connection() as connection:
            return await reports.load_reports(connection, state, after, limit)

    async def change(self, report_id: UUID, decide: DecideReport) -> Report:
        async with self._database.transaction() as connection:
            before = await reports.load_report(connection, report_id, for_update=True)
            if before is None:
                raise ReportNotFound
            after = decide(before)
            if after is None:
                return before
            await connection.execute(
                "UPDATE reports SET state = $2, resolved_by = $3, resolved_at = $4 WHERE id = $1",
                report_id,
                after.state.value,
                after.resolved_by,
                after.resolved_at,
            )
        return after


# Any fixed number serves, so long as no other lock of this database takes it.
_REPORTER_LOCKS = 0x7265706F


async def _load_settings(connection: Connection, user_id: UserId) -> Settings:
    row = await connection.fetchrow("SELECT * FROM user_settings WHERE user_id = $1", user_id)
    return to_settings(row) if row else Settings()


async def _count_blocks(connection: Connection, user_id: UserId) -> int:
    count: int = await connection.fetchval(
        "SELECT count(*) FROM blocks WHERE user_id = $1 AND source = $2 AND stands", user_id, Source.PARLEY.value
    )
    return count
