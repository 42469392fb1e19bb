"""What waits for its time, kept in memory."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.messaging.kernel.errors import AttachmentNotFound, TooManyScheduled
from services.messaging.kernel.model import AttachmentId, DraftKey, UserId
from services.messaging.scheduling.core import (
    Decide,
    Scheduled,
    ScheduledId,
    ScheduledState,
    keeps_files_until,
    require_new,
)
from services.messaging.scheduling.sql import LET_GO
from tests.support.messaging_memory import MemoryStore


class MemoryScheduled:
    """See scheduling.ports.ScheduledStore, beside a store of messages in memory. `told`: what devices were told, as
    (state, revision); GONE is None."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._kept: dict[DraftKey, Scheduled] = {}
        self._leases: dict[ScheduledId, UUID] = {}
        self.told: list[tuple[ScheduledState | None, int]] = []

    async def put(self, scheduled: Scheduled, most: int) -> Scheduled | None:
        if await self._store.find_sent(scheduled.key):
            return None
        standing = require_new(self._kept.get(scheduled.key))
        if standing is not None:
            return standing
        if len(await self.list_of(scheduled.key.sender_id, None, most)) >= most:
            raise TooManyScheduled
        self._write(scheduled)
        return scheduled

    async def change(self, key: DraftKey, decide: Decide, now: datetime) -> Scheduled | None:
        before = self._kept.get(key)
        after = decide(before, await self._store.find_sent(key) is not None)
        if after is None:
            return before
        self._write(after)
        kept = {file.id for file in after.attachments}
        let_go = [file.id for file in (before.attachments if before else ()) if file.id not in kept]
        self._keep_until(let_go, now + LET_GO)
        return after

    async def find(self, key: DraftKey) -> Scheduled | None:
        return self._kept.get(key)

    async def list_of(self, user_id: UserId, after: ScheduledId | None, limit: int) -> Sequence[Scheduled]:
        own = [each for each in self._kept.values() if each.key.sender_id == user_id]
        found = [each for each in own if each.state is not ScheduledState.CANCELLED and (not after or each.id > after)]
        return sorted(found, key=lambda each: each.id)[:limit]

    async def claim(self, now: datetime, until: datetime, lease: UUID, limit: int) -> Sequence[Scheduled]:
        due = sorted((each for each in self._kept.values() if each.due_at <= now), key=lambda each: each.due_at)[:limit]
        taken = []
        for each in due:
            is_to_go = each.state in (ScheduledState.WAITING, ScheduledState.HELD)
            claimed = replace(each, due_at=until, state=ScheduledState.SENDING if is_to_go else each.state)
            self._kept[each.key], self._leases[each.id] = claimed, lease
            taken.append(claimed)
        return taken

    async def settle(self, settled: Scheduled, lease: UUID, now: datetime) -> None:
        if self._leases.get(settled.id) != lease:
            return
        del self._leases[settled.id]
        found = await self._store.find_conversation(settled.key.conversation_id)
        if settled.state is ScheduledState.REFUSED and found and found.vanish_after:
            settled = replace(settled, due_at=min(settled.due_at, now + found.vanish_after))
        if self._kept[settled.key].revision != settled.revision:
            self.told.append((settled.state, settled.revision))
        self._kept[settled.key] = settled

    async def forget(self, taken: Scheduled, lease: UUID, now: datetime) -> None:
        if self._leases.get(taken.id) != lease:
            return
        del self._leases[taken.id], self._kept[taken.key]
        if taken.state is not ScheduledState.CANCELLED:
            self._keep_until([file.id for file in taken.attachments], now + LET_GO)
            self.told.append((None, taken.revision + 1))

    async def next_due(self) -> datetime | None:
        return min((each.due_at for each in self._kept.values()), default=None)

    def _write(self, scheduled: Scheduled) -> None:
        files = {file.id for file in scheduled.attachments}
        others = [each for each in self._kept.values() if each.key != scheduled.key]
        if any(files & {file.id for file in each.attachments} for each in others):
            raise AttachmentNotFound
        self._kept[scheduled.key] = scheduled
        self._leases.pop(scheduled.id, None)
        self._keep_until(files, keeps_files_until(scheduled))
        gone = scheduled.state is ScheduledState.CANCELLED
        self.told.append((None if gone else scheduled.state, scheduled.revision))

    def _keep_until(self, ids: Collection[AttachmentId], until: datetime) -> None:
        uploads = self._store.unused_uploads
        for each in ids:
            if each in uploads:
                uploads[each] = replace(uploads[each], unused_until=until)
