"""How often one receiver's requests for key frames count: a key frame costs all other receivers bandwidth."""

from typing import Final

# Between two requests of one slot that count, at first and at most; doubled while they keep coming. Raising either
# makes a receiver with losses wait longer; lowering it lets one receiver's requests cost all others the publisher's
# bit rate.
FIRST_REQUEST_INTERVAL_S: Final = 0.3
MAX_REQUEST_INTERVAL_S: Final = 5.0


class KeyFrameBackoff:
    """Lets requests of one slot through, ever less often while they keep coming."""

    def __init__(self) -> None:
        self._interval_s = FIRST_REQUEST_INTERVAL_S
        self._last_at: float | None = None

    def allows(self, now: float) -> bool:
        """Whether a request counts now."""
        if self._last_at is None or now - self._last_at >= 2 * MAX_REQUEST_INTERVAL_S:
            self._interval_s = FIRST_REQUEST_INTERVAL_S
        elif now - self._last_at < self._interval_s:
            return False
        else:
            self._interval_s = min(2 * self._interval_s, MAX_REQUEST_INTERVAL_S)
        self._last_at = now
        return True
