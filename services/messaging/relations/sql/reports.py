"""Statements about reports and their copies."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import asyncpg

from services.messaging.kernel.model import ConversationId, UserId
from services.messaging.relations.core.reports import Reason, Report, ReportedMessage, State
from services.runtime.postgres.database import Connection


async def insert_report(connection: Connection, report: Report) -> None:
    """Insert it with its copies."""
    await connection.execute(
        "INSERT INTO reports (id, reporter_id, client_report_id, conversation_id, reason, comment, created_at,"
        " reported_ids) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        report.id,
        report.reporter_id,
        report.client_report_id,
        report.conversation_id,
        report.reason.value,
        report.comment,
        report.created_at,
        list(report.reported_ids),
    )
    await connection.executemany(
        "INSERT INTO report_messages (report_id, seq, sender_id, sent_at, body, attachment_ids)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        [
            (report.id, copy.seq, copy.sender_id, copy.sent_at, copy.text, list(copy.attachment_ids))
            for copy in report.messages
        ],
    )


async def load_report(connection: Connection, report_id: UUID, *, for_update: bool = False) -> Report | None:
    """One report with its copies."""
    lock = " FOR UPDATE" if for_update else ""
    row = await connection.fetchrow(f"SELECT * FROM reports WHERE id = $1{lock}", report_id)  # noqa: S608
    if row is None:
        return None
    copies = await connection.fetch("SELECT * FROM report_messages WHERE report_id = $1 ORDER BY seq", report_id)
    return replace(_report(row), messages=tuple(_copy(copy) for copy in copies))


async def load_filed(connection: Connection, reporter_id: UserId, client_report_id: str) -> Report | None:
    """A report by its maker's key, without copies."""
    row = await connection.fetchrow(
        "SELECT * FROM reports WHERE reporter_id = $1 AND client_report_id = $2", reporter_id, client_report_id
    )
    return _report(row) if row else None


async def load_reports(connection: Connection, state: State, after: UUID | None, limit: int) -> Sequence[Report]:
    """Reports without copies, the oldest first: ids ascend with time."""
    found = await connection.fetch(
        "SELECT * FROM reports WHERE state = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3",
        state.value,
        after,
        limit,
    )
    return [_report(row) for row in found]


def _report(row: asyncpg.Record) -> Report:
    return Report(
        id=row["id"],
        reporter_id=UserId(row["reporter_id"]),
        client_report_id=row["client_report_id"],
        conversation_id=ConversationId(row["conversation_id"]),
        reason=Reason(row["reason"]),
        comment=row["comment"],
        created_at=row["created_at"],
        state=State(row["state"]),
        resolved_by=row["resolved_by"],
        resolved_at=row["resolved_at"],
        reported_ids=tuple(UserId(user) for user in row["reported_ids"]),
    )


def _copy(row: asyncpg.Record) -> ReportedMessage:
    return ReportedMessage(
        row["seq"], UserId(row["sender_id"]), row["sent_at"], row["body"], tuple(row["attachment_ids"])
    )
