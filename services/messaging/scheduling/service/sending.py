"""Sends what is due, once, whichever replica was killed over it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import structlog

from services.messaging import metrics
from services.messaging.kernel.model import ConversationId, UserId
from services.messaging.messages.service.requests import request_of
from services.messaging.messages.service.sending import Sending
from services.messaging.scheduling import core
from services.messaging.scheduling.core import Refused, Scheduled, is_to_be_sent
from services.messaging.scheduling.ports import ScheduledStore
from services.runtime.clock import Clock
from services.runtime.errors import StoreUnavailable
from services.runtime.ids import NewId
from services.runtime.observability.failures import describe

log = structlog.get_logger()

# What a killed replica had taken is taken by another after this. Raising it sends that later; lowering it may let two
# replicas send the same, which is stored once.
LEASE = timedelta(seconds=30)
# Of what is due at once. Raising it makes more work at a time for one replica; lowering it makes more queries in a busy
# minute.
BATCH = 64
# The longest sleep. What this replica was asked to schedule wakes it; what others were asked to, and do not send
# themselves since they are gone, is found after this. Raising it finds that later; lowering it makes more idle queries.
LOOK_S = 30.0
# What is due and was not taken is about to be taken by another replica, or changed by its writer. Raising it sends
# later what they leave; lowering it asks more often meanwhile.
MIN_SLEEP_S = 0.1
# While the database is away.
RETRY_S = 2.0

# Raises what refuses an account everything (AccountDeleted), and remembers what it may write.
Admit = Callable[[UserId], Awaitable[None]]
# What its writer is told of a refusal; None: it is a bug.
RefusalOf = Callable[[Exception], Refused | None]


class ScheduledSender:
    """Sends what is due. Any number of replicas may have one: each takes what no other has.

    Exactly once: what is sent has the key that it was given when it was written, and messages are stored once by it
    (MessageStore.append). So what a replica had sent and not noted is sent again, and found.
    """

    def __init__(
        self,
        store: ScheduledStore,
        sending: Sending,
        admit: Admit,
        refusal_of: RefusalOf,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._store = store
        self._sending = sending
        self._admit = admit
        self._refusal_of = refusal_of
        self._clock = clock
        self._new_id = new_id
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """Something may be due sooner than was known."""
        self._wanted.set()

    async def run(self) -> None:
        """Send for ever."""
        while True:
            wait_s = RETRY_S
            try:
                if await self.send_due():
                    continue
                wait_s = await self.sleep_s()
            except StoreUnavailable as error:
                log.warning("scheduled_messages_wait", error=describe(error))
            except Exception:
                # What is never sent would be a silent failure; the next round tries again.
                log.exception("scheduled_messages_failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wanted.wait()
            self._wanted.clear()

    async def sleep_s(self) -> float:
        """Until the next one is due, by the clock as it stands now; never longer than LOOK_S, whatever clocks do."""
        next_due = await self._store.next_due()
        if next_due is None:
            return LOOK_S
        return min(LOOK_S, max(MIN_SLEEP_S, (next_due - self._clock.now()).total_seconds()))

    async def send_due(self) -> int:
        """Take some of what is due, and send it; how many were taken. Errors: StoreUnavailable."""
        now, lease = self._clock.now(), self._new_id(self._clock.now())
        taken_at = self._clock.monotonic()
        taken = await self._store.claim(now, now + LEASE, lease, BATCH)
        queues: dict[tuple[UserId, ConversationId], list[Scheduled]] = {}
        for each in sorted(taken, key=lambda found: (found.send_at, found.id)):
            queues.setdefault((each.key.sender_id, each.key.conversation_id), []).append(each)
        await asyncio.gather(*(self._send_in_order(queue, lease, taken_at) for queue in queues.values()))
        return len(taken)

    async def _send_in_order(self, queue: Sequence[Scheduled], lease: UUID, taken_at: float) -> None:
        """What one person says in one conversation, in the order of its times."""
        for taken in queue:
            if self._clock.monotonic() - taken_at > LEASE.total_seconds() / 2:
                # This process stood still, or had too much to do: whoever takes it next sends it.
                return
            try:
                await self._send_and_settle(taken, lease)
            except StoreUnavailable as error:
                # It may be stored: that is found out when the lease is over.
                log.warning("scheduled_message_waits", scheduled_id=str(taken.id), error=describe(error))
            except Exception:
                log.exception("scheduled_message_failed", scheduled_id=str(taken.id))

    async def _send_and_settle(self, taken: Scheduled, lease: UUID) -> None:
        if not is_to_be_sent(taken):
            return await self._store.forget(taken, lease, self._clock.now())
        refused = await self._send(taken)
        now = self._clock.now()
        if refused is None:
            metrics.SCHEDULED.labels("sent").inc()
            metrics.SCHEDULED_LATE.observe(max(0.0, (now - taken.send_at).total_seconds()))
            return await self._store.forget(taken, lease, now)
        settled = core.settle(taken, refused, now)
        metrics.SCHEDULED.labels(settled.state.value).inc()
        return await self._store.settle(settled, lease, now)

    async def _send(self, taken: Scheduled) -> Refused | None:
        key, files = taken.key, [str(file.id) for file in taken.attachments]
        request = request_of(taken.content, key.client_message_id, taken.reply_to_seq, files)
        try:
            await self._admit(key.sender_id)
            await self._sending.send(key.sender_id, str(key.conversation_id), request)
        except StoreUnavailable:
            raise
        except Exception as error:
            refused = self._refusal_of(error)
            if refused is None:
                raise
            return refused
        return None
