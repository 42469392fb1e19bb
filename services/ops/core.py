"""What the commands print, line by line."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


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


@dataclass(frozen=True)
class Unreachable:
    """A process that did not answer, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Endpoint:
    """A receiver of webhooks, and how it is doing."""

    name: str
    events: tuple[str, ...]
    disabled_since: datetime | None
    failing_since: datetime | None
    waiting: int
    oldest_waiting: datetime | None
    dead_letters: int


@dataclass(frozen=True)
class GivenUpNotice:
    """A notice to a sleeping device that was given up, without its contents."""

    provider: str
    user_id: str
    device_id: str
    time: datetime
    attempts: int
    last_status: int


@dataclass(frozen=True)
class GivenUpWebhook:
    """A delivery that was given up, without its contents."""

    webhook_id: str
    type: str
    order_key: str
    time: datetime
    attempts: int
    last_status: int


# The groups that read each topic, in the order of the pipeline; a test compares them with the services' subscriptions.
STAGES = (
    ("messaging.events.v1", "messaging-fanout"),
    ("messaging.events.v1", "messaging-search"),
    ("messaging.events.v1", "signaling-background"),
    ("delivery.v1", "presence"),
    ("calls.events.v1", "signaling-push"),
    ("calls.events.v1", "messaging-calls"),
    ("media.events.v1", "signaling-media"),
    ("media.quality.v1", "signaling-background"),
    ("graph.events.v1", "messaging-graph"),
    ("accounts.events.v1", "signaling-background"),
    ("accounts.events.v1", "presence-accounts"),
    ("messaging.events.v1", "webhooks"),
    ("calls.events.v1", "webhooks"),
    ("presence.events.v1", "webhooks"),
    ("accounts.events.v1", "webhooks"),
    ("delivery.v1", "push"),
    ("calls.events.v1", "push"),
    ("presence.events.v1", "push"),
    ("accounts.events.v1", "push"),
)
DEAD_LETTER_SUFFIX = ".dlq"
# By which notices are sent to sleeping devices.
PROVIDERS = ("apns", "apns_voip", "fcm", "web_push", "network")


@dataclass(frozen=True)
class Stage:
    """What waits for a group that reads a topic; `oldest_s` is 0 when nothing does.

    A group that has never committed may not exist: push without a provider, or a stack that has just started.
    """

    topic: str
    group: str
    records: int
    oldest_s: float
    has_committed: bool


@dataclass(frozen=True)
class DeadLetter:
    """A record that a consumer could not handle, without its contents."""

    offset: int
    time: datetime
    key: str
    size: int
    reason: str


def lag(stages: Sequence[Stage]) -> list[str]:
    """The stages, each with its lag in seconds."""
    rows = [
        (
            stage.topic,
            stage.group,
            str(stage.records),
            f"{stage.oldest_s:.1f}",
            "reading" if stage.has_committed else "never committed",
        )
        for stage in stages
    ]
    return _table(("TOPIC", "GROUP", "RECORDS", "LAG_S", "STATE"), rows)


def letters(found: Sequence[DeadLetter]) -> list[str]:
    """The dead letters of a topic, one a line."""
    rows = [
        (str(letter.offset), letter.time.isoformat(timespec="seconds"), letter.key, str(letter.size), letter.reason)
        for letter in found
    ]
    return _table(("OFFSET", "TIME", "KEY", "BYTES", "REASON"), rows) if rows else ["no dead letters"]


def replayed(topic: str, offset: int, letter: DeadLetter | None) -> list[str]:
    """What became of the dead letter at this offset."""
    if letter is None:
        return [f"there is no dead letter {offset} of {topic}"]
    return [f"published to {topic} again: {letter.size} bytes with the key {letter.key}"]


def partitions(found: Sequence[Replica | Unreachable]) -> list[str]:
    """Which replica owns which partitions; below, the partitions with no owner or with more than one."""
    replicas = [entry for entry in found if isinstance(entry, Replica)]
    rows = [
        (
            replica.name,
            str(replica.epoch),
            _ranges(replica.partitions),
            str(replica.users),
            str(len(replica.gateways)),
            "collecting" if replica.collecting else "routing",
            f"{replica.unsaved}/{replica.unpublished}",
        )
        for replica in replicas
    ]
    head = ("REPLICA", "EPOCH", "PARTITIONS", "USERS", "GATEWAYS", "STATE", "UNSAVED/UNPUBLISHED")
    return [*_table(head, rows), *_ownership(replicas), *_missing(found)]


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
    return [*_table(head, rows), *_missing([*gateways, *replicas])]


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
    return [*_table(head, rows), *_missing(unreachable)]


