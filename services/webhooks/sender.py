"""Delivers what waits: one thing after the other within a key, keys side by side.

A key of an endpoint is claimed for a while (a lease), so that replicas share the work and the order holds. Who is
killed in the middle leaves its keys to the others once the leases have run out.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from services.runtime import tasks
from services.runtime.clock import Clock
from services.runtime.due import DueLoop
from services.runtime.errors import StoreUnavailable
from services.webhooks import metrics
from services.webhooks.core.attempts import (
    Answer,
    GiveUp,
    Outcome,
    RetryPolicy,
    after_failure,
    outcome,
    pause_s,
)
from services.webhooks.core.endpoints import by_name
from services.webhooks.core.model import (
    Claim,
    ClaimId,
    Delivery,
    DeliveryState,
    Endpoint,
    EndpointName,
    EndpointState,
)
from services.webhooks.ports import ClaimLost, Post, Store

log = structlog.get_logger()

# How often we look for what a dead replica left; what we write down ourselves wakes us. Raising it makes that wait
# longer; lowering it makes more idle queries.
SWEEP_INTERVAL_S = 5.0
# How much longer a key is ours than an endpoint has for its answer. Raising it makes the keys of a killed replica wait
# longer; lowering it lets a slow database make another replica repeat what was delivered.
LEASE_MARGIN_S = 5.0
# Deliveries of a key before others have their turn. Raising it makes a long backlog of one conversation hold up the
# others of its endpoint; lowering it claims more often.
TURN = 50
# So many attempts in a row, of whatever keys, without a success between them: then it is the endpoint that fails, and
# with its next success all that waits for it goes on at once. Raising it leaves more to the back-off of each key;
# lowering it takes one event that a receiver chokes on for an outage, and tries it again with each success of others.
FAILING_AFTER = 3
# For a delivery that is under way when the service stops, beside the time that the endpoint has.
STOP_MARGIN_S = 1.0


@dataclass
class _Lane:
    """What this replica does for one endpoint."""

    running: set[asyncio.Task[None]] = field(default_factory=set)
    # The address that asked to be left alone, and until when (monotonic).
    paused_url: str = ""
    paused_until: float = 0.0
    # Attempts without a success between them.
    failures: int = 0
    is_failing: bool = False

    def pause_s(self, url: str, now: float) -> float:
        """How long an address is still to be left alone."""
        return max(0.0, self.paused_until - now) if url == self.paused_url else 0.0

    def pause(self, url: str, until: float) -> None:
        """An address asks to be left alone."""
        before = self.paused_until if url == self.paused_url else 0.0
        self.paused_url, self.paused_until = url, max(before, until)


class Sender:
    """A part of the service: claims keys that are due, and sends."""

    name = "webhooks-sender"

    def __init__(
        self,
        store: Store,
        post: Post,
        endpoints: Callable[[], Sequence[Endpoint]],
        clock: Clock,
        policy: RetryPolicy,
        timeout_s: float,
        new_claim_id: Callable[[], ClaimId],
        chance: Callable[[], float],
    ) -> None:
        self._store = store
        self._post = post
        self._endpoints = endpoints
        self._clock = clock
        self._policy = policy
        self._timeout_s = timeout_s
        self._lease_s = timeout_s + LEASE_MARGIN_S
        self._new_claim_id = new_claim_id
        self._chance = chance
        self._lanes: dict[EndpointName, _Lane] = {}
        self._loop = DueLoop(self.name, self._start_due, SWEEP_INTERVAL_S)
        self._is_stopping = False

    async def start(self) -> None:
        self._loop.start()

    async def stop(self) -> None:
        """What is under way has its time; then the keys are given back."""
        self._is_stopping = True
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
        endpoints = by_name(self._endpoints())
        for name in [name for name, lane in self._lanes.items() if name not in endpoints and not lane.running]:
            # What a series said last would be said for ever.
            metrics.forget(name)
            del self._lanes[name]
        if not endpoints:
            return SWEEP_INTERVAL_S
        wait_s = SWEEP_INTERVAL_S
        for state in await self._store.states(list(endpoints)):
            wait_s = min(wait_s, await self._serve_endpoint(endpoints[state.name], state))
        return wait_s

    async def _serve_endpoint(self, endpoint: Endpoint, state: EndpointState) -> float:
        if endpoint.name not in self._lanes:
            self._lanes[endpoint.name] = _Lane()
            # There from the start, so that the first one is an increase.
            metrics.DEAD_LETTERS.labels(endpoint.name)
        lane = self._lanes[endpoint.name]
        lane.is_failing = state.failing_since is not None
        is_disabled = state.disabled_url == endpoint.url
        metrics.DISABLED.labels(endpoint.name).set(is_disabled)
        waiting_s = 0.0
        if state.oldest_time:
            waiting_s = max(0.0, (self._clock.now() - state.oldest_time).total_seconds())
        metrics.OLDEST_WAITING.labels(endpoint.name).set(waiting_s)
        free = endpoint.parallel - len(lane.running)
        if is_disabled or free <= 0 or state.due_in_s is None:
            # A key that ends, or an operator, wakes us.
            return SWEEP_INTERVAL_S
        if pause := lane.pause_s(endpoint.url, self._clock.monotonic()):
            return pause
        if state.due_in_s > 0:
            return state.due_in_s
        claims = await self._store.claim(endpoint.name, free, self._lease_s, self._new_claim_id())
        for claim in claims:
            self._begin(lane, claim)
        # Others have taken what was due, or the next look says when the rest is.
        return 0.0 if claims else SWEEP_INTERVAL_S

    def _begin(self, lane: _Lane, claim: Claim) -> None:
        task = tasks.detached(
            self._serve(lane, claim), name="webhooks-key", why="ends when nothing waits, or with a failure"
        )
        lane.running.add(task)
        metrics.IN_FLIGHT.labels(claim.endpoint).set(len(lane.running))

        def end(ended: asyncio.Task[None]) -> None:
            lane.running.discard(ended)
            metrics.IN_FLIGHT.labels(claim.endpoint).set(len(lane.running))
            self.wake()

        task.add_done_callback(end)

    async def _serve(self, lane: _Lane, claim: Claim) -> None:
        """Deliver what waits of a key, until nothing does, or something must wait."""
        try:
            delivery = await self._store.first(claim)
            for _ in range(TURN):
                # Looked up each time: keys are rotated, and endpoints taken away.
                endpoint = by_name(self._endpoints()).get(claim.endpoint)
                if delivery is None or endpoint is None or self._is_stopping:
                    break
                if lane.pause_s(endpoint.url, self._clock.monotonic()):
                    break
                is_settled, delivery = await self._attempt(lane, claim, endpoint, delivery)
                if not is_settled:
                    return
            await self._store.release(claim)
        except ClaimLost:
            log.warning("webhooks_claim_lost", endpoint=claim.endpoint)
        except StoreUnavailable:
            # The lease runs out, and whoever is there then goes on.
            log.warning("webhooks_store_unavailable", endpoint=claim.endpoint)

    async def _attempt(
        self, lane: _Lane, claim: Claim, endpoint: Endpoint, delivery: Delivery
    ) -> tuple[bool, Delivery | None]:
        """Send once. Whether the delivery came to an end, and then the key's next; else the claim has ended."""
        began = self._clock.monotonic()
        answer = await self._post.post(endpoint, delivery)
        metrics.ATTEMPT_SECONDS.labels(endpoint.name).observe(self._clock.monotonic() - began)
        result = outcome(answer)
        metrics.ATTEMPTS.labels(endpoint.name, result.value).inc()
        if result is Outcome.DELIVERED:
            return True, await self._note_delivered(lane, claim, delivery, answer)
        log.warning(
            "webhook_not_delivered",
            endpoint=endpoint.name,
            webhook_id=delivery.webhook_id,
            outcome=result.value,
            status=answer.status,
            attempts=delivery.attempts + 1,
        )
        await self._note_failed(lane, endpoint, answer)
        step = after_failure(answer, delivery.attempts + 1, delivery.waited_s, self._policy, self._chance())
        status = answer.status or 0
        if isinstance(step, GiveUp):
            following = await self._store.settle(claim, delivery.id, DeliveryState.DEAD, status, self._lease_s)
            metrics.DEAD_LETTERS.labels(endpoint.name).inc()
            log.error("webhook_given_up", endpoint=endpoint.name, webhook_id=delivery.webhook_id)
            return True, following
        await self._store.defer(claim, delivery.id, status, step.delay_s)
        return False, None

    async def _note_delivered(self, lane: _Lane, claim: Claim, delivery: Delivery, answer: Answer) -> Delivery | None:
        age_s = (self._clock.now() - delivery.event_time).total_seconds()
        following = await self._store.settle(
            claim, delivery.id, DeliveryState.DELIVERED, answer.status or 0, self._lease_s
        )
        metrics.DELIVERY_SECONDS.labels(claim.endpoint).observe(max(0.0, age_s))
        lane.failures = 0
        if lane.is_failing:
            lane.is_failing = False
            if await self._store.recover(claim.endpoint):
                log.info("webhook_endpoint_recovered", endpoint=claim.endpoint)
                self.wake()
        return following

    async def _note_failed(self, lane: _Lane, endpoint: Endpoint, answer: Answer) -> None:
        """What a failed attempt says of the endpoint."""
        if asked_s := pause_s(answer):
            lane.pause(endpoint.url, self._clock.monotonic() + asked_s)
        lane.failures += 1
        if outcome(answer) is Outcome.GONE:
            log.error("webhook_endpoint_disabled", endpoint=endpoint.name)
            await self._store.disable(endpoint.name, endpoint.url)
        if lane.failures >= FAILING_AFTER and not lane.is_failing:
            lane.is_failing = True
            await self._store.note_failing(endpoint.name)
