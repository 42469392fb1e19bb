"""Messaging's metrics."""

from prometheus_client import Counter, Histogram

MESSAGES = Counter("messaging_messages_stored", "Messages stored, by kind.", ["kind"])
COMMIT_BATCH = Histogram(
    "messaging_commit_batch_size", "Messages committed together.", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
ERASED = Counter("messaging_messages_erased", "Messages erased by the sweeper, by why.", ["reason"])
SWEEPS_CUT_OFF = Counter(
    "messaging_sweeps_cut_off", "Statements of the sweeper that PostgreSQL cut off while it served others.", ["reason"]
)
DELIVERIES = Counter("messaging_deliveries_published", "Deliveries produced by the fan-out, one a member and event.")
OBJECTS_DELETED = Counter("messaging_objects_deleted", "Objects of attachments and exports deleted for good.")
SCANS = Counter(
    "messaging_scans",
    "Times that the scanner was asked about a file, by its verdict (clean, refused, failed).",
    ["result"],
)
ACCOUNT_JOBS = Counter(
    "messaging_account_jobs", "Exports and deletions that ended, or failed and wait.", ["kind", "result"]
)
