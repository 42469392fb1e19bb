"""One stack with so many replicas: idle for a while, then the fixed traffic."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from parley.gateway.v1 import messages_pb2 as gateway_messages
from parley.gateway.v1 import service_pb2 as gateway
from parley.messaging.v1 import messages_pb2 as messages
from parley.presence.v1 import events_pb2

from deploy.embedded.record import ROOT, StackRecord
from loadtests.event_routing.devices import Devices, RoutedDevice
from loadtests.event_routing.figures import Run
from loadtests.event_routing.replicas import counters, names_of, replicas_of
from loadtests.message_path.processes import cpu_s, used_since
from loadtests.stacks import own_stack
from services.runtime.config import KafkaConfig
from services.runtime.kafka.bus import Outgoing
from services.runtime.kafka.producer import KafkaPublisher

LOGS = ROOT / ".parley" / "load-routing-logs"
PARTS = frozenset({"postgres", "broker", "issuer", "presence", "gateway"})
_STEP_S = 0.05
# Records that the broker is given at a time.
_CHUNK = 500
_SETTLED_WITHIN_S = 180.0
_DELIVERED_WITHIN_S = 180.0


@dataclass(frozen=True)
class Plan:
    """The traffic, the same for each number of replicas: more than this machine can carry, so that the replicas work
    without a pause, as those do of which more than one is needed. At a lower pace each event finds its replicas asleep,
    and what is measured is the waking."""

    # More make the partitions more even: with 1,600 a replica of 8 has 200 users, and 7 % more or less by chance.
    users: int = 1_600
    events_per_s: int = 10_000
    seconds: float = 5.0
    # Of the traffic, on one stack. What else the machine does only adds CPU, so the round with the least counts.
    rounds: int = 3
    idle_s: float = 10.0
    body_bytes: int = 120
    # As long as Apache Kafka's: there a waiting fetch costs nothing. The embedded broker answers after a share of it,
    # also when there is nothing; with the 4 ms of `make run` the replicas would mostly ask in vain.
    fetch_wait_ms: int = 500


class Traffic:
    """Events straight into delivery.v1, numbered for each user, in an order by chance with each user as often."""

    def __init__(self, publisher: KafkaPublisher, devices: Devices, plan: Plan) -> None:
        self._publisher = publisher
        self._plan = plan
        self._users = [device.user_id for device in devices.all]
        self._turn: list[str] = []
        self._chance = random.Random(1)
        self._stopped = False
        self.sent: Counter[str] = Counter()

    def stop(self) -> None:
        """End `run` after what is under way: what was counted as sent was sent."""
        self._stopped = True

    async def run(self, seconds: float) -> None:
        """Sends at an even pace, for a time or until it is stopped."""
        began_s = time.monotonic()
        total = round(self._plan.events_per_s * seconds)
        done = 0
        while done < total and not self._stopped:
            await asyncio.sleep(_STEP_S)
            due = min(total, round((time.monotonic() - began_s) * self._plan.events_per_s))
            while done < due:
                chunk = min(due - done, _CHUNK)
                await self._publisher.publish([self._next() for _ in range(chunk)])
                done += chunk

    async def once_more(self) -> None:
        """One more event for each user: who has it has been told of all before, or has missed them for good."""
        await self._publisher.publish([self._event(user_id) for user_id in self._users])

    def _next(self) -> Outgoing:
        if not self._turn:
            self._turn = self._chance.sample(self._users, len(self._users))
        return self._event(self._turn.pop())

    def _event(self, user_id: str) -> Outgoing:
        self.sent[user_id] += 1
        message = messages.Message(conversation_id=user_id, seq=self.sent[user_id])
        message.text.text = "x" * self._plan.body_bytes
        frame = gateway.SubscribeResponse(event=gateway_messages.DeviceEvent(message=message)).SerializeToString()
        return Outgoing(
            "delivery.v1", user_id.encode(), events_pb2.Delivery(user_id=user_id, frame=frame).SerializeToString()
        )


@asynccontextmanager
async def publisher_of(record: StackRecord) -> AsyncIterator[KafkaPublisher]:
    """A producer for the stack's broker."""
    publisher = KafkaPublisher(KafkaConfig(record.kafka_bootstrap, False, 6_000, 500))
    await publisher.start()
    try:
        await publisher.wait_connected()
        yield publisher
    finally:
        await publisher.stop()


