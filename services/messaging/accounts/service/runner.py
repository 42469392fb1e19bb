"""Works on the jobs: small steps, each written down, so that another runner goes on where this one was killed."""

import asyncio
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import structlog

from services.messaging import metrics
from services.messaging.accounts.core.deletions import DeletionCursor, Phase, load_deletion
from services.messaging.accounts.core.exports import ExportCursor, Section, load_export, part_key
from services.messaging.accounts.core.jobs import AccountPolicy, Claim, JobKind
from services.messaging.accounts.core.personal_columns import DELETED
from services.messaging.accounts.ports import (
    AccountData,
    AccountSource,
    ExportBatch,
    JobStore,
    LeaseLost,
    SourceUnavailable,
)
from services.messaging.attachments.ports import ObjectStore
from services.messaging.groups.core import changes as groups
from services.messaging.groups.core.changes import ChangeStamp
from services.messaging.groups.ports import GroupStore
from services.messaging.kernel.errors import ConversationNotFound, ObjectsUnavailable
from services.messaging.kernel.model import ConversationId, MessageId, UserId
from services.runtime.clock import Clock
from services.runtime.errors import StatementCutOff, StoreUnavailable, is_outage
from services.runtime.ids import NewId
from services.runtime.observability.failures import describe

log = structlog.get_logger()

# A job whose runner is silent for so long goes to another. Raising it makes the jobs of a killed runner wait; lowering
# it asks each step to be quicker, or two runners hinder each other (nothing is done twice).
LEASE = timedelta(seconds=60)
# A job that failed is tried again after this.
RETRY = timedelta(seconds=30)
# How often somebody looks for jobs beside those that were asked for here: put off, due later, or left by a replica that
# died. Raising it begins these later; lowering it makes more idle queries.
POLL_S = 5.0
# How often exports whose time is over are looked for. Raising it keeps them longer; lowering it makes more idle
# queries.
EXPIRE_INTERVAL_S = 60.0
EXPIRE_BATCH = 20
# Of one transaction. Raising it locks a conversation for longer; lowering it makes more transactions.
STEP_ROWS = 100
# Of one reading, and of one object. Raising it takes more memory; lowering it makes more objects to fetch.
READ_ROWS = 500
PART_CHARS = 4 * 1024 * 1024
# An object that was put and then not taken in, because the runner died, is deleted after this.
ORPHAN = timedelta(hours=1)


