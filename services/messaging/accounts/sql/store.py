"""PostgreSQL: jobs, and what stands about a person. The statements stand in rows/."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from services.messaging.accounts.core.deletions import DeletionCursor, dump_deletion
from services.messaging.accounts.core.exports import ExportCursor, Section, dump_export
from services.messaging.accounts.core.jobs import AccountState, Claim, Job, JobId, JobKind
from services.messaging.accounts.core.personal_columns import DELETED
from services.messaging.accounts.core.revocations import Revocations, forget_old
from services.messaging.accounts.ports import ExportBatch
from services.messaging.accounts.sql import deleting, exporting, jobs, standings
from services.messaging.conversations.sql.conversations import load_conversations, lock_counters
from services.messaging.kernel.model import ConversationId, ConversationKind, UserId
from services.messaging.relations.sql.relationships import notify_pair_closed
from services.messaging.wire import topics
from services.messaging.wire.deliveries import account_gone_delivery
from services.runtime.ids import NewId
from services.runtime.postgres import outbox
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import OutboxRelay


class PostgresJobs:
    """See ports.JobStore."""

    def __init__(self, database: Database, wake: Callable[[str], None] = lambda _: None) -> None:
        self._database = database
        self._wake = wake

    async def start_export(self, job: Job, reuse_since: datetime) -> Job:
        async with self._database.transaction() as connection:
            found = await jobs.load_job_of(connection, job.user_id, JobKind.EXPORT, reuse_since)
            if found:
                return found
            if await jobs.insert_job(connection, job, job.created_at):
                return job
        # Another call was faster.
        async with self._database.connection() as connection:
            return await jobs.load_job_of(connection, job.user_id, JobKind.EXPORT, reuse_since) or job

    async def start_deletion(self, job: Job, due_at: datetime) -> Job:
        async with self._database.transaction() as connection:
            await standings.lock(connection, job.user_id)
            if not await jobs.insert_job(connection, job, due_at):
                return await jobs.load_job_of(connection, job.user_id, JobKind.DELETION) or job
            await jobs.let_nobody(connection, job.user_id)
            await standings.tell(connection, job.user_id, Revocations(), job.created_at)
        self._wake(job.user_id)
        return job

    async def tell_deletion(self, user_id: UserId, now: datetime) -> None:
        async with self._database.transaction() as connection:
            await standings.lock(connection, user_id)
            await standings.tell(connection, user_id, Revocations(), now)
        self._wake(user_id)

    async def list_deleted(self, after: str, limit: int) -> Sequence[UserId]:
        async with self._database.connection() as connection:
            found = await connection.fetch(
                "SELECT user_id FROM account_jobs WHERE kind = 'deletion' AND user_id > $1 ORDER BY user_id LIMIT $2",
                after,
                limit,
            )
        return [UserId(row["user_id"]) for row in found]

    async def find(self, job_id: JobId) -> Job | None:
        async with self._database.connection() as connection:
            return await jobs.load_job(connection, job_id)

    async def state_of(self, user_id: UserId) -> AccountState:
        async with self._database.connection() as connection:
            found = await connection.fetchrow(
                "SELECT EXISTS (SELECT FROM account_jobs WHERE user_id = $1 AND kind = 'deletion') AS is_deleted,"
                " (SELECT restricted_until FROM account_restrictions WHERE user_id = $1) AS restricted_until",
                user_id,
            )
        # It gives one row, whoever is asked for.
        return AccountState(found["is_deleted"], found["restricted_until"]) if found else AccountState()

    async def claim(self, now: datetime, until: datetime, lease: UUID) -> Claim | None:
        async with self._database.transaction() as connection:
            row = await jobs.claim_job(connection, now, until, lease)
        if row is None:
            return None
        return Claim(JobId(row["id"]), UserId(row["user_id"]), JobKind(row["kind"]), row["cursor"], lease)

    async def extend(self, claim: Claim, until: datetime) -> None:
        async with self._database.transaction() as connection:
            await jobs.hold(connection, claim)
            await connection.execute("UPDATE account_jobs SET due_at = $2 WHERE id = $1", claim.job_id, until)

    async def save_part(self, claim: Claim, object_key: str, cursor: ExportCursor, until: datetime) -> None:
        async with self._database.transaction() as connection:
            await jobs.hold(connection, claim)
            await connection.execute(
                "INSERT INTO export_parts (job_id, part, object_key) VALUES ($1, $2, $3)",
                claim.job_id,
                cursor.part - 1,
                object_key,
            )
            await connection.execute("DELETE FROM doomed_objects WHERE object_key = $1", object_key)
            await jobs.move(connection, claim, dump_export(cursor), until)

    async def announce_object(self, object_key: str, due_at: datetime) -> None:
        async with self._database.connection() as connection:
            await connection.execute(
                "INSERT INTO doomed_objects (object_key, due_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                object_key,
                due_at,
            )

    async def finish(self, claim: Claim, now: datetime, expires_at: datetime | None) -> None:
        async with self._database.transaction() as connection:
            await jobs.hold(connection, claim)
            await connection.execute(
                "UPDATE account_jobs SET finished_at = $2, expires_at = $3, cursor = '' WHERE id = $1",
                claim.job_id,
                now,
                expires_at,
            )
            if claim.kind is JobKind.DELETION:
                # Others may have learnt something of the person from us until now: they erase once more.
                await standings.lock(connection, claim.user_id)
                await standings.tell(connection, claim.user_id, Revocations(), now)
        self._wake(claim.user_id)

    async def expire(self, now: datetime, limit: int) -> int:
        async with self._database.transaction() as connection:
            found = await connection.fetch(
                "SELECT id FROM account_jobs WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2"
                " FOR UPDATE SKIP LOCKED",
                now,
                limit,
            )
            await jobs.drop_exports(connection, [JobId(row["id"]) for row in found])
        return len(found)


class PostgresRevocations:
    """See ports.RevocationStore. `wake` tells the outbox relay of a commit."""

    def __init__(self, database: Database, wake: Callable[[str], None]) -> None:
        self._database = database
        self._wake = wake

    async def change(self, user_id: UserId, decide: Callable[[Revocations], Revocations], now: datetime) -> Revocations:
        async with self._database.transaction() as connection:
            await standings.lock(connection, user_id)
            revocations = decide(await standings.load(connection, user_id))
            await standings.save(connection, user_id, revocations)
            await standings.tell(connection, user_id, revocations, now)
        self._wake(user_id)
        return revocations

    async def prune(self, before: datetime, now: datetime, limit: int) -> int:
        async with self._database.connection() as connection:
            found = await connection.fetch(
                "SELECT DISTINCT user_id FROM revocations r WHERE valid_from < $1 AND NOT EXISTS ("
                "SELECT FROM revocations n WHERE n.user_id = r.user_id AND n.valid_from >= $1) LIMIT $2",
                before,
                limit,
            )
        for row in found:
            await self.change(UserId(row["user_id"]), lambda known: forget_old(known, before), now)
        return len(found)


class PostgresAccounts:
    """See ports.AccountData. The relay is woken for the conversations whose events were committed."""

    def __init__(self, database: Database, relay: OutboxRelay, new_id: NewId) -> None:
        self._database = database
        self._relay = relay
        self._new_id = new_id

    async def read_export(self, user_id: UserId, cursor: ExportCursor, limit: int, now: datetime) -> ExportBatch:
        async with self._database.connection() as connection:
            if cursor.section is Section.ROWS:
                return await exporting.read_rows(connection, user_id, cursor, limit)
            return await exporting.read_conversations(connection, user_id, cursor, limit, now)

    async def next_group(self, user_id: UserId) -> ConversationId | None:
        async with self._database.connection() as connection:
            found: ConversationId | None = await connection.fetchval(
                "SELECT c.id FROM members m JOIN conversations c ON c.id = m.conversation_id"
                " WHERE m.user_id = $1 AND c.kind = 'group' ORDER BY c.id LIMIT 1",
                user_id,
            )
        return found

    async def next_conversation(self, user_id: UserId, after: ConversationId | None) -> ConversationId | None:
        async with self._database.connection() as connection:
            return await exporting.next_conversation(connection, user_id, after)

    async def erase_in(self, claim: Claim, conversation_id: ConversationId, limit: int, now: datetime) -> bool:
        user_id = claim.user_id
        async with self._database.transaction() as connection:
            await jobs.hold(connection, claim)
            await lock_counters(connection, [conversation_id])
            conversation = (await load_conversations(connection, [conversation_id]))[conversation_id]
            changed = await deleting.expire_messages(connection, conversation, user_id, limit)
            if not changed:
                changed = await deleting.withdraw_reactions(connection, conversation, user_id, limit)
            if not changed:
                changed = await deleting.withdraw_votes(connection, conversation, user_id, limit)
            if not changed:
                changed = await deleting.withdraw_openings(connection, conversation, user_id, limit)
            if not changed:
                changed = await deleting.withdraw_name(connection, conversation, user_id, limit)
            if changed:
                await deleting.tell_changes(connection, conversation, changed, self._new_id, now)
            else:
                await deleting.forget_member(connection, conversation_id, user_id)
                if conversation.kind is ConversationKind.DIRECT:
                    await notify_pair_closed(connection, conversation_id, self._new_id(now), now)
        self._relay.wake(str(conversation_id))
        return bool(changed)

    async def delete_rows(self, claim: Claim, table: int, limit: int) -> bool:
        async with self._database.transaction() as connection:
            await jobs.hold(connection, claim)
            return await deleting.delete_rows(connection, DELETED[table], claim.user_id, limit) == limit

    async def save_deletion(self, claim: Claim, cursor: DeletionCursor, until: datetime) -> None:
        async with self._database.transaction() as connection:
            await jobs.hold(connection, claim)
            await jobs.move(connection, claim, dump_deletion(cursor), until)

    async def conclude(self, claim: Claim, now: datetime) -> None:
        gone = account_gone_delivery(claim.user_id, now)
        async with self._database.transaction() as connection:
            await jobs.hold(connection, claim)
            found = await connection.fetch(
                "SELECT id FROM account_jobs WHERE user_id = $1 AND kind = 'export' FOR UPDATE", claim.user_id
            )
            await jobs.drop_exports(connection, [JobId(row["id"]) for row in found])
            await outbox.append(connection, claim.user_id, [(topics.DELIVERY, claim.user_id, gone)])
        self._relay.wake(claim.user_id)
