"""Slow consumers: devices that read nothing for a while. Memory stays bounded, they are told to sync, others go on."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
from parley.gateway.v1 import messages_pb2 as events
from parley.gateway.v1 import service_pb2 as gateway

from loadtests.evening.latencies import Latencies
from loadtests.message_path.delivery_check import Ledger, prove
from loadtests.message_path.fleet import Fleet, Member
from loadtests.message_path.processes import memory_of_trees_kib
from parley_client.client import Edge, http_login
from parley_client.error_details import reason_of
from parley_client.waiting import DeadlineMissedError

Say = Callable[[dict[str, Any]], None]

_SUBSCRIBE = "/parley.gateway.v1.GatewayService/Subscribe"
_DELIVERED_WITHIN_S = 60.0
_TOLD_WITHIN_S = 60.0
_LOOK_S = 1.0
# What the gateway may keep for one device: its queue, and what it would send again (PARLEY_DEVICE_QUEUE_BYTES,
# PARLEY_REPLAY_BYTES), twice, since the allocator does not give back each piece.
DEVICE_KIB = 2 * (1024 + 64)
# Beside them.
SLACK_KIB = 32 * 1024


@dataclass(frozen=True)
class SlowPlan:
    """A group of devices that read and of devices that do not, and messages of `body_bytes` into it."""

    slow: int = 30
    healthy: int = 10
    # More than what lies between a device and the gateway's queue: the windows and buffers of two connections.
    messages: int = 1000
    body_bytes: int = 9000
    rate: float = 20.0
    seed: int = 1


@dataclass
class SlowDevice:
    """A device whose stream is open, and that reads nothing until it is told to."""

    member: Member
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    is_ready: asyncio.Event = field(default_factory=asyncio.Event)
    told: str = ""
    taken: int = 0

    async def run(self) -> None:
        """Until the stream ends; `told` says why, or that there was a Resync."""
        request = gateway.SubscribeRequest(device_id="slow-device-1").SerializeToString()
        subscribe: Any = self.member.streams.unary_stream(_SUBSCRIBE)
        call = subscribe(request, metadata=self.member.metadata)
        try:
            while (frame := await call.read()) is not grpc.aio.EOF:
                self._take(gateway.SubscribeResponse.FromString(frame).event)
                if self.is_ready.is_set():
                    await self.reads.wait()
        except grpc.aio.AioRpcError as error:
            self.told = self.told or reason_of(error) or error.code().name

    def _take(self, event: events.DeviceEvent) -> None:
        match event.WhichOneof("event"):
            case "ready":
                self.is_ready.set()
            case "message":
                self.taken += 1
            case "resync":
                self.told = events.ResyncReason.Name(event.resync.reason).removeprefix("RESYNC_REASON_")


async def run_slow(edge: Edge, pids: dict[str, int], plan: SlowPlan, say: Say) -> dict[str, Any]:
    """The figures: memory of gateway and edge, what the slow ones were told, and what the others noticed."""
    ledger = Ledger()
    watched = {name: pids[name] for name in ("gateway", "edge", "presence")}
    async with Fleet(edge, ledger) as fleet, AsyncExitStack() as cleanup:
        say({"phase": "building"})
        healthy = await fleet.add(plan.healthy)
        devices = [await _slow_device(edge, cleanup) for _ in range(plan.slow)]
        group_id = await fleet.create_group(healthy[0], [*healthy[1:], *(device.member for device in devices)])
        # They have the group from its first message on, as the others do.
        await fleet.sync([*healthy, *(device.member for device in devices)])
        began_s = time.monotonic()
        say({"phase": "steady", "done": 0, "of": plan.messages})
        alone = await _write(fleet, healthy, group_id, plan, plan.messages // 10, say)
        tasks = [asyncio.create_task(device.run()) for device in devices]
        await asyncio.gather(*(device.is_ready.wait() for device in devices))
        before = memory_of_trees_kib(watched)
        peak = Counter(before)
        looking = asyncio.create_task(_look(watched, peak))
        beside = await _write(fleet, healthy, group_id, plan, plan.messages, say)
        looking.cancel()
        say({"phase": "ending"})
        await _read_on(devices, plan)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await fleet.sync([*healthy, *(device.member for device in devices)])
        receivers = [member.receiver for member in (*healthy, *(device.member for device in devices))]
        proof = prove(receivers, ledger.acknowledged)
    latencies = Latencies(began_s, float("inf"))
    for name, keys in (("alone", alone), ("beside slow ones", beside)):
        for key in keys:
            sent = ledger.sent[key]
            if sent.is_delivered:
                latencies.record(name, sent.intended_s, sent.arrived_s)
            else:
                latencies.fail(name, sent.intended_s, "NEVER_BY_STREAM")
    grown = {name: peak[name] - before[name] for name in watched}
    told = Counter(device.told or ("all" if device.taken >= plan.messages else "nothing") for device in devices)
    return {
        "actions": latencies.as_dict(time.monotonic()),
        "headline": {
            "slow": plan.slow,
            "healthy": plan.healthy,
            "mib_for_each_slow_device": round(plan.messages * plan.body_bytes / 2**20, 1),
            **{f"{name}_grew_mib": round(kib / 1024, 1) for name, kib in grown.items()},
            "gateway_may_grow_mib": round((plan.slow * DEVICE_KIB + SLACK_KIB) / 1024, 1),
            "slow_ones_were_told": dict(told),
        },
        "promises": {"lost": proof.lost, "duplicated": proof.duplicated, "reordered": proof.reordered},
        "faults": proof.faults,
        "reasons": _reasons(plan, grown, told),
    }


def _reasons(plan: SlowPlan, grown: dict[str, int], told: Counter[str]) -> list[str]:
    reasons = []
    if grown["gateway"] > plan.slow * DEVICE_KIB + SLACK_KIB:
        reasons.append(f"the gateway grew by {grown['gateway'] / 1024:.0f} MiB for {plan.slow} slow devices")
    if told["nothing"]:
        reasons.append(f"{told['nothing']} devices missed messages, and were not told to sync")
    return reasons


async def _read_on(devices: list[SlowDevice], plan: SlowPlan) -> None:
    """They read again, until each has all or was told that it has not."""
    for device in devices:
        device.reads.set()
    deadline_s = time.monotonic() + _TOLD_WITHIN_S
    while time.monotonic() < deadline_s:
        if all(device.told or device.taken >= plan.messages for device in devices):
            return
        await asyncio.sleep(_LOOK_S / 10)


async def _slow_device(edge: Edge, cleanup: AsyncExitStack) -> SlowDevice:
    user_id = f"slow-{secrets.token_hex(6)}"
    token = await http_login(edge.issuer_url)(user_id)
    # A connection of its own: on a shared one the others would stand still with it. The small window fills soon.
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.http2.bdp_probe", 0)]
    streams, unary = [
        await cleanup.enter_async_context(grpc.aio.insecure_channel(edge.address, options=options)) for _ in range(2)
    ]
    return SlowDevice(Member(user_id, token.value, streams, unary))


async def _write(fleet: Fleet, healthy: list[Member], group_id: str, plan: SlowPlan, count: int, say: Say) -> list[str]:
    """Messages at an even pace from the healthy ones in turn; the keys of those that were sent."""
    before = len(fleet.ledger.sent)
    awaited = [member.user_id for member in healthy]
    begin_s = time.monotonic() + 0.2
    body = "x" * plan.body_bytes
    async with asyncio.TaskGroup() as sends:
        for number in range(count):
            due_s = begin_s + number / plan.rate
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            sends.create_task(fleet.send(healthy[number % len(healthy)], group_id, awaited, body, due_s))
            if number % 20 == 0:
                say({"phase": "steady", "done": number, "of": count})
    with suppress(DeadlineMissedError):
        await fleet.changes.until(lambda: not fleet.ledger.undelivered, _DELIVERED_WITHIN_S, "the last delivery")
    return list(fleet.ledger.sent)[before:]


async def _look(pids: dict[str, int], peak: Counter[str]) -> None:
    while True:
        for name, kib in memory_of_trees_kib(pids).items():
            peak[name] = max(peak[name], kib)
        await asyncio.sleep(_LOOK_S)
