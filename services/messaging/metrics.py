"""Messaging's metrics."""

from prometheus_client import Counter, Gauge, Histogram

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
HASHES_MATCHED = Counter(
    "messaging_hashes_matched", "Files that somebody wanted to send or fetch and that are on the list of hashes."
)
ACCOUNT_JOBS = Counter(
    "messaging_account_jobs", "Exports and deletions that ended, or failed and wait.", ["kind", "result"]
)
HOOK_CHECKS = Counter(
    "messaging_hook_checks",
    "Things that people wrote and the hook was to judge, by where and by its verdict, or why there is none.",
    ["surface", "result"],
)
HOOK_SECONDS = Histogram(
    "messaging_hook_seconds",
    "How long the hook took, without the wait for a turn.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
HOOK_GIVEN_UP = Gauge("messaging_hook_given_up", "1 while a hook that does not answer is not asked.")
HOOK_UNJUDGED = Counter(
    "messaging_hook_unjudged",
    "What was written and not judged, by where and by what that means: open passes it, closed refuses it for now.",
    ["surface", "policy"],
)
HELD_WAITING = Gauge(
    "messaging_held_waiting", "Held messages and edits that wait for a review; all replicas say the same."
)
HELD_OLDEST = Gauge("messaging_held_oldest_seconds", "How long the oldest of them waits.")
SCHEDULED = Counter(
    "messaging_scheduled",
    "Attempts to send scheduled messages, by what came of them (sent, refused, held, waiting: tried again).",
    ["result"],
)
SCHEDULED_LATE = Histogram(
    "messaging_scheduled_late_seconds",
    "How long after its time a scheduled message was sent.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 30, 60, 300, 3600),
)
