"""Previews' metrics."""

from prometheus_client import Counter, Gauge, Histogram

RESULTS = Counter(
    "previews_requests",
    "Previews that were asked for: found, none, refused (the address), busy, off; by where they came from: cache,"
    " shared (a fetch that was under way), fetch, or nowhere.",
    ["result", "source"],
)
FETCHES = Counter(
    "previews_fetches",
    "Fetches, by what came of them: found, no_page, not_public, not_allowed (a redirection), too_many_redirections,"
    " unreachable, busy (too many wait for one host, or names of one user's are looked up), timeout, given_up (nobody"
    " waited for it any more).",
    ["outcome"],
)
FETCH_SECONDS = Histogram(
    "previews_fetch_seconds",
    "From the look-up of a name to the page, redirections and waiting for the host's turn included.",
    buckets=(0.03, 0.1, 0.3, 0.6, 1, 2, 3, 5),
)
FETCHING = Gauge("previews_fetching", "Fetches that are under way at this replica.")
CACHED = Gauge("previews_cached", "Answers that this replica keeps.")
