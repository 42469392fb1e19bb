"""Sends what is due: to each device one thing at a time, to many devices side by side, each provider in its own lane.

What is sent is claimed for a while (a lease), so that replicas share the work. Who is killed in the middle leaves it to
the others once the lease has run out; a device may then be sent the same twice, in place of what it shows.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import structlog

from services.push import metrics
from services.push.core.attempts import Answer, Done, GiveUp, Outcome, RemoveToken, Retry, next_step, pause_s
from services.push.core.effects import Notify, effect
from services.push.core.model import Provider
from services.push.ports import Claimed, Queue
from services.push.ports import Sender as ProviderSender
from services.runtime import tasks
from services.runtime.clock import Clock
from services.runtime.due import DueLoop
from services.runtime.errors import StoreUnavailable

log = structlog.get_logger()

# How often we look for what a dead replica left; what we write down ourselves wakes us, and what is due later too.
# Raising it makes that wait longer; lowering it makes more idle queries.
SWEEP_INTERVAL_S = 60.0
# After the database was away.
UNAVAILABLE_INTERVAL_S = 5.0
# How much longer something is ours than a provider has for its answer. Raising it makes what a killed replica was
# sending wait longer; lowering it lets a slow database make another replica repeat what was sent.
LEASE_MARGIN_S = 5.0
# For what is under way when the service stops, beside the time that a provider has.
STOP_MARGIN_S = 1.0


@dataclass
class _Lane:
    """What this replica does for one provider."""

    running: set[asyncio.Task[None]] = field(default_factory=set)
    # Until when the provider asked to be left alone (monotonic).
    paused_until: float = 0.0


class Sender:
    """A part of the service: claims what is due, and sends."""

    name = "push-sender"

    def __init__(
        self,
        queue: Queue,
        senders: Mapping[Provider, ProviderSender],
        served: Callable[[], Collection[Provider]],
        clock: Clock,
        timeout_s: float,
        give_up_after_s: float,
        parallel: int,
        new_claim: Callable[[], str],
        chance: Callable[[], float],
    ) -> None:
        self._queue = queue
        self._senders = senders
        self._served = served
        self._clock = clock
        self._timeout_s = timeout_s
        self._give_up_after_s = give_up_after_s
        self._parallel = parallel
        self._new_claim = new_claim
        self._chance = chance
        self._lanes = {provider: _Lane() for provider in senders}
        self._loop = DueLoop(self.name, self._start_due, UNAVAILABLE_INTERVAL_S)

    async def start(self) -> None:
        for provider in self._senders:
            # There from the start, so that the first one is an increase.
            metrics.DEAD_LETTERS.labels(provider.value)
        self._loop.start()

    async def stop(self) -> None:
        """What is under way has its time."""
        await self._loop.stop()
        running = [task for lane in self._lanes.values() for task in lane.running]
        if running:
            await asyncio.wait(running, timeout=self._timeout_s + STOP_MARGIN_S)
        await tasks.stop(*running)

    def wake(self) -> None:
        """Say that something may be due."""
        self._loop.wake()

    async def _start_due(self) -> float:
        """Begin with what is due; how long to wait if nothing wakes us."""
        served = [provider for provider in self._senders if provider in self._served()]
        if not served:
            return SWEEP_INTERVAL_S
        backlogs = await self._queue.backlogs(served)
        wait_s = SWEEP_INTERVAL_S
        for provider in served:
            backlog = backlogs.get(provider)
            metrics.OLDEST_WAITING.labels(provider.value).set(max(0.0, backlog.oldest_s) if backlog else 0.0)
            if backlog:
                wait_s = min(wait_s, await self._serve(provider, backlog.due_in_s))
        return wait_s

    async def _serve(self, provider: Provider, due_in_s: float) -> float:
        lane = self._lanes[provider]
        free = self._parallel - len(lane.running)
        if free <= 0:
            # One that ends wakes us.
            return SWEEP_INTERVAL_S
        wait_s = max(due_in_s, lane.paused_until - self._clock.monotonic())
        if wait_s > 0:
            return wait_s
        claimed = await self._queue.claim(provider, free, self._timeout_s + LEASE_MARGIN_S, self._new_claim())
        for one in claimed:
            self._begin(lane, one)
        # Others have taken what was due, or the next look says when the rest is.
        return 0.0 if claimed else UNAVAILABLE_INTERVAL_S

    def _begin(self, lane: _Lane, claimed: Claimed) -> None:
        gauge = metrics.IN_FLIGHT.labels(claimed.token.provider.value)
        task = tasks.detached(self._send(lane, claimed), name="push-send", why="ends with the provider's answer")
        lane.running.add(task)
        gauge.set(len(lane.running))

        def end(ended: asyncio.Task[None]) -> None:
            lane.running.discard(ended)
            gauge.set(len(lane.running))
            self.wake()

        task.add_done_callback(end)

    async def _send(self, lane: _Lane, claimed: Claimed) -> None:
        try:
            await self._send_one(lane, claimed)
        except StoreUnavailable:
            # The lease runs out, and whoever is there then goes on.
            log.warning("push_store_unavailable", provider=claimed.token.provider.value)

    async def _send_one(self, lane: _Lane, claimed: Claimed) -> None:
        token, thread = claimed.token, claimed.thread
        sent = effect(thread, claimed.shown, token, claimed.person.settings, claimed.badge, self._clock.now())
        if sent is None:
            is_up = claimed.shown.is_up and thread.notice is not None
            await self._queue.settle(claimed, thread.version, is_up=is_up, status=0)
            return
        provider = token.provider.value
        began = self._clock.monotonic()
        answer = await self._senders[token.provider].send(token, sent)
        metrics.ATTEMPT_SECONDS.labels(provider).observe(self._clock.monotonic() - began)
        metrics.ATTEMPTS.labels(provider, answer.outcome.value).inc()
        if answer.outcome is not Outcome.SENT:
            log.warning(
                "push_not_sent",
                provider=provider,
                outcome=answer.outcome.value,
                status=answer.status,
                reason=answer.reason,
                attempts=claimed.attempts + 1,
            )
        if pause := pause_s(answer):
            lane.paused_until = max(lane.paused_until, self._clock.monotonic() + pause)
        await self._note(claimed, answer, is_notice=isinstance(sent, Notify))

    async def _note(self, claimed: Claimed, answer: Answer, *, is_notice: bool) -> None:
        provider, thread = claimed.token.provider.value, claimed.thread
        step = next_step(answer, claimed.attempts + 1, claimed.waited_s, self._give_up_after_s, self._chance())
        match step:
            case Done():
                await self._queue.settle(claimed, thread.version, is_up=is_notice, status=answer.status)
                if thread.notice is not None:
                    age_s = (self._clock.now() - thread.notice.time).total_seconds()
                    metrics.DELIVERY_SECONDS.labels(provider).observe(max(0.0, age_s))
            case Retry(delay_s):
                await self._queue.defer(claimed, answer.status, delay_s)
            case GiveUp():
                await self._queue.give_up(claimed, answer.status)
                metrics.DEAD_LETTERS.labels(provider).inc()
            case RemoveToken():
                await self._queue.drop_token(claimed.token)
                metrics.TOKENS_GONE.labels(provider).inc()
