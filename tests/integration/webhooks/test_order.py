"""Whatever senders do, and in whatever order they do it, a key's events are handed out one after the other.

Many senders of one process take random steps on a real store: they claim, settle, defer, stall until their lease is
over, and go on as if it were not. A model holds what must be true at each step.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field

import pytest

from services.webhooks.core.model import Claim, ClaimId, Delivery, DeliveryState, EndpointName
from services.webhooks.ports import ClaimLost
from tests.integration.webhooks.conftest import Hooks, event

NAME = EndpointName("bots")
KEYS = ("conversation:1", "conversation:2", "call:3")
STEPS = 250


@dataclass
class Walk:
    """The store, the model, and what senders hold."""

    hooks: Hooks
    chance: random.Random
    told: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KEYS, 0))
    settled: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    numbers: dict[str, tuple[str, int]] = field(default_factory=dict)
    held: list[tuple[Claim, Delivery | None]] = field(default_factory=list)
    claims: int = 0

    async def tell(self) -> None:
        """Some events come; now and then one that was there before."""
        batch, before = [], dict(self.told)
        for key in self.chance.choices(KEYS, k=self.chance.randint(1, 4)):
            batch.append(event(key, self.told[key]))
            self.numbers[batch[-1].webhook_id] = (key, self.told[key])
            self.told[key] += 1
        # What is told again must have been told before: else it would be the first.
        again = [event(key, self.chance.randrange(before[key])) for key in KEYS if before[key]]
        await self.hooks.tell(*again[:1], *batch)

    async def claim(self, *, lease_s: float | None = None) -> None:
        """A sender takes what is due; a lease of 0 is over at once: its sender has stalled."""
        self.claims += 1
        lease = self.chance.choice((0.0, 60.0, 60.0)) if lease_s is None else lease_s
        for claim in await self.hooks.store.claim(NAME, 2, lease, ClaimId(str(self.claims))):
            self.held.append((claim, self.handed(await self.hooks.store.first(claim))))

    def handed(self, delivery: Delivery | None) -> Delivery | None:
        """What must be true of each delivery that a sender is given."""
        if delivery:
            key, number = self.numbers[delivery.webhook_id]
            assert number <= self.settled[key], f"{key} {number} came before {self.settled[key]} was settled"
        return delivery

    async def go_on(self) -> None:
        """Some sender does one thing more."""
        if not self.held:
            return
        claim, delivery = self.held.pop(self.chance.randrange(len(self.held)))
        try:
            if delivery is None:
                await self.hooks.store.release(claim)
            elif self.chance.random() < 0.3:
                await self.hooks.store.defer(claim, delivery.id, 500, 0.0, waits_for_endpoint=False)
            else:
                following = await self.hooks.store.settle(claim, delivery.id, DeliveryState.DELIVERED, 200, 60.0)
                key, number = self.numbers[delivery.webhook_id]
                self.settled[key] = max(self.settled[key], number + 1)
                self.held.append((claim, self.handed(following)))
        except ClaimLost:
            return

    async def finish(self) -> None:
        """No more events: what is held is given back, and all the rest is delivered."""
        for claim, _ in self.held:
            await self.hooks.store.release(claim)
        self.held.clear()
        while True:
            await self.claim(lease_s=60.0)
            if not self.held:
                return
            while self.held:
                await self.go_on()


@pytest.mark.parametrize("seed", range(4))
async def test_a_key_is_handed_out_in_its_order_and_to_its_end(hooks: Hooks, seed: int) -> None:
    await hooks.receiver("bots")
    walk = Walk(hooks, random.Random(seed))
    for _ in range(STEPS):
        await walk.chance.choice((walk.tell, walk.claim, walk.go_on, walk.go_on, walk.go_on))()
    await walk.finish()
    assert dict(walk.settled) == {key: count for key, count in walk.told.items() if count}
    (state,) = await hooks.store.states([NAME])
    assert (state.due_in_s, state.oldest_time) == (None, None)
