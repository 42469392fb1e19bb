"""The metrics that all services have. Labels are bounded; ids are never labels."""

from prometheus_client import Counter, Gauge, Histogram

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

RPC_HANDLED = Counter(
    "grpc_server_handled", "RPCs completed, by outcome.", ["grpc_service", "grpc_method", "grpc_code"]
)
RPC_SECONDS = Histogram(
    "grpc_server_handling_seconds",
    "Time from the arrival of a unary RPC to its answer.",
    ["grpc_service", "grpc_method"],
    buckets=LATENCY_BUCKETS,
)
USER_REFUSED = Counter(
    "grpc_server_user_refused",
    "RPCs refused because their user asks for too much, by scope: rate (units a second) or calls (at once); or because"
    " a server of the back office does (server).",
    ["grpc_service", "grpc_method", "scope"],
)
RPC_STREAMS = Gauge("grpc_server_streams", "Streaming RPCs that are open.", ["grpc_service", "grpc_method"])
RECORDS = Counter(
    "kafka_consumer_records", "Records consumed, by result: ok, retried or dead.", ["topic", "group", "result"]
)
RECORD_AGE = Histogram(
    "kafka_consumer_record_age_seconds",
    "Age of a record when its handling ended: the lag of this stage in seconds.",
    ["topic", "group"],
    buckets=(*LATENCY_BUCKETS, 30, 60, 300),
)
OUTBOX_PUBLISHED = Counter("outbox_published", "Outbox rows acknowledged by the broker.", ["topic"])
OUTBOX_BACKLOG = Gauge("outbox_backlog_rows", "Outbox rows not published at the last sweep.")
OUTBOX_REFUSED = Counter("outbox_refused", "Outbox rows that the broker never takes, parked instead.", ["topic"])
DIRECT_DELIVERIES = Counter(
    "direct_deliveries",
    "Deliveries to be handed to presence ahead of the topic: sent, full (too many wait for its replica), or no_owner"
    " (nobody says that it routes the user). What was not sent comes by the topic alone.",
    ["result"],
)
TASK_FAILURES = Counter("background_task_failures", "How often a background task ended by a failure.", ["task"])
JWKS_FETCHES = Counter("jwks_fetches", "Fetches of the network's keys, by result: ok or failed.", ["result"])
READY = Gauge("service_ready", "1 when the service can do its work, by dependency.", ["dependency"])