class JobRunner:
    """Runs due jobs one after the other. Any number of replicas may have one."""

    def __init__(
        self,
        jobs: JobStore,
        data: AccountData,
        group_store: GroupStore,
        objects: ObjectStore,
        clock: Clock,
        new_id: NewId,
        policy: AccountPolicy,
        sources: Sequence[AccountSource] = (),
        part_chars: int = PART_CHARS,
        step_rows: int = STEP_ROWS,
    ) -> None:
        self._jobs = jobs
        self._data = data
        self._groups = group_store
        self._objects = objects
        self._clock = clock
        self._new_id = new_id
        self._policy = policy
        self._sources = sources
        self._part_chars = part_chars
        self._step_rows = step_rows
        self._wanted = asyncio.Event()
        # When to look for them next, monotonic seconds.
        self._expire_at = -math.inf

    def wake(self) -> None:
        """A job was asked for just now."""
        self._wanted.set()

    async def run(self) -> None:
        """Work for ever."""
        while True:
            worked = False
            await self._expire()
            try:
                worked = await self.run_next()
            except StoreUnavailable as error:
                log.warning("account_jobs_wait", error=describe(error))
            except Exception:
                log.exception("account_jobs_failed")
            if not worked:
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._wanted.wait()
                self._wanted.clear()

    async def _expire(self) -> None:
        """Forget exports whose time is over, once in a while. What fails here must not keep the jobs from being
        done."""
        now_s = self._clock.monotonic()
        if now_s < self._expire_at:
            return
        self._expire_at = now_s + EXPIRE_INTERVAL_S
        try:
            if await self._jobs.expire(self._clock.now(), EXPIRE_BATCH) == EXPIRE_BATCH:
                self._expire_at = now_s
        except StoreUnavailable as error:
            log.warning("exports_not_expired", error=describe(error))
        except Exception:
            log.exception("exports_not_expired")

    async def run_next(self) -> bool:
        """Work on one due job to its end; False when none is due. Errors: StoreUnavailable.

        A failure puts the job off; when this call is cancelled, the job stays taken until its lease is over.
        """
        now = self._clock.now()
        claim = await self._jobs.claim(now, now + LEASE, self._new_id(now))
        if claim is None:
            return False
        work = self._export if claim.kind is JobKind.EXPORT else self._delete
        try:
            await work(claim)
        except LeaseLost:
            log.warning("account_job_lost", job_id=str(claim.job_id))
        except (StoreUnavailable, ObjectsUnavailable, SourceUnavailable) as error:
            if isinstance(error, StatementCutOff) and not await is_outage(error):
                # It may be this job's own fault: people must see it. The others go on meanwhile.
                metrics.ACCOUNT_JOBS.labels(claim.kind.value, "failed").inc()
            log.warning("account_job_waits", job_id=str(claim.job_id), error=describe(error))
            await self._put_off(claim)
        except Exception:
            log.exception("account_job_failed", job_id=str(claim.job_id))
            metrics.ACCOUNT_JOBS.labels(claim.kind.value, "failed").inc()
            await self._put_off(claim)
        else:
            metrics.ACCOUNT_JOBS.labels(claim.kind.value, "done").inc()
        return True

    async def _put_off(self, claim: Claim) -> None:
        try:
            await self._jobs.extend(claim, self._clock.now() + RETRY)
        except (LeaseLost, StoreUnavailable):
            log.info("account_job_lease_runs_out", job_id=str(claim.job_id))

    # Export.

    async def _export(self, claim: Claim) -> None:
        cursor = load_export(claim.cursor)
        while cursor.section is not Section.DONE:
            cursor = await self._write_part(claim, cursor)
        now = self._clock.now()
        await self._jobs.finish(claim, now, now + self._policy.kept)

    async def _write_part(self, claim: Claim, cursor: ExportCursor) -> ExportCursor:
        """One object of lines, and the cursor after it."""
        lines: list[str] = []
        size, after = 0, cursor
        while size < self._part_chars and after.section is not Section.DONE:
            batch = await self._read(claim.user_id, after)
            await self._jobs.extend(claim, self._clock.now() + LEASE)
            lines += batch.lines
            size += sum(map(len, batch.lines))
            after = batch.after
        after = replace(after, part=cursor.part + 1)
        key = part_key(claim, cursor.part)
        await self._jobs.announce_object(key, self._clock.now() + ORPHAN)
        data = "".join(f"{line}\n" for line in lines).encode()
        await self._objects.put(key, data, "application/x-ndjson")
        await self._jobs.save_part(claim, key, after, self._clock.now() + LEASE)
        return after

    async def _read(self, user_id: UserId, cursor: ExportCursor) -> ExportBatch:
        if cursor.section is not Section.OTHERS:
            return await self._data.read_export(user_id, cursor, READ_ROWS, self._clock.now())
        if cursor.source >= len(self._sources):
            return ExportBatch([], replace(cursor, section=Section.DONE))
        source = self._sources[cursor.source]
        lines, page = await source.read(user_id, cursor.page)
        if not cursor.page:
            # So that whoever reads it sees that the service was asked, also when it holds nothing.
            lines = [json.dumps({"type": "source", "source": source.name}), *lines]
        following = replace(cursor, page=page) if page else replace(cursor, source=cursor.source + 1, page="")
        return ExportBatch(lines, following)

    # Deletion.

    async def _delete(self, claim: Claim) -> None:
        cursor = load_deletion(claim.cursor)
        while cursor.phase is not Phase.DONE:
            cursor = await self._delete_some(claim, cursor)
            await self._data.save_deletion(claim, cursor, self._clock.now() + LEASE)
        await self._jobs.finish(claim, self._clock.now(), None)

    async def _delete_some(self, claim: Claim, cursor: DeletionCursor) -> DeletionCursor:
        """One step, and where the deletion stands after it."""
        data, user_id = self._data, claim.user_id
        match cursor.phase:
            case Phase.GROUPS:
                group = await data.next_group(user_id)
                if group is None:
                    return replace(cursor, phase=Phase.CONVERSATIONS)
                await self._leave(claim, group)
                return cursor
            case Phase.CONVERSATIONS:
                conversation_id = await data.next_conversation(user_id, cursor.after)
                if conversation_id is None:
                    return replace(cursor, phase=Phase.ROWS)
                has_more = await data.erase_in(claim, conversation_id, self._step_rows, self._clock.now())
                return cursor if has_more else replace(cursor, after=conversation_id)
            case _:
                if cursor.table == len(DELETED):
                    await data.conclude(claim, self._clock.now())
                    return replace(cursor, phase=Phase.DONE)
                has_more = await data.delete_rows(claim, cursor.table, self._step_rows)
                return cursor if has_more else replace(cursor, table=cursor.table + 1)

    async def _leave(self, claim: Claim, group: ConversationId) -> None:
        now = self._clock.now()
        stamp = ChangeStamp(MessageId(self._new_id(now)), claim.user_id, now)
        try:
            await self._groups.change_group(group, lambda found: groups.leave(found, claim.user_id), stamp)
        except ConversationNotFound:
            # Taken out by somebody in between.
            return
