"""How long to wait before an outside server is asked once more: by our own rule, and as long as it asks for."""

# The wait after the first failure. Raising it tells a server later that was away for a moment; lowering it asks one
# more often that restarts.
FIRST_BACKOFF_S = 1.0
# Each wait is so many times the one before. Raising it makes fewer attempts; lowering it makes more.
BACKOFF_FACTOR = 3.0
# The most that an answer's Retry-After is believed. Raising it lets a server hold what waits for longer; lowering it
# asks one too early that knows better.
MAX_RETRY_AFTER_S = 3_600.0


def backoff_s(attempts: int, most_s: float, chance: float) -> float:
    """The wait after so many failed attempts (1 and more), at most `most_s`. `chance`, of [0, 1), takes up to half of
    it away, so that what failed together does not come back together."""
    # Bounded before it is raised: 3 to the 700th is no float.
    grown = FIRST_BACKOFF_S * BACKOFF_FACTOR ** min(attempts - 1, 30)
    return min(grown, most_s) * (1 - chance / 2)


def bounded_pause_s(asked_s: float | None) -> float:
    """How long a server that is busy is left alone. `asked_s`: what it asked for, None where it did not say."""
    return min(asked_s or FIRST_BACKOFF_S, MAX_RETRY_AFTER_S)


def retry_after_s(header: str | None) -> float | None:
    """The seconds of a Retry-After header (RFC 9110, section 10.2.3); None without one, and for a date, which needs a
    clock that agrees with ours."""
    if header is None or not header.strip().isascii() or not header.strip().isdigit() or len(header) > 12:
        return None
    return float(header)
