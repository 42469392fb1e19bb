"""Push's metrics."""

from prometheus_client import Counter, Gauge, Histogram

DECIDED = Counter("push_notices", "Notices that a person's devices are to show, by kind.", ["kind"])
TAKEN_BACK = Counter("push_taken_back", "Threads of which a person's devices are to show nothing any more.")
ATTEMPTS = Counter("push_attempts", "Requests to providers, by what came of them.", ["provider", "outcome"])
ATTEMPT_SECONDS = Histogram(
    "push_attempt_seconds",
    "From a request to a provider to its answer.",
    ["provider"],
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
)
DELIVERY_SECONDS = Histogram(
    "push_delivery_seconds",
    "From what happened to the answer of the provider that has its notice.",
    ["provider"],
    buckets=(0.1, 0.3, 1, 3, 10, 30, 60, 600, 3_600, 86_400),
)
DEAD_LETTERS = Counter("push_dead_letters", "Notices that were given up.", ["provider"])
TOKENS_GONE = Counter("push_tokens_gone", "Tokens that a provider does not know any more.", ["provider"])
OLDEST_WAITING = Gauge(
    "push_oldest_waiting_seconds", "How long the oldest notice waits; the same at all replicas.", ["provider"]
)
IN_FLIGHT = Gauge("push_in_flight", "Requests of this replica that have no answer yet.", ["provider"])
