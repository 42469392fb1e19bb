"""Statements about jobs."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from services.messaging.accounts.core.jobs import Claim, Job, JobId, JobKind
from services.messaging.accounts.ports import LeaseLost
from services.messaging.kernel.model import UserId
from services.runtime.postgres.database import Connection

# Nobody new may write to, call or see who is gone; the row stays.
_LET_NOBODY = """
INSERT INTO user_settings (user_id, message_audience, presence_audience, call_audience, send_receipts)
VALUES ($1, 'nobody', 'nobody', 'nobody', false)
ON CONFLICT (user_id) DO UPDATE SET message_audience = excluded.message_audience,
    presence_audience = excluded.presence_audience, call_audience = excluded.call_audience,
    send_receipts = excluded.send_receipts
"""

_CLAIM = """
UPDATE account_jobs SET due_at = $2, lease = $3
WHERE id = (
    SELECT id FROM account_jobs WHERE finished_at IS NULL AND due_at <= $1 ORDER BY due_at LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING id, user_id, kind, cursor
"""


async def insert_job(connection: Connection, job: Job, due_at: datetime) -> bool:
    """Insert it, unless the person has such a one that stands in its way; whether it was inserted."""
    inserted = await connection.fetchval(
        "INSERT INTO account_jobs (id, user_id, kind, created_at, due_at) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT DO NOTHING RETURNING id",
        job.id,
        job.user_id,
        job.kind.value,
        job.created_at,
        due_at,
    )
    return inserted is not None


async def let_nobody(connection: Connection, user_id: UserId) -> None:
    """The settings of who is gone."""
    await connection.execute(_LET_NOBODY, user_id)


async def load_job(connection: Connection, job_id: JobId) -> Job | None:
    """One job with its parts."""
    row = await connection.fetchrow("SELECT * FROM account_jobs WHERE id = $1", job_id)
    return await _with_parts(connection, row) if row else None


async def load_job_of(
    connection: Connection, user_id: UserId, kind: JobKind, since: datetime | None = None
) -> Job | None:
    """The person's newest job of a kind that runs, or began since then; without a time, any."""
    row = await connection.fetchrow(
        "SELECT * FROM account_jobs WHERE user_id = $1 AND kind = $2"
        " AND (finished_at IS NULL OR $3::timestamptz IS NULL OR created_at >= $3) ORDER BY created_at DESC LIMIT 1",
        user_id,
        kind.value,
        since,
    )
    return await _with_parts(connection, row) if row else None


async def claim_job(connection: Connection, now: datetime, until: datetime, lease: object) -> asyncpg.Record | None:
    """A due job, taken."""
    return await connection.fetchrow(_CLAIM, now, until, lease)


async def hold(connection: Connection, claim: Claim) -> None:
    """Lock the claimed job for the length of the transaction. Raises LeaseLost."""
    found = await connection.fetchval(
        "SELECT true FROM account_jobs WHERE id = $1 AND lease = $2 AND finished_at IS NULL FOR UPDATE",
        claim.job_id,
        claim.lease,
    )
    if not found:
        raise LeaseLost(str(claim.job_id))


async def move(connection: Connection, claim: Claim, cursor: str, until: datetime) -> None:
    """Write where a held job stands, and keep it until then."""
    await connection.execute(
        "UPDATE account_jobs SET cursor = $2, due_at = $3 WHERE id = $1", claim.job_id, cursor, until
    )


async def drop_exports(connection: Connection, job_ids: Sequence[JobId]) -> None:
    """Forget exports, and queue their objects for deletion."""
    await connection.execute(
        "WITH gone AS (DELETE FROM export_parts WHERE job_id = ANY($1) RETURNING object_key)"
        " INSERT INTO doomed_objects (object_key) SELECT object_key FROM gone ON CONFLICT DO NOTHING",
        job_ids,
    )
    await connection.execute("DELETE FROM account_jobs WHERE id = ANY($1)", job_ids)


async def _with_parts(connection: Connection, row: asyncpg.Record) -> Job:
    parts = await connection.fetch("SELECT object_key FROM export_parts WHERE job_id = $1 ORDER BY part", row["id"])
    return Job(
        JobId(row["id"]),
        UserId(row["user_id"]),
        JobKind(row["kind"]),
        row["created_at"],
        row["finished_at"],
        row["expires_at"],
        tuple(part["object_key"] for part in parts),
    )
