"""Signaling's own metrics."""

from prometheus_client import Counter, Gauge, Histogram

from services.signaling.core import errors
from services.signaling.core.model import EndReason, MoveReason

RING_SECONDS = Histogram(
    "signaling_ring_to_answer_seconds",
    "Time from the ring to the answer.",
    # As far as a call rings by default (PARLEY_RING_TIMEOUT_S), and a little further.
    buckets=(0.25, 0.5, 1, 2, 4, 8, 15, 30, 45, 60),
)
MEDIA_SECONDS = Histogram(
    "signaling_answer_to_media_seconds",
    "Time from the answer until all sides had media.",
    buckets=(0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60),
)
SETUP_FAILURES = Counter(
    "signaling_setup_failures", "Calls that could not be set up: members, placement, join or media.", ["stage"]
)
MOVES = Counter("signaling_handoffs", "Calls that began to move to another media worker.", ["reason"])
MOVE_SECONDS = Histogram(
    "signaling_handoff_seconds",
    "Time from the move's beginning until all devices had media on the new worker; the former one carries it meanwhile,"
    " unless it was lost: then the gap is this, and what passed until the loss was noticed.",
    ["reason"],
    buckets=(0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60),
)
PUSHES = Counter("signaling_pushes", "Push webhooks by outcome: sent, refused, failed, late.", ["outcome"])
ANNOUNCEMENTS_PASSED_OVER = Counter(
    "signaling_announcements_passed_over", "Announcements of media workers that have no meaning, or another's key."
)
LINK_OPENINGS = Counter(
    "signaling_link_openings",
    "Join links that somebody opened: part (of the call already), lobby, early, or why not: unknown (a secret of no"
    " link), closed, ended, locked, full, refused, failed.",
    ["outcome"],
)
CALLS_ENDED = Counter("signaling_calls_ended", "Calls ended, by reason.", ["reason"])
CALLS = Gauge("signaling_calls", "Calls that ring or run, of all replicas: take the greatest, not the sum.", ["state"])
CALLS_SPREAD = Gauge(
    "signaling_calls_spread",
    "Calls whose devices are on several media workers, of all replicas: take the greatest, not the sum.",
)

_NOT_OPENED: dict[type[errors.CallsError], str] = {
    errors.JoinLinkNotFound: "unknown",
    errors.JoinLinkClosed: "closed",
    errors.CallEnded: "ended",
    errors.CallLocked: "locked",
    errors.LobbyFull: "full",
    errors.LobbyRefused: "refused",
    errors.RemovedFromCall: "refused",
}


def outcome_of_opening(refusal: errors.CallsError) -> str:
    """Why a join link was not opened, as LINK_OPENINGS has it."""
    return _NOT_OPENED.get(type(refusal), "failed")


# Shown from the start: a counter whose first value is 1 has no rate.
for _reason in EndReason:
    CALLS_ENDED.labels(_reason.value)
for _cause in MoveReason:
    MOVES.labels(_cause.value)
    MOVE_SECONDS.labels(_cause.value)
for _outcome in ("part", "lobby", "early", "failed", *_NOT_OPENED.values()):
    LINK_OPENINGS.labels(_outcome)
for _stage in ("members", "placement", "join", "media"):
    SETUP_FAILURES.labels(_stage)