def new_users(count: int) -> list[str]:
    """Users that no other run has."""
    return [f"route-{secrets.token_hex(6)}" for _ in range(count)]


async def run_with(replicas: int, plan: Plan) -> Run:
    """So many replicas of presence and of the gateway under the plan's traffic."""
    env = {
        "PARLEY_KAFKA_FETCH_WAIT_MS": str(plan.fetch_wait_ms),
        # Up to sixteen processes here share the cores of one machine: what they cost by interrupting each other is no
        # cost of the routing. Where each has its core there is nothing of it.
        "PARLEY_SCHED_BATCH": "true",
    }
    each = {"presence": replicas, "gateway": replicas}
    async with (
        own_stack(LOGS, parts=PARTS, replicas=each, env=env) as record,
        replicas_of(record) as presence,
        publisher_of(record) as publisher,
    ):
        await presence.until_settled(_SETTLED_WITHIN_S)
        gateways = [record.grpc_addresses[name] for name in names_of(record, "gateway")]
        async with Devices(gateways, record.issuer_url, new_users(plan.users)) as devices:
            return await _measure(record, publisher, devices, plan)


async def _measure(record: StackRecord, publisher: KafkaPublisher, devices: Devices, plan: Plan) -> Run:
    pids = {name: pid for name, pid in record.pids.items() if name.startswith(("presence", "gateway"))}
    traffic = Traffic(publisher, devices, plan)
    idle = await _cpu_of(pids, asyncio.sleep(plan.idle_s)) / plan.idle_s
    rounds = [await _run_round(record, pids, traffic, devices, plan, idle) for _ in range(plan.rounds)]
    figures = min(rounds, key=lambda run: run.work_cpu_s)
    return replace(figures, lost=rounds[-1].lost, duplicated=rounds[-1].duplicated)


async def _run_round(
    record: StackRecord, pids: dict[str, int], traffic: Traffic, devices: Devices, plan: Plan, idle: float
) -> Run:
    """`idle` is CPU per second. What is lost and doubled is that of all rounds up to this one."""
    before, sent = await _counted(record), traffic.sent.total()
    began_s = time.monotonic()
    busy = await _cpu_of(pids, _send_all(traffic, devices, plan))
    seconds = time.monotonic() - began_s
    after = await _counted(record)
    handled, frames, queued = (
        {name: new[name] - old[name] for name in new} for old, new in zip(before, after, strict=True)
    )
    return Run(
        replicas=len(handled),
        events=traffic.sent.total() - sent,
        handled_by_presence=handled,
        frames_of_presence=frames,
        frames_by_gateway=queued,
        cpu_s=busy,
        idle_cpu_s=idle * seconds,
        lost=lost(devices.all, traffic.sent),
        duplicated=duplicated(devices.all),
    )


async def _send_all(traffic: Traffic, devices: Devices, plan: Plan) -> None:
    await traffic.run(plan.seconds)
    total = traffic.sent.total()
    # First what is cheap: it is asked at each arrival.
    await devices.changes.until(
        lambda: devices.arrived >= total and not lost(devices.all, traffic.sent),
        _DELIVERED_WITHIN_S,
        "the last event on its device",
    )


async def _cpu_of(pids: dict[str, int], work: Awaitable[None]) -> float:
    before = cpu_s(pids)
    await work
    return sum(used_since(before, cpu_s(pids)).values())


async def _counted(record: StackRecord) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    return (
        await counters(record, "presence", "presence_events"),
        await counters(record, "presence", "presence_frames_sent", kind="durable"),
        await counters(record, "gateway", "gateway_frames_queued", kind="durable"),
    )


def lost(devices: Iterable[RoutedDevice], sent: Counter[str]) -> int:
    """Events that were sent and that no device got."""
    return sum(sent[device.user_id] - len(set(device.numbers)) for device in devices)


def duplicated(devices: Iterable[RoutedDevice]) -> int:
    """Events that a device got more than once."""
    return sum(len(device.numbers) - len(set(device.numbers)) for device in devices)
