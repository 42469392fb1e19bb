"""Who routes events to whom: replicas of presence, gateways, and devices that read slowly."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.ops.core.tables import Unreachable, missing, ranges, table


@dataclass(frozen=True)
class AttachedGateway:
    """A gateway as a presence replica sees it."""

    gateway_id: str
    sessions: int
    watching: int
    queued: int


@dataclass(frozen=True)
class Replica:
    """A presence replica as it sees itself."""

    name: str
    epoch: int
    partitions: tuple[int, ...]
    partition_count: int
    collecting: bool
    gateways: tuple[AttachedGateway, ...]
    users: int
    unsaved: int
    unpublished: int


@dataclass(frozen=True)
class Gateway:
    """A gateway as it sees itself."""

    name: str
    gateway_id: str
    devices: int
    waiting: int
    detached: int
    users: int
    replicas: int
    draining: bool


@dataclass(frozen=True)
class Device:
    """A device that reads slowly."""

    gateway: str
    user_id: str
    device_id: str
    queued_frames: int
    queued_bytes: int
    oldest_unsent_s: float
    dropped: int


def partitions(found: Sequence[Replica | Unreachable]) -> list[str]:
    """Which replica owns which partitions; below, the partitions with no owner or with more than one."""
    replicas = [entry for entry in found if isinstance(entry, Replica)]
    rows = [
        (
            replica.name,
            str(replica.epoch),
            ranges(replica.partitions),
            str(replica.users),
            str(len(replica.gateways)),
            "collecting" if replica.collecting else "routing",
            f"{replica.unsaved}/{replica.unpublished}",
        )
        for replica in replicas
    ]
    head = ("REPLICA", "EPOCH", "PARTITIONS", "USERS", "GATEWAYS", "STATE", "UNSAVED/UNPUBLISHED")
    return [*table(head, rows), *_ownership(replicas), *missing(found)]


def sessions(gateways: Sequence[Gateway | Unreachable], replicas: Sequence[Replica | Unreachable]) -> list[str]:
    """The devices by gateway, and how many of them the presence replicas route, which is the same when all is well."""
    routed: dict[str, int] = {}
    queued: dict[str, int] = {}
    for replica in replicas:
        for attached in replica.gateways if isinstance(replica, Replica) else ():
            routed[attached.gateway_id] = routed.get(attached.gateway_id, 0) + attached.sessions
            queued[attached.gateway_id] = queued.get(attached.gateway_id, 0) + attached.queued
    rows = [
        (
            gateway.name,
            str(gateway.devices),
            str(routed.get(gateway.gateway_id, 0)),
            str(gateway.waiting),
            str(gateway.detached),
            str(gateway.users),
            str(gateway.replicas),
            str(queued.get(gateway.gateway_id, 0)),
            "draining" if gateway.draining else "open",
        )
        for gateway in gateways
        if isinstance(gateway, Gateway)
    ]
    head = ("GATEWAY", "DEVICES", "ROUTED", "WAITING", "DETACHED", "USERS", "REPLICAS", "QUEUED", "STATE")
    return [*table(head, rows), *missing([*gateways, *replicas])]


def slowest(devices: Sequence[Device], unreachable: Sequence[Unreachable], limit: int) -> list[str]:
    """The devices with most waiting, the slowest first."""
    ordered = sorted(devices, key=lambda device: (-device.queued_frames, -device.oldest_unsent_s, device.device_id))
    rows = [
        (
            device.gateway,
            device.user_id,
            device.device_id,
            str(device.queued_frames),
            str(device.queued_bytes),
            f"{device.oldest_unsent_s:.1f}",
            str(device.dropped),
        )
        for device in ordered[:limit]
    ]
    head = ("GATEWAY", "USER", "DEVICE", "FRAMES", "BYTES", "OLDEST_S", "DROPPED")
    return [*table(head, rows), *missing(unreachable)]


def _ownership(replicas: Sequence[Replica]) -> list[str]:
    count = max((replica.partition_count for replica in replicas), default=0)
    owners = [sum(partition in replica.partitions for replica in replicas) for partition in range(count)]
    nobody = ranges([partition for partition, owned in enumerate(owners) if owned == 0])
    several = ranges([partition for partition, owned in enumerate(owners) if owned > 1])
    lines = [f"owned by nobody: {nobody}"] if nobody != "-" else []
    return [*lines, f"owned more than once: {several}"] if several != "-" else lines