def located(call_id: str, worker_id: str, epoch: int) -> list[str]:
    """Where a call's media is."""
    return [f"call {call_id} is on {worker_id or 'no worker'}; moves so far: {epoch}"]


def drained(worker_id: str, calls_left: int) -> list[str]:
    """What a drain has come to."""
    if not calls_left:
        return [f"{worker_id} takes no calls and carries none: it can be stopped"]
    return [f"{worker_id} takes no calls, and keeps {calls_left}: no other worker has room. Try again when one has"]


def undrained(worker_id: str) -> list[str]:
    """A worker is in service again."""
    return [f"{worker_id} takes calls again"]


def _ownership(replicas: Sequence[Replica]) -> list[str]:
    count = max((replica.partition_count for replica in replicas), default=0)
    owners = [sum(partition in replica.partitions for replica in replicas) for partition in range(count)]
    nobody = _ranges([partition for partition, owned in enumerate(owners) if owned == 0])
    several = _ranges([partition for partition, owned in enumerate(owners) if owned > 1])
    lines = [f"owned by nobody: {nobody}"] if nobody != "-" else []
    return [*lines, f"owned more than once: {several}"] if several != "-" else lines


def deleted_again(published: Sequence[str], known: Sequence[str]) -> list[str]:
    """What was asked of messaging: of the accounts of the topic, and of those that its database knew besides."""
    new = set(published) - set(known)
    return [
        f"{len(set(published) | set(known))} accounts are deleted again",
        f"{len(new)} of them were not known to messaging's database any more",
    ]


def webhook_endpoints(found: Sequence[Endpoint], now: datetime) -> list[str]:
    """The receivers of webhooks, one a line."""

    def since(time: datetime | None) -> str:
        return "-" if time is None else f"{max(0.0, (now - time).total_seconds()):.0f}"

    rows = [
        (
            one.name,
            "disabled" if one.disabled_since else "failing" if one.failing_since else "well",
            since(one.disabled_since or one.failing_since),
            str(one.waiting),
            since(one.oldest_waiting),
            str(one.dead_letters),
            ",".join(one.events),
        )
        for one in found
    ]
    head = ("ENDPOINT", "STATE", "SINCE_S", "WAITING", "OLDEST_S", "DEAD", "EVENTS")
    return _table(head, rows) if rows else ["no endpoints are configured"]


def given_up_webhooks(found: Sequence[GivenUpWebhook]) -> list[str]:
    """Deliveries that were given up, one a line."""
    rows = [
        (
            one.time.isoformat(timespec="seconds"),
            one.type,
            one.order_key,
            one.webhook_id,
            str(one.attempts),
            str(one.last_status or "no answer"),
        )
        for one in found
    ]
    return _table(("EVENT_TIME", "TYPE", "KEY", "WEBHOOK_ID", "ATTEMPTS", "LAST"), rows) if rows else ["none"]


def _missing(found: Sequence[object]) -> list[str]:
    names = {entry.name: entry.reason for entry in found if isinstance(entry, Unreachable)}
    return [f"{name} does not answer: {reason}" for name, reason in names.items()]


def _ranges(numbers: Sequence[int]) -> str:
    """`0-3,7` for 0, 1, 2, 3 and 7."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and parts[-1][-1] == number - 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ",".join("-".join(map(str, part)) for part in parts) or "-"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]


def given_up_notices(found: Sequence[GivenUpNotice]) -> list[str]:
    """Notices that were given up, one a line."""
    rows = [
        (
            one.time.isoformat(timespec="seconds"),
            one.provider,
            one.user_id,
            one.device_id,
            str(one.attempts),
            str(one.last_status or "no answer"),
        )
        for one in found
    ]
    return _table(("GIVEN_UP", "PROVIDER", "USER", "DEVICE", "ATTEMPTS", "LAST"), rows) if rows else ["none"]
