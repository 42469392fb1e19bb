"""One input to one call, carried out: read, decide, write with its events, then do the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from services.runtime.clock import Clock
from services.signaling import metrics
from services.signaling.alarms import Alarms
from services.signaling.core.calls import Decision, handle
from services.signaling.core.errors import CallNotFound, Contended, VersionConflict
from services.signaling.core.inputs import Input
from services.signaling.core.model import Call, CallId, CallState, EndReason, Timeouts
from services.signaling.core.rules import Effect
from services.signaling.core.transitions import dropped_devices
from services.signaling.ports import EventsOf, IdempotencyKey, MediaCloser, Record, Store

log = structlog.get_logger()

# How often a change is decided again after a conflict. Each conflict means that another change of the same call was
# written, and a call bears few changes. Raising it lets a request that races with many wait longer; lowering it refuses
# requests that could succeed.
MAX_ATTEMPTS = 12


@dataclass(frozen=True)
class CallChanges:
    """Applies inputs to stored calls. Safe from any number of replicas at once: the version decides who was first."""

    store: Store
    events_of: EventsOf
    closer: MediaCloser
    alarms: Alarms
    clock: Clock
    timeouts: Timeouts

    async def apply(self, call_id: CallId, given: Input, key: IdempotencyKey | None = None) -> Call:
        """The call after the input; an input that has had its effect changes nothing.

        `key` is remembered with the change; where it is known already, its call is given as it stands.
        Raises CallNotFound, the state table's refusals, UserBusy, and Contended.
        """
        for _ in range(MAX_ATTEMPTS):
            before = await self.store.find(call_id)
            if before is None:
                raise CallNotFound
            # After the call was read: a request that stores the key in between changes the call, which is a conflict.
            if key and (known := await self.store.find_by_key(key)):
                return known
            now = self.clock.now()
            decision = handle(before, given, now, self.timeouts)
            if decision.call is not before:
                try:
                    same_busy = decision.call.busy_user_ids == before.busy_user_ids
                    await self.store.save(decision.call, self.records(before, decision), key, same_busy=same_busy)
                except VersionConflict:
                    continue
            elif key:
                await self.store.save_key(key, call_id)
            self.carry_out(before, decision)
            return decision.call
        raise Contended

    def records(self, before: Call | None, decision: Decision) -> Sequence[Record]:
        """The events of a decision, to be written in its transaction; `before` is None for a new call."""
        if Effect.PUBLISH not in decision.effects:
            return ()
        return self.events_of(before, decision.call, self.clock.now())

    def carry_out(self, before: Call | None, decision: Decision) -> None:
        """What follows a committed change; `before` is None for a new call."""
        call = decision.call
        if Effect.PUBLISH in decision.effects:
            log.info("call_changed", **_fields(call), version=call.version)
        self._end_media(before, decision)
        if call.due_time and (before is None or before.due_time != call.due_time):
            self.alarms.schedule(call.call_id, call.due_time)
        self._measure(before, call)

    def _end_media(self, before: Call | None, decision: Decision) -> None:
        call = decision.call
        former = before.former if before else None
        if Effect.CLOSE_MEDIA in decision.effects and call.worker:
            self.closer.close(call.worker, call.call_id)
        if former and former.worker != (call.former.worker if call.former else None):
            self.closer.close(former.worker, call.call_id)
        if Effect.REMOVE_MEDIA in decision.effects and before and call.state is not CallState.ENDED:
            workers = [worker for worker in (call.worker, call.former.worker if call.former else None) if worker]
            for user_id, device_id in dropped_devices(before, call):
                for worker in workers:
                    self.closer.remove(worker, call.call_id, user_id, device_id)

    def _measure(self, before: Call | None, call: Call) -> None:
        if call.answer_time and not (before and before.answer_time):
            metrics.RING_SECONDS.observe((call.answer_time - call.create_time).total_seconds())
        if call.media_time and call.answer_time and not (before and before.media_time):
            metrics.MEDIA_SECONDS.observe((call.media_time - call.answer_time).total_seconds())
            log.info("call_media_started", **_fields(call))
        if call.state is CallState.ENDED and call.end_reason and not (before and before.end_reason):
            metrics.CALLS_ENDED.labels(call.end_reason.value).inc()
            if call.end_reason is EndReason.MEDIA_LOST and call.media_time is None:
                metrics.SETUP_FAILURES.labels("media").inc()
        if before:
            self._measure_move(before, call)

    def _measure_move(self, before: Call, call: Call) -> None:
        if call.media_epoch > before.media_epoch and call.move_reason and call.worker:
            metrics.MOVES.labels(call.move_reason.value).inc()
            log.info("call_moves", **_fields(call), worker_id=call.worker.worker_id, why=call.move_reason.value)
        elif before.move_time and not call.move_time and call.state is not CallState.ENDED and call.move_reason:
            took_s = (self.clock.now() - before.move_time).total_seconds()
            metrics.MOVE_SECONDS.labels(call.move_reason.value).observe(took_s)


def _fields(call: Call) -> dict[str, str | None]:
    """What every line about a call has; its trace is that of StartCall, whoever changed the call."""
    reason = call.end_reason.value if call.end_reason else None
    return {"call_id": call.call_id, "state": call.state.value, "reason": reason, "call_trace": call.trace}
