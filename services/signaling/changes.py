"""One input to one call, carried out: read, decide, write with its events, then do the rest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import structlog

from services.runtime.clock import Clock
from services.signaling import metrics
from services.signaling.alarms import Alarms
from services.signaling.core.calls import Decision, handle
from services.signaling.core.errors import CallNotFound, Contended, VersionConflict
from services.signaling.core.inputs import Input
from services.signaling.core.model import Call, CallId, CallState, DeviceId, EndReason, Leg, Timeouts, UserId, Worker
from services.signaling.core.placement import WorkerTable
from services.signaling.core.rules import Effect
from services.signaling.core.transitions import dropped_devices
from services.signaling.ports import EventsOf, IdempotencyKey, MediaCloser, Record, RelayRounds, Store

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
    # Where a device that comes in goes, and who is told when it is not where the call is.
    workers: WorkerTable = field(default_factory=WorkerTable)
    relays: RelayRounds | None = None

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
            decision = handle(before, self.workers.place(before, given, now), now, self.timeouts)
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
        self._note_places(before, call)
        self._measure(before, call)

    def note_joined(self, call: Call) -> None:
        """A device has joined the call's media."""
        if call.spread and self.relays:
            self.relays.note(call.call_id)

    def _note_places(self, before: Call | None, call: Call) -> None:
        if before is None or not call.spread or call.state is CallState.ENDED:
            return
        known = {(leg.user_id, leg.worker) for leg in before.joined}
        for leg in call.joined:
            if leg.worker and (leg.user_id, leg.worker) not in known:
                self.workers.note_placement(leg.worker.worker_id, 1, self.clock.now(), call.call_id)
        if self.relays and _places(before) != _places(call):
            self.relays.note(call.call_id)

    def _end_media(self, before: Call | None, decision: Decision) -> None:
        call = decision.call
        former = before.former if before else None
        if Effect.CLOSE_MEDIA in decision.effects:
            # The former ones, too: of a call that has ended `before` has them.
            for worker in dict.fromkeys((*call.workers, *(before.workers if before else ()))):
                self.closer.close(worker, call.call_id)
        elif former and former.worker != (call.former.worker if call.former else None):
            self._close_former(former.worker, call)
        if before and call.state is not CallState.ENDED:
            if Effect.REMOVE_MEDIA in decision.effects:
                for user_id, device_id in dropped_devices(before, call):
                    for worker in before.workers:
                        self.closer.remove(worker, call.call_id, user_id, device_id)
            # As of a call that moves: the first key frame of the new media may be on its way.
            overlap_s = self.timeouts.handoff_overlap_s
            for worker, user_id, device_id in _left_behind(before, call):
                self.closer.remove(worker, call.call_id, user_id, device_id, overlap_s)

    def _close_former(self, worker: Worker, call: Call) -> None:
        if not any(call.is_on(leg, worker) for leg in call.joined if leg.worker):
            return self.closer.close(worker, call.call_id)
        # Others have come there since.
        for leg in call.joined:
            if leg.device_id and not call.is_on(leg, worker):
                self.closer.remove(worker, call.call_id, leg.user_id, leg.device_id)
        return None

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
        elif _have_legs_moved(before, call) and call.move_reason:
            metrics.MOVES.labels(call.move_reason.value).inc()
            log.info("call_legs_move", **_fields(call), why=call.move_reason.value)
        elif before.move_time and not call.move_time and call.state is not CallState.ENDED and call.move_reason:
            took_s = (self.clock.now() - before.move_time).total_seconds()
            metrics.MOVE_SECONDS.labels(call.move_reason.value).observe(took_s)


def _have_legs_moved(before: Call, call: Call) -> bool:
    former = {leg.user_id: leg.epoch_offset for leg in before.joined}
    return any(leg.epoch_offset > former.get(leg.user_id, leg.epoch_offset) for leg in call.joined)


def _places(call: Call) -> list[tuple[object, ...]]:
    """All that the workers of a call are told of each other's devices depends on."""
    return [(call.worker, call.former), *((leg.user_id, *_place(leg)) for leg in call.joined)]


def _place(leg: Leg) -> tuple[object, ...]:
    return leg.device_id, leg.former_device_id, leg.worker, leg.former_worker


def _left_behind(before: Call, call: Call) -> Iterator[tuple[Worker, UserId, DeviceId]]:
    """Devices that have media elsewhere now than on the worker which their leg was on."""
    after = {leg.user_id: leg for leg in call.joined}
    for leg in before.joined:
        now = after.get(leg.user_id)
        is_over = now and leg.former_worker and now.former_worker != leg.former_worker
        if is_over and now and leg.former_worker and leg.device_id and not call.is_on(now, leg.former_worker):
            yield leg.former_worker, leg.user_id, leg.device_id


def _fields(call: Call) -> dict[str, str | None]:
    """What every line about a call has; its trace is that of StartCall, whoever changed the call."""
    reason = call.end_reason.value if call.end_reason else None
    return {"call_id": call.call_id, "state": call.state.value, "reason": reason, "call_trace": call.trace}
