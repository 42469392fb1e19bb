"""Carries out the router's effects: queues for the attached gateways, timers, and the wait for registrations."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from itertools import count

import structlog

from services.presence import metrics
from services.presence.core import Deliver, DeviceId, LinkId, Router, Send, Session, UserId
from services.presence.ports import Link
from services.runtime.clock import Clock

log = structlog.get_logger()

TICK_S = 0.5


class Presence:
    """One replica's routing. All methods run on the event loop and none waits, but `on_assigned`."""

    def __init__(self, router: Router, clock: Clock, collect_s: float) -> None:
        self._router = router
        self._clock = clock
        self._collect_s = collect_s
        self._links: dict[LinkId, Link] = {}
        self._next_link = count(1)
        self._collected = asyncio.Event()

    def attach(self, link: Link) -> LinkId:
        """A gateway has come; the assignment is its first frame."""
        link_id = LinkId(next(self._next_link))
        self._links[link_id] = link
        self._carry_out(self._router.attach(link_id))
        return link_id

    def detach(self, link_id: LinkId) -> None:
        """A gateway has gone."""
        self._links.pop(link_id, None)
        self._carry_out(self._router.detach(link_id, self._now()))

    def register(self, link_id: LinkId, epoch: int, sessions: Iterable[Session]) -> None:
        """Devices have come."""
        self._carry_out(self._router.register(link_id, epoch, sessions))

    def unregister(self, link_id: LinkId, session_ids: Iterable[int]) -> None:
        """Devices have gone."""
        self._carry_out(self._router.unregister(link_id, session_ids, self._now()))

    def registered(self, link_id: LinkId, epoch: int) -> None:
        """A gateway has no more to register."""
        self._carry_out(self._router.registered(link_id, epoch))

    def watch(self, link_id: LinkId, epoch: int, session_id: int, user_ids: Sequence[UserId]) -> None:
        """A session watches these people."""
        self._carry_out(self._router.watch(link_id, epoch, session_id, user_ids))

    def route(self, user_id: UserId, frame: bytes) -> None:
        """An ephemeral frame for a user's devices."""
        self._carry_out(self._router.deliver(user_id, frame, durable=False))

    def command_watch(self, user_id: UserId, device_id: DeviceId, user_ids: Sequence[UserId]) -> None:
        """A watch list on its way to the gateway that holds the device."""
        self._carry_out(self._router.command_watch(user_id, device_id, user_ids))

    def deliver(self, user_id: UserId, frame: bytes) -> None:
        """A durable frame for a user's devices."""
        effects = self._router.deliver(user_id, frame, durable=True)
        metrics.EVENTS.labels("routed" if effects else "no_device").inc()
        self._carry_out(effects)

    async def on_assigned(self, partitions: Collection[int], partition_count: int) -> None:
        """Own these partitions: collect the gateways' registrations first; records wait meanwhile."""
        self._collected.clear()
        self._carry_out(self._router.assign(partitions, partition_count))
        try:
            await asyncio.wait_for(self._collected.wait(), self._collect_s)
        except TimeoutError:
            log.warning("registrations_missing", waited_s=self._collect_s)
            self._carry_out(self._router.give_up_collecting())

    async def on_revoked(self) -> None:
        """Own nothing."""
        self._carry_out(self._router.assign((), 0))

    async def run_timers(self) -> None:
        """Tell of those who went offline, for ever."""
        while True:
            await asyncio.sleep(TICK_S)
            self._carry_out(self._router.tick(self._now()))

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _carry_out(self, effects: Iterable[Send]) -> None:
        for effect in effects:
            link = self._links.get(effect.link)
            metrics.FRAMES.labels(_kind(effect)).inc()
            if link is not None and not link.push(effect.frame):
                metrics.OVERFLOWS.inc()
        if not self._router.collecting:
            self._collected.set()
        metrics.SESSIONS.set(self._router.session_count)
        metrics.GATEWAYS.set(self._router.link_count)
        metrics.PARTITIONS.set(self._router.partition_count)


def _kind(effect: Send) -> str:
    if isinstance(effect.frame, Deliver):
        return "durable" if effect.frame.durable else "ephemeral"
    return "control"
