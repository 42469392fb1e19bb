"""Jobs in memory, held to the same contract as PostgreSQL's, and a runner that is killed between two calls."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.messaging.accounts.core.exports import ExportCursor, dump_export
from services.messaging.accounts.core.jobs import AccountState, Claim, Job, JobId, JobKind
from services.messaging.accounts.ports import LeaseLost
from services.messaging.kernel.model import UserId


@dataclass(frozen=True)
class _Row:
    job: Job
    due_at: datetime
    cursor: str = ""
    lease: UUID | None = None


class FakeJobs:
    """See accounts.ports.JobStore."""

    def __init__(self) -> None:
        # Object keys that are to be deleted, and when.
        self.pending_deletes: dict[str, datetime] = {}
        # How often it was asked for deleted accounts.
        self.asked = 0
        # Of whose deletion everybody was told once more.
        self.told: list[UserId] = []
        self.restrictions: dict[UserId, datetime] = {}
        self._rows: dict[JobId, _Row] = {}

    async def start_export(self, job: Job, reuse_since: datetime) -> Job:
        for row in self._rows.values():
            is_fresh = row.job.finished_at is None or row.job.created_at >= reuse_since
            if (row.job.user_id, row.job.kind) == (job.user_id, JobKind.EXPORT) and is_fresh:
                return row.job
        self._rows[job.id] = _Row(job, job.created_at)
        return job

    async def start_deletion(self, job: Job, due_at: datetime) -> Job:
        for row in self._rows.values():
            if (row.job.user_id, row.job.kind) == (job.user_id, JobKind.DELETION):
                return row.job
        self._rows[job.id] = _Row(job, due_at)
        return job

    async def tell_deletion(self, user_id: UserId, now: datetime) -> None:
        self.told.append(user_id)

    async def list_deleted(self, after: str, limit: int) -> Sequence[UserId]:
        deleted = {row.job.user_id for row in self._rows.values() if row.job.kind is JobKind.DELETION}
        return sorted(user_id for user_id in deleted if user_id > after)[:limit]

    async def find(self, job_id: JobId) -> Job | None:
        row = self._rows.get(job_id)
        return row.job if row else None

    async def state_of(self, user_id: UserId) -> AccountState:
        self.asked += 1
        is_deleted = any((row.job.user_id, row.job.kind) == (user_id, JobKind.DELETION) for row in self._rows.values())
        return AccountState(is_deleted, self.restrictions.get(user_id))

    async def claim(self, now: datetime, until: datetime, lease: UUID) -> Claim | None:
        due = [row for row in self._rows.values() if row.job.finished_at is None and row.due_at <= now]
        if not due:
            return None
        row = min(due, key=lambda row: row.due_at)
        self._rows[row.job.id] = replace(row, due_at=until, lease=lease)
        return Claim(row.job.id, row.job.user_id, row.job.kind, row.cursor, lease)

    async def extend(self, claim: Claim, until: datetime) -> None:
        self._rows[claim.job_id] = replace(self._held(claim), due_at=until)

    async def save_part(self, claim: Claim, object_key: str, cursor: ExportCursor, until: datetime) -> None:
        row = self._held(claim)
        job = replace(row.job, parts=(*row.job.parts, object_key))
        self.pending_deletes.pop(object_key, None)
        self._rows[claim.job_id] = replace(row, job=job, cursor=dump_export(cursor), due_at=until)

    async def announce_object(self, object_key: str, due_at: datetime) -> None:
        self.pending_deletes[object_key] = due_at

    async def finish(self, claim: Claim, now: datetime, expires_at: datetime | None) -> None:
        row = self._held(claim)
        self._rows[claim.job_id] = replace(row, job=replace(row.job, finished_at=now, expires_at=expires_at))

    async def expire(self, now: datetime, limit: int) -> int:
        over = [row.job for row in self._rows.values() if row.job.expires_at and row.job.expires_at <= now][:limit]
        for job in over:
            del self._rows[job.id]
            self.pending_deletes.update(dict.fromkeys(job.parts, now))
        return len(over)

    def _held(self, claim: Claim) -> _Row:
        row = self._rows.get(claim.job_id)
        if row is None or row.lease != claim.lease or row.job.finished_at:
            raise LeaseLost
        return row


class Budget:
    """How many calls a runner makes before it is killed."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def spend(self) -> None:
        self.left -= 1
        if self.left <= 0:
            # As kill -9 does it: nothing of the runner's own is run any more.
            raise asyncio.CancelledError


class Mortal:
    """Stands before a port of a runner, which dies of its last call: sometimes before its effect, sometimes after."""

    def __init__(self, inner: object, budget: Budget) -> None:
        self._inner = inner
        self._budget = budget

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._inner, name)

        async def call(*args: Any) -> Any:
            if self._budget.left % 2:
                self._budget.spend()
                return await method(*args)
            result = await method(*args)
            self._budget.spend()
            return result

        return call
