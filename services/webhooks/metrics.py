"""Webhooks' metrics. An endpoint is a name of the configuration, which holds at most 100."""

from prometheus_client import Counter, Gauge, Histogram

ATTEMPTS = Counter("webhooks_attempts", "Requests to endpoints, by what came of them.", ["endpoint", "outcome"])
ATTEMPT_SECONDS = Histogram(
    "webhooks_attempt_seconds",
    "From a request to an endpoint to its answer.",
    ["endpoint"],
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
)
DELIVERY_SECONDS = Histogram(
    "webhooks_delivery_seconds",
    "From an event to its delivery.",
    ["endpoint"],
    buckets=(0.1, 0.3, 1, 3, 10, 60, 600, 3_600, 86_400),
)
QUEUED = Counter("webhooks_queued", "Deliveries that were written down, by the type of event.", ["type"])
DEAD_LETTERS = Counter("webhooks_dead_letters", "Deliveries that were given up.", ["endpoint"])
PURGED = Counter("webhooks_purged", "Deliveries that were kept for long enough, by what became of them.", ["state"])
OLDEST_WAITING = Gauge(
    "webhooks_oldest_waiting_seconds", "How long the oldest delivery waits; the same at all replicas.", ["endpoint"]
)
DISABLED = Gauge("webhooks_endpoint_disabled", "1 for an endpoint that said it is gone.", ["endpoint"])
IN_FLIGHT = Gauge("webhooks_keys_in_flight", "Keys that this replica is delivering.", ["endpoint"])


def forget(endpoint: str) -> None:
    """The endpoint is not there any more: its gauges say nothing."""
    for gauge in (OLDEST_WAITING, DISABLED, IN_FLIGHT):
        gauge.remove(endpoint)
