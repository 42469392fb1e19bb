"""kill -9 of a presence replica and of a gateway under load: when does every device get events again?"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deploy.embedded.record import StackRecord
from loadtests.event_routing.devices import Devices, RoutedDevice
from loadtests.event_routing.replicas import Replicas, names_of, replicas_of
from loadtests.event_routing.scenario import LOGS, PARTS, Plan, Traffic, duplicated, lost, new_users, publisher_of
from loadtests.stacks import own_stack

_SETTLED_WITHIN_S = 90.0
_AGAIN_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.02


@dataclass(frozen=True)
class FailoverPlan:
    """Each user gets four events a second, so that a device's silence can be told from having nothing to be told."""

    replicas: int = 4
    users: int = 400
    events_per_s: int = 1_600
    before_s: float = 5.0


async def run_failover(plan: FailoverPlan, say: Callable[[str], None]) -> dict[str, Any]:
    """The figures of both kills, each on a stack of its own."""
    figures: dict[str, Any] = {"plan": plan.__dict__}
    for service in ("presence", "gateway"):
        figures[service] = await _kill_one(service, plan)
        say(f"{service} killed: {figures[service]}")
    figures["lost"] = sum(figures[service]["lost"] for service in ("presence", "gateway"))
    return figures


async def _kill_one(service: str, plan: FailoverPlan) -> dict[str, Any]:
    each = {"presence": plan.replicas, "gateway": plan.replicas}
    async with (
        own_stack(LOGS, parts=PARTS, replicas=each) as record,
        replicas_of(record) as presence,
        publisher_of(record) as publisher,
    ):
        await presence.until_settled(_SETTLED_WITHIN_S)
        gateways = [record.grpc_addresses[name] for name in names_of(record, "gateway")]
        async with Devices(gateways, record.issuer_url, new_users(plan.users)) as devices:
            traffic = Traffic(publisher, devices, Plan(users=plan.users, events_per_s=plan.events_per_s))
            await traffic.run(plan.before_s)
            sending = asyncio.create_task(traffic.run(_AGAIN_WITHIN_S))
            figures = await _kill_and_watch(record, presence, devices, f"{service}-1")
            traffic.stop()
            await sending
            return {**figures, **await _settle(devices, traffic)}


async def _kill_and_watch(record: StackRecord, presence: Replicas, devices: Devices, name: str) -> dict[str, float]:
    survivor = names_of(record, "presence")[-1]
    epoch = (await presence.describe(survivor)).epoch
    os.kill(record.pids[name], signal.SIGKILL)
    killed_s = time.monotonic()
    figures: dict[str, float] = {}
    if name.startswith("presence"):
        # Another process's doing sets no event here.
        while (await presence.describe(survivor)).epoch == epoch:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_EVERY_S)
        figures["detected_after_s"] = round(time.monotonic() - killed_s, 2)
    # A moment later, so that what was under way at the kill does not count as the return.
    again_s = time.monotonic() if name.startswith("presence") else killed_s + 1.0
    await devices.changes.until(
        lambda: all(device.arrivals_s[-1] > again_s for device in devices.all),
        _AGAIN_WITHIN_S,
        "events on every device",
    )
    figures["all_devices_again_after_s"] = round(max(_first_after(devices, again_s)) - killed_s, 2)
    return figures


def _first_after(devices: Devices, time_s: float) -> list[float]:
    return [next(at for at in device.arrivals_s if at > time_s) for device in devices.all]


async def _settle(devices: Devices, traffic: Traffic) -> dict[str, int]:
    """What the streams brought. A device that missed something was told to sync; `lost` counts the others."""
    await traffic.once_more()
    await devices.changes.until(
        lambda: all(device.numbers[-1] == traffic.sent[device.user_id] for device in devices.all),
        _AGAIN_WITHIN_S,
        "the last event on every device",
    )
    missed = [device for device in devices.all if lost([device], traffic.sent)]
    return {
        "events": traffic.sent.total(),
        "missed_by_streams": lost(devices.all, traffic.sent),
        "duplicated": duplicated(devices.all),
        "devices_told_to_sync": sum(_was_told(device) for device in devices.all),
        "lost": sum(lost([device], traffic.sent) for device in missed if not _was_told(device)),
    }


def _was_told(device: RoutedDevice) -> bool:
    """By a Resync, or by a new stream, whose Ready asks for one."""
    return bool(device.resyncs or device.reconnects)
