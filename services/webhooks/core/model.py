"""What is told to whom: events, and their deliveries to endpoints."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NewType

EndpointName = NewType("EndpointName", str)
# Stable over all attempts and endpoints: the receiver drops what it has seen.
WebhookId = NewType("WebhookId", str)
# Such as conversation:0190…: deliveries of one key to one endpoint go out one after the other, in the order of the
# events.
OrderKey = NewType("OrderKey", str)
DeliveryId = NewType("DeliveryId", int)
# Of whoever delivers a key's events now; another one's word on it does not count.
ClaimId = NewType("ClaimId", str)


class ConversationKind(Enum):
    """What kind of conversation an event is of."""

    DIRECT = "direct"
    GROUP = "group"


class DeliveryState(Enum):
    """As stored; a delivery that waits is the only one that is sent."""

    WAITING = 0
    DELIVERED = 1
    # Given up.
    DEAD = 2


@dataclass(frozen=True)
class Endpoint:
    """Who is told, and what."""

    name: EndpointName
    url: str
    # Each signs: while one is changed, the receiver takes the one that it knows.
    secrets: tuple[str, ...]
    # Patterns of event types; see filters.py.
    events: tuple[str, ...]
    # Of events of conversations and calls, only those of this kind; None: both.
    conversations: ConversationKind | None = None
    # Whether it is told what people wrote and named, or only ids, times and states.
    contents: bool = False
    # Keys that are delivered at once, by each replica. Raising it empties a backlog sooner; lowering it spares a slow
    # receiver.
    parallel: int = 8


@dataclass(frozen=True)
class Event:
    """Something public that happened, as it will be told."""

    webhook_id: WebhookId
    type: str
    order_key: OrderKey
    time: datetime
    # Without what people wrote and named.
    body: bytes
    # With it; None where there is nothing of the kind, or where it must not be kept.
    body_with_contents: bytes | None = None
    conversations: ConversationKind | None = None
    # Whose words the body with contents holds, and of which message: they are erased with them.
    author_id: str | None = None
    message_id: str | None = None
    # Who reacted to it: what they chose is erased with them.
    reactor_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class NewDelivery:
    """What one endpoint is to be told of an event."""

    endpoint: EndpointName
    event: Event
    has_contents: bool


@dataclass(frozen=True)
class Delivery:
    """The next thing to send of a key."""

    id: DeliveryId
    webhook_id: WebhookId
    # As in Event.
    body: bytes
    event_time: datetime
    # Tries so far.
    attempts: int
    # How long it has waited, behind others too; since it was replayed, if it was.
    waited_s: float
    body_with_contents: bytes | None = None


@dataclass(frozen=True)
class Claim:
    """A key of an endpoint that is one sender's for a while."""

    id: ClaimId
    endpoint: EndpointName
    order_key: OrderKey


@dataclass(frozen=True)
class EndpointState:
    """How an endpoint is doing, as all replicas know it."""

    name: EndpointName
    # The address that said 410 (Gone); a new address in the configuration is not meant.
    disabled_url: str | None = None
    disable_time: datetime | None = None
    failing_since: datetime | None = None
    # When the oldest delivery that waits began to.
    oldest_time: datetime | None = None
    # Until the next key is due, from now; None when none waits.
    due_in_s: float | None = None


@dataclass(frozen=True)
class Backlog:
    """What waits for an endpoint, and what was given up."""

    waiting: int
    dead_letters: int


@dataclass(frozen=True)
class DeadLetter:
    """A delivery that was given up."""

    webhook_id: WebhookId
    type: str
    order_key: OrderKey
    event_time: datetime
    attempts: int
    last_status: int
