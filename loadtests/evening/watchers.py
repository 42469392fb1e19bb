"""A celebrity's watchers: many people watch the presence of one, which flips."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from parley.gateway.v1 import messages_pb2 as events
from parley.presence.v1 import service_pb2 as presence
from parley.presence.v1.service_pb2_grpc import PresenceServiceStub

from loadtests.evening.handset import CURRENT_WITHIN_S, Handset, new_person
from loadtests.evening.latencies import Latencies
from loadtests.message_path.delivery_check import Ledger
from loadtests.message_path.fleet import Fleet, Member
from parley_client.client import Edge
from parley_client.retries import retrying
from parley_client.waiting import Changes, DeadlineMissedError

Say = Callable[[dict[str, Any]], None]

_AT_ONCE = 24
_SEEN_WITHIN_S = 20.0
# Watchers that never heard of a flip: presence is ephemeral, and goes first under pressure.
MISSED_AT_MOST = 0.01


@dataclass(frozen=True)
class WatchersPlan:
    """`watchers` of one person, who flips between here and away so often, each so many seconds."""

    watchers: int = 1000
    flips: int = 20
    every_s: float = 3.0
    seed: int = 1


@dataclass
class _Flip:
    """Who has seen the state that the celebrity is in now."""

    user_id: str
    state: events.PresenceState.ValueType = events.PRESENCE_STATE_ONLINE
    due_s: float = 0.0
    seen: set[str] = field(default_factory=set)
    changes: Changes = field(default_factory=Changes)
    latencies: Latencies | None = None

    def hear(self, member: Member, event: events.DeviceEvent, now_s: float) -> None:
        if event.WhichOneof("event") != "presence" or event.presence.user_id != self.user_id:
            return
        if event.presence.state == self.state and member.user_id not in self.seen:
            self.seen.add(member.user_id)
            if self.latencies is not None:
                self.latencies.record("presence", self.due_s, now_s)
            self.changes.notify()


async def run_watchers(edge: Edge, plan: WatchersPlan, say: Say) -> dict[str, Any]:
    """The figures: from each flip until each watcher has seen it."""
    celebrity = new_person(edge, 0, f"celebrity-{int(time.time())}")
    flip = _Flip(celebrity.user_id)
    async with (
        Fleet(edge, Ledger(), flip.hear) as fleet,
        Handset(edge, celebrity.user_id, "device-1", celebrity.tokens, lambda _handset, _event, _now_s: None) as phone,
    ):
        await phone.stream.until_current(CURRENT_WITHIN_S)
        say({"phase": "building"})
        members = await fleet.add(plan.watchers)
        await _watch(fleet, members, celebrity.user_id, say)
        # The snapshot of each, of somebody who is there.
        before = await _until_seen(flip, plan)
        latencies = flip.latencies = Latencies(time.monotonic(), float("inf"))
        missed, last_ms = 0, []
        for number in range(plan.flips):
            say({"phase": "steady", "done": number, "of": plan.flips})
            began_s = time.monotonic()
            await _flip(flip, phone, away=number % 2 == 0)
            missed += await _until_seen(flip, plan)
            last_ms.append((time.monotonic() - flip.due_s) * 1000)
            await asyncio.sleep(max(0.0, plan.every_s - (time.monotonic() - began_s)))
        say({"phase": "ending"})
    share = missed / max(plan.flips * plan.watchers, 1)
    return {
        "actions": latencies.as_dict(time.monotonic()),
        "headline": {
            "watchers": plan.watchers,
            "flips": plan.flips,
            "without_a_snapshot": before,
            "never_seen": missed,
            "last_watcher_ms": round(max(last_ms), 1),
        },
        "reasons": [f"{share:.1%} of the flips were never seen"] if share > MISSED_AT_MOST else [],
    }


async def _watch(fleet: Fleet, members: list[Member], user_id: str, say: Say) -> None:
    """Each opens a conversation with the celebrity, without which nobody may watch, and watches."""
    gate = asyncio.Semaphore(_AT_ONCE)
    watching = 0
    target = Member(user_id, "", members[0].streams, members[0].streams)

    async def one(member: Member) -> None:
        nonlocal watching
        async with gate:
            await fleet.open_direct(member, target)
            request = presence.WatchPresenceRequest(device_id="load-device-1", user_ids=[user_id])
            stub = PresenceServiceStub(member.streams)
            await retrying(lambda: stub.WatchPresence(request, metadata=member.metadata, timeout=30.0))
        watching += 1
        say({"phase": "building", "done": watching, "of": len(members)})

    await asyncio.gather(*(one(member) for member in members))


async def _flip(flip: _Flip, phone: Handset, *, away: bool) -> None:
    flip.state = events.PRESENCE_STATE_AWAY if away else events.PRESENCE_STATE_ONLINE
    flip.seen = set()
    flip.due_s = time.monotonic()
    request = presence.SetStatusRequest(device_id=phone.device.device_id, away=away)
    await retrying(lambda: phone.device.presence.SetStatus(request))


async def _until_seen(flip: _Flip, plan: WatchersPlan) -> int:
    """How many have not seen it in time."""
    try:
        await flip.changes.until(lambda: len(flip.seen) >= plan.watchers, _SEEN_WITHIN_S, "the last watcher")
    except DeadlineMissedError:
        return plan.watchers - len(flip.seen)
    return 0
