"""What goes out to others: webhooks to the servers of the network, notices to sleeping devices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.ops.core.tables import table

# By which notices are sent to sleeping devices.
PROVIDERS = ("apns", "apns_voip", "fcm", "web_push", "network")


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
class GivenUpWebhook:
    """A delivery that was given up, without its contents."""

    webhook_id: str
    type: str
    order_key: str
    time: datetime
    attempts: int
    last_status: int


@dataclass(frozen=True)
class GivenUpNotice:
    """A notice to a sleeping device that was given up, without its contents."""

    provider: str
    user_id: str
    device_id: str
    time: datetime
    attempts: int
    last_status: int


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
    return table(head, rows) if rows else ["no endpoints are configured"]


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
    return table(("EVENT_TIME", "TYPE", "KEY", "WEBHOOK_ID", "ATTEMPTS", "LAST"), rows) if rows else ["none"]


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
    return table(("GIVEN_UP", "PROVIDER", "USER", "DEVICE", "ATTEMPTS", "LAST"), rows) if rows else ["none"]
