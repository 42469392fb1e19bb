"""What reviewers do with what is held, and how long it is kept."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from services.messaging import metrics
from services.messaging.hooks.core.holding import Decision, Held, HeldId, HeldState
from services.messaging.hooks.ports import Editing, HeldStore, Sending
from services.messaging.kernel import checks
from services.messaging.kernel.content import Text, weight_of
from services.messaging.kernel.errors import HeldNotFound, MessagingError
from services.messaging.kernel.model import Message
from services.messaging.kernel.weighing import MAX_ANSWER_BYTES, fitting
from services.runtime.clock import Clock
from services.runtime.errors import StoreUnavailable
from services.runtime.observability.failures import describe

log = structlog.get_logger()

# Of one row of an answer beside its content, near enough.
_ROW_BYTES = 512
# Raising it leaves old rows for longer, and what the metrics say of the queue older; lowering it makes more idle
# queries.
PURGE_INTERVAL_S = 60.0
_FORGET_BATCH = 500


class Reviews:
    """Reviewers act as nobody. Errors of each: InvalidField, StoreUnavailable."""

    def __init__(self, store: HeldStore, sending: Sending, editing: Editing, clock: Clock) -> None:
        self._store = store
        self._sending = sending
        self._editing = editing
        self._clock = clock

    async def list_held(self, page_size: int, page_token: str) -> tuple[Sequence[Held], str]:
        """A page of what waits, the oldest first, and the token of the next page."""
        size = checks.check_range("page_size", page_size, 50, 200)
        after = HeldId(checks.check_uuid("page_token", page_token)) if page_token else None
        found = await self._store.list_waiting(after, size + 1)
        fits = fitting([_ROW_BYTES + weight_of(held.content) for held in found[:size]], MAX_ANSWER_BYTES)
        return found[:fits], str(found[fits - 1].id) if len(found) > fits else ""

    async def release(self, held_id: str) -> Message:
        """Send it. Idempotent. Errors: HeldNotFound, HeldDecided, and what refuses its sender now; then it waits on."""
        target = HeldId(checks.check_uuid("held_id", held_id))
        held = await self._store.decide(target, Decision.RELEASE, self._clock.now())
        if held.state is HeldState.RELEASED:
            message = await self._sending.find_sent(held)
            if message is None:
                raise HeldNotFound
            return message
        try:
            message = await self._send(held)
        except MessagingError:
            await self._store.decide(target, Decision.PUT_BACK, self._clock.now())
            raise
        # Should this fail, it is released again: the message is stored once.
        await self._store.decide(target, Decision.SENT, self._clock.now())
        return message

    async def refuse(self, held_id: str) -> None:
        """It is not sent, and what it says is deleted. Idempotent. Errors: HeldNotFound, HeldDecided."""
        target = HeldId(checks.check_uuid("held_id", held_id))
        await self._store.decide(target, Decision.REFUSE, self._clock.now())

    async def _send(self, held: Held) -> Message:
        if held.seq and isinstance(held.content, Text):
            key = held.key
            return await self._editing.edit_reviewed(key.sender_id, key.conversation_id, held.seq, held.content)
        return await self._sending.send_reviewed(held)


@dataclass(frozen=True)
class KeepingPolicy:
    """How long what is held is kept."""

    # Raising it lets what nobody reviews lie about for longer; lowering it drops what reviewers come to late.
    waiting: timedelta = timedelta(days=14)
    # After the decision, for retries of the sender: they are told of it as long.
    decided: timedelta = timedelta(days=30)


class HeldPurging:
    """Forgets what was held too long ago, and tells how much waits. Every replica runs one."""

    def __init__(self, store: HeldStore, clock: Clock, policy: KeepingPolicy) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy

    async def run(self) -> None:
        """Purge for ever."""
        while True:
            try:
                await self.purge()
            except StoreUnavailable as error:
                log.warning("held_keeping_waits", error=describe(error))
            except Exception:
                # What is never forgotten would be a silent failure; the next round tries again.
                log.exception("held_keeping_failed")
            await asyncio.sleep(PURGE_INTERVAL_S)

    async def purge(self) -> None:
        """One round. Errors: StoreUnavailable."""
        now, policy = self._clock.now(), self._policy
        while await self._store.forget(now - policy.waiting, now - policy.decided, _FORGET_BATCH) == _FORGET_BATCH:
            pass
        queue = await self._store.queue()
        metrics.HELD_WAITING.set(queue.count)
        metrics.HELD_OLDEST.set(max(0.0, (now - queue.oldest).total_seconds()) if queue.oldest else 0.0)
