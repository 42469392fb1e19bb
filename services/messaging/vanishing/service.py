"""Vanishing messages and retention, as use-cases."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from services.messaging import metrics
from services.messaging.groups.core.changes import ChangeStamp
from services.messaging.kernel import checks
from services.messaging.kernel.model import Conversation, ConversationId, MessageId, UserId
from services.messaging.vanishing import core
from services.messaging.vanishing.ports import GroupStore, SweepStore
from services.runtime.clock import Clock
from services.runtime.errors import StoreUnavailable, is_outage
from services.runtime.ids import NewId
from services.runtime.observability.failures import describe

log = structlog.get_logger()

# A batch that is cut off is tried again with so many times fewer messages. Raising it finds the culprit in fewer steps;
# lowering it makes fewer of the others wait for it.
SMALLER = 8
# Messages of one sweep that cannot be erased. Raising it lets a locked table hold up the sweep for longer (each takes
# up to 10 s); lowering it lets that many culprits keep the others from being erased.
MAX_SKIPPED = 10


class Vanishing:
    """What people set."""

    def __init__(self, store: GroupStore, clock: Clock, new_id: NewId) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id

    async def set_vanishing(self, user_id: UserId, conversation_id: str, vanish_after: timedelta) -> Conversation:
        """From when on new messages vanish. Idempotent. Errors: InvalidField, ConversationNotFound, RoleTooLow."""
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        length = core.check_vanish_after(vanish_after)
        now = self._clock.now()
        stamp = ChangeStamp(MessageId(self._new_id(now)), user_id, now)
        return await self._store.change_group(target, lambda found: core.set_vanishing(found, user_id, length), stamp)


@dataclass(frozen=True)
class SweepPolicy:
    """How the sweeper works."""

    # None keeps messages for ever.
    retention: timedelta | None = None
    # Raising it leaves rows in the tables for longer that nobody is shown any more; lowering it makes more idle queries
    # on each replica.
    interval_s: float = 5.0
    # Messages a transaction. Raising it keeps their conversations from taking sends for longer; lowering it makes more
    # commits.
    batch: int = 200
    # Conversations that one sweep looks at for retention. Raising it makes more load at once; lowering it makes a whole
    # scan of them take longer.
    conversations: int = 1_000


class Sweeper:
    """Erases messages whose time is over. Every replica runs one; each skips what another has locked."""

    def __init__(self, store: SweepStore, clock: Clock, policy: SweepPolicy) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy
        # Where the scan of all conversations stands.
        self._after: ConversationId | None = None

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            for part in (self._expire, self._release, self._retain):
                # What cannot vanish must not keep old messages from going.
                await self._try(part)
            await asyncio.sleep(self._policy.interval_s)

    async def sweep(self) -> None:
        """Erase all that is due by vanishing, or was opened by everybody, and scan on for retention. Errors:
        StoreUnavailable."""
        await self._expire()
        await self._release()
        await self._retain()

    async def _try(self, part: Callable[[], Awaitable[None]]) -> None:
        try:
            await part()
        except StoreUnavailable as error:
            log.warning("sweep_waiting", error=describe(error))
        except Exception:
            # Messages that never go would be a silent failure; the next sweep tries again.
            log.exception("sweep_failed")

    async def _expire(self) -> None:
        """The longest overdue come first, so one that cannot be erased would be met again and again: it is looked for
        by smaller batches, and skipped until the next sweep."""
        limit, skipped = self._policy.batch, 0
        while True:
            try:
                count = await self._store.expire_due(self._clock.now(), limit, skipped)
            except StoreUnavailable as error:
                if skipped == MAX_SKIPPED or await is_outage(error):
                    raise
                log.exception("vanishing_cut_off", messages=limit)
                skipped, limit = (skipped + 1, 1) if limit == 1 else (skipped, max(1, limit // SMALLER))
                metrics.SWEEPS_CUT_OFF.labels("vanished").inc()
                continue
            metrics.ERASED.labels("vanished").inc(count)
            if count < limit:
                return
            limit = min(limit * SMALLER, self._policy.batch)

    async def _release(self) -> None:
        """Files of view-once messages."""
        count = self._policy.batch
        while count == self._policy.batch:
            count = await self._store.release_due(self._clock.now(), self._policy.batch)
            metrics.ERASED.labels("view_once").inc(count)

    async def _retain(self) -> None:
        if self._policy.retention is None:
            return
        now = self._clock.now()
        cutoff = now - self._policy.retention
        old, self._after = await self._store.find_old(cutoff, self._after, self._policy.conversations)
        for conversation_id in old:
            try:
                await self._delete_old(conversation_id, cutoff, now)
            except StoreUnavailable as error:
                if await is_outage(error):
                    raise
                # The next scan comes by it again.
                log.exception("retention_cut_off", conversation_id=str(conversation_id))
                metrics.SWEEPS_CUT_OFF.labels("retention").inc()

    async def _delete_old(self, conversation_id: ConversationId, cutoff: datetime, now: datetime) -> None:
        count = self._policy.batch
        while count == self._policy.batch:
            count = await self._store.delete_old(conversation_id, cutoff, now, self._policy.batch)
            metrics.ERASED.labels("retention").inc(count)
