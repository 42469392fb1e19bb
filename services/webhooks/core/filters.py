"""Which events an endpoint is told."""

from collections.abc import Iterable, Iterator

from services.webhooks.core.model import Delivery, Endpoint, Event, NewDelivery


def matches(pattern: str, event_type: str) -> bool:
    """Whether a pattern means the type: `*` means all, `call.*` all that begin with `call.`; others mean themselves."""
    if pattern.endswith("*"):
        return event_type.startswith(pattern[:-1])
    return pattern == event_type


def wants(endpoint: Endpoint, event: Event) -> bool:
    """Whether the endpoint is told of the event."""
    if endpoint.conversations and event.conversations and endpoint.conversations is not event.conversations:
        return False
    return any(matches(pattern, event.type) for pattern in endpoint.events)


def deliveries(endpoints: Iterable[Endpoint], events: Iterable[Event]) -> Iterator[NewDelivery]:
    """What is to be told to whom, in the order of the events."""
    endpoints = tuple(endpoints)
    for event in events:
        for endpoint in endpoints:
            if wants(endpoint, event):
                has_contents = endpoint.contents and event.body_with_contents is not None
                yield NewDelivery(endpoint.name, event, has_contents)


def body_for(endpoint: Endpoint, delivery: Delivery) -> bytes:
    """What the endpoint is sent: as it is now, since it may be told less than when the delivery was written down."""
    contents = delivery.body_with_contents if endpoint.contents else None
    return delivery.body if contents is None else contents
