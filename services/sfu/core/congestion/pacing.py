"""The pace of repairs, so that they do not stand in a queue before the media."""

from typing import Final

# What may go out at once beside the media: this long at the path's estimate, and at least so many bytes. Raising either
# makes a queue on narrow paths, in front of the media; lowering it delays repairs, some until they are too late.
BURST_S: Final = 0.2
MIN_BURST_BYTES: Final = 12_000


class Pacer:
    """Lets bytes through at a rate, in bursts (a token bucket). Nothing waits: receivers ask again for the rest, as
    browsers and the Python client do."""

    def __init__(self) -> None:
        self._tokens = float(MIN_BURST_BYTES)
        self._filled_at = 0.0

    def has_tokens(self, rate_bps: float, now: float) -> bool:
        """Whether one more packet may go; the last one may take more than there is."""
        most = max(rate_bps / 8 * BURST_S, MIN_BURST_BYTES)
        self._tokens = min(self._tokens + (now - self._filled_at) * rate_bps / 8, most)
        self._filled_at = now
        return self._tokens > 0

    def spend(self, size: int) -> None:
        """A packet of this size goes out."""
        self._tokens -= size
