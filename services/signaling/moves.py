"""Calls go to another SFU worker: away from one that stops or died, or because an operator says so."""

import asyncio
from dataclasses import dataclass, replace

import structlog

from services.runtime.errors import StoreUnavailable, is_outage
from services.signaling import metrics
from services.signaling.changes import CallChanges
from services.signaling.core.errors import CallEnded, CallNotFound, Contended, NoMediaWorker, WorkerNotFound
from services.signaling.core.inputs import Move, WorkerLost
from services.signaling.core.model import Call, CallId, CallState, MoveReason, UserId, Worker, WorkerId
from services.signaling.core.placement import WorkerAnnouncement, WorkerTable
from services.signaling.ports import MediaWorkers, Store

log = structlog.get_logger()

# Calls that one query takes from a worker. Raising it makes longer lists; lowering it makes more queries for a full
# worker.
MOVE_LIMIT = 200
# Calls that are moved at once: each waits for the database most of the time, and those of a lost worker are silent
# meanwhile. Raising it leaves fewer connections for everything else; lowering it makes the last call of a full worker
# wait longer.
MOVES_AT_ONCE = 6


@dataclass(frozen=True)
class CallMoves:
    """Moves calls. Safe from all replicas at once: a call moves away from a process once."""

    store: Store
    changes: CallChanges
    media: MediaWorkers
    workers: WorkerTable

    async def move_on_request(self, call_id: CallId, worker_id: WorkerId | None) -> Call:
        """An operator moves a call, to the named worker or to the best of the others.

        Idempotent for a named worker. Raises CallNotFound, CallEnded, NoMediaWorker.
        """
        call = await self.store.find(call_id)
        if call is None:
            raise CallNotFound
        if call.worker and worker_id == call.worker.worker_id:
            # Also when the call has ended since: it is where it was to go.
            return call
        if call.state is CallState.ENDED or call.worker is None:
            raise CallEnded
        target = self._named(worker_id) if worker_id else self._choose(call)
        if target is None:
            raise NoMediaWorker("no worker of that name has room" if worker_id else "no other worker has room")
        return await self.changes.apply(call_id, Move(call.worker, target, MoveReason.OPERATOR))

    async def drain(self, worker_id: WorkerId) -> int:
        """An operator sets a worker aside: it gets no more calls, and those that it has move, make before break.

        How many calls it keeps because no other worker has room; at most MOVE_LIMIT are counted. Idempotent.
        Raises WorkerNotFound, MediaUnavailable.
        """
        announcement = self._find_announced(worker_id)
        await self.media.set_draining(announcement.worker, True)
        # The other replicas read the worker's own announcement; here it holds from now on.
        self.workers.announce(replace(announcement, draining=True))
        await self._evacuate(announcement.worker, MoveReason.DRAIN)
        return len(await self.store.list_on(announcement.worker, MOVE_LIMIT))

    async def undrain(self, worker_id: WorkerId) -> None:
        """Take a worker into service again. Idempotent. Raises WorkerNotFound, MediaUnavailable."""
        announcement = self._find_announced(worker_id)
        await self.media.set_draining(announcement.worker, False)
        self.workers.announce(replace(announcement, draining=False))

    async def rescue(self, call: Call, user_id: UserId) -> Call:
        """The call with this person on a live worker: as it is, or moved when the worker is gone.

        Raises NoMediaWorker, CallEnded.
        """
        leg = call.leg_of(user_id)
        worker = call.worker_of(leg) if leg else call.worker
        if worker is None or await self._reason_to_leave(worker) is not MoveReason.WORKER_LOST:
            return call
        target = self._choose_instead(call, worker)
        if target is None:
            metrics.SETUP_FAILURES.labels("placement").inc()
            raise NoMediaWorker("no media worker has room")
        return await self.changes.apply(call.call_id, Move(worker, target, MoveReason.WORKER_LOST))

    async def inspect_workers(self) -> None:
        """Move the calls of workers that died or are about to stop. Raises StoreUnavailable."""
        for worker in await self.store.list_workers():
            why = await self._reason_to_leave(worker)
            if why:
                await self._evacuate(worker, why)

    async def check_worker(self, worker: Worker) -> None:
        """Move a worker's calls if it does not answer: something has just broken off. Raises StoreUnavailable."""
        if await self.media.is_reachable(worker):
            return
        log.warning("worker_lost", worker_id=worker.worker_id)
        # No more calls go there; if it was a mistake, its next announcement brings it back.
        self.workers.remove(worker.worker_id)
        for known in await self.store.list_workers():
            if known.is_same_process(worker):
                await self._evacuate(known, MoveReason.WORKER_LOST)

    async def _reason_to_leave(self, worker: Worker) -> MoveReason | None:
        announcement = self.workers.find(worker.worker_id, self.changes.clock.now())
        if announcement is None:
            # Silence alone may be the broker's.
            is_there = await self.media.is_reachable(self.workers.current(worker))
            return None if is_there else MoveReason.WORKER_LOST
        if not announcement.worker.is_same_process(worker):
            return MoveReason.WORKER_LOST
        return MoveReason.DRAIN if announcement.draining else None

    async def _evacuate(self, worker: Worker, why: MoveReason) -> None:
        slots = asyncio.Semaphore(MOVES_AT_ONCE)

        async def move(call_id: CallId) -> bool:
            async with slots:
                try:
                    return await self._move_call(call_id, worker, why)
                except StoreUnavailable as error:
                    if await is_outage(error):
                        raise
                    log.exception("move_failed", call_id=call_id)
                    return False
                except Exception:
                    # The others must not stay behind for one that cannot be moved.
                    log.exception("move_failed", call_id=call_id)
                    return False

        while True:
            call_ids = await self.store.list_on(worker, MOVE_LIMIT)
            moved = await asyncio.gather(*map(move, call_ids))
            if call_ids:
                log.info("worker_evacuated", worker_id=worker.worker_id, why=why.value, moved=sum(moved), of=len(moved))
            if len(call_ids) < MOVE_LIMIT or not any(moved):
                return

    async def _move_call(self, call_id: CallId, worker: Worker, why: MoveReason) -> bool:
        """Whether nothing of the call is on that process any more."""
        call = await self.store.find(call_id)
        if call is None or not any(call.is_on(leg, worker) for leg in call.legs):
            return True
        target = self._choose_instead(call, worker)
        try:
            if target:
                await self.changes.apply(call_id, Move(worker, target, why))
            elif why is MoveReason.WORKER_LOST:
                await self.changes.apply(call_id, WorkerLost(worker.worker_id))
            else:
                log.warning("no_room_for_drained_call", call_id=call_id, worker_id=worker.worker_id)
        except (CallNotFound, CallEnded):
            return True
        except Contended:
            return False
        return target is not None

    def _choose(self, call: Call) -> Worker | None:
        now = self.changes.clock.now()
        participants = max(sum(leg.worker is None for leg in call.joined), 1)
        target = self.workers.choose(participants, now, exclude=call.worker)
        if target:
            self.workers.note_placement(target.worker_id, participants, now, call.call_id)
        return target

    def _choose_instead(self, call: Call, worker: Worker) -> Worker | None:
        """Where what of the call is on a worker goes: all that is on its own, or legs that are on another."""
        if worker.is_same_process(call.worker):
            return self._choose(call)
        participants = sum(call.is_on(leg, worker) for leg in call.joined)
        return self.workers.choose_among(call, participants, self.changes.clock.now(), exclude=worker)

    def _find_announced(self, worker_id: WorkerId) -> WorkerAnnouncement:
        announcement = self.workers.find(worker_id, self.changes.clock.now())
        if announcement is None:
            raise WorkerNotFound(f"no media worker called {worker_id!r} is heard of")
        return announcement

    def _named(self, worker_id: WorkerId) -> Worker | None:
        announcement = self.workers.find(worker_id, self.changes.clock.now())
        return announcement.worker if announcement and not announcement.draining else None
