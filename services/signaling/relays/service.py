"""Rounds through the workers of a call: each is asked who has joined there, then each is told of all the others."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from services.runtime.clock import Clock
from services.signaling import metrics
from services.signaling.core.errors import MediaUnavailable
from services.signaling.core.model import Call, CallId, CallState, Worker
from services.signaling.core.placement import WorkerTable
from services.signaling.ports import RelayRounds, Store
from services.signaling.relays.core import Carrier, Relays, Round, carriers_of, tell
from services.signaling.relays.ports import RelayStore, RelayWorkers

log = structlog.get_logger()

# How long after a round the next one of a call that is on several workers begins, though nothing was heard. Raising it
# leaves for longer what a worker or a replica missed; lowering it asks the workers of large calls more often.
ROUND_INTERVAL_S = 5.0
# Calls that one sweep takes. Raising it makes longer sweeps; lowering it makes a backlog last longer.
SWEEP_LIMIT = 200


@dataclass(frozen=True)
class CallRelays:
    """Keeps what workers know of each other in line with the call. Safe from all replicas at once: of two rounds the
    workers follow the later one."""

    calls: Store
    store: RelayStore
    media: RelayWorkers
    workers: WorkerTable
    clock: Clock
    new_secret: Callable[[], bytes]

    async def tell(self, call_id: CallId) -> bool:
        """One round; whether all was said. Raises StoreUnavailable.

        A worker that does not answer, and is not known to be gone, leaves all as it is: what the others know of it
        stays, until it answers or what is on it has moved.
        """
        a_round = await self.store.begin(call_id, self.new_secret(), self.clock.now())
        # After the revision was raised: a greater one has seen at least as much.
        call = await self.calls.find(call_id)
        if a_round is None or call is None or call.state is CallState.ENDED:
            return True
        carriers = self._current(carriers_of(call))
        told: list[tuple[Worker, Relays]] = []
        if len(carriers) > 1:
            answers = await asyncio.gather(*(self._ask(worker, call_id) for worker in carriers))
            silent = [worker for worker, answer in zip(carriers, answers, strict=True) if answer is None]
            if any(self.workers.is_live(worker.worker_id, self.clock.now()) for worker in silent):
                return False
            told = tell(call, a_round, [answer for answer in answers if answer])
        return await self._say(call, a_round, told, is_spread=len(carriers) > 1)

    async def _say(self, call: Call, a_round: Round, told: Sequence[tuple[Worker, Relays]], *, is_spread: bool) -> bool:
        addressed = {worker.worker_id for worker, _ in told}
        alone = [worker for worker in self._current(call.workers) if worker.worker_id not in addressed]
        all_told = [*told, *((worker, Relays(call.call_id, a_round.revision)) for worker in alone)]
        is_said = all(await asyncio.gather(*(self._set(worker, relays) for worker, relays in all_told)))
        if is_said and not is_spread:
            await self.store.settle(call.call_id, a_round.revision, call.version)
        log.debug("relays_told", call_id=call.call_id, revision=a_round.revision, workers=len(told), is_said=is_said)
        return is_said

    def _current(self, workers: Sequence[Worker]) -> list[Worker]:
        """The processes that are there now under these names, one a name."""
        found = {worker.worker_id: self.workers.current(worker) for worker in workers}
        return list(found.values())

    async def _ask(self, worker: Worker, call_id: CallId) -> Carrier | None:
        try:
            return await self.media.list_joined(worker, call_id)
        except MediaUnavailable as error:
            log.warning("relays_unknown", call_id=call_id, worker_id=worker.worker_id, reason=str(error))
            return None

    async def _set(self, worker: Worker, relays: Relays) -> bool:
        try:
            await self.media.set_relays(worker, relays)
        except MediaUnavailable as error:
            log.warning("relays_not_told", call_id=relays.call_id, worker_id=worker.worker_id, reason=str(error))
            return False
        return True


@dataclass(frozen=True)
class RelaySweep:
    """Looks at calls on several workers again, whichever replica was to do it. Safe from all replicas at once."""

    store: RelayStore
    rounds: RelayRounds
    clock: Clock

    async def sweep(self) -> None:
        """Have those told whose last round is some time ago. Raises StoreUnavailable."""
        now = self.clock.now()
        before = now - timedelta(seconds=ROUND_INTERVAL_S)
        for call_id in await self.store.claim(now, before, SWEEP_LIMIT):
            self.rounds.note(call_id)
        metrics.CALLS_SPREAD.set(await self.store.count())
