"""How much of what all share one user may take: a bucket for each, in bounded memory.

Pure: times are monotonic seconds, and arguments.
"""

from collections.abc import Hashable
from heapq import nlargest


class Rates:
    """A token bucket for each key (GCRA, ITU-T I.371): `per_s` units a second in the long run, `burst` at once.

    At most `keys` are remembered. When there are more, those who are owed nothing are forgotten, which changes nothing,
    and of the rest those who took least: whoever floods is forgotten last, however many others come.
    """

    def __init__(self, per_s: float, burst: float, keys: int = 100_000) -> None:
        self._gap_s = 1 / per_s
        self._burst = burst
        self._keys = keys
        # When the bucket of each is full again. A key that is not here has a full one.
        self._full_s: dict[Hashable, float] = {}

    def __len__(self) -> int:
        return len(self._full_s)

    def take(self, key: Hashable, now_s: float, units: float = 1) -> float:
        """Take units: 0 when they were there, else nothing is taken and the answer says after how many seconds they
        will be. More than a burst counts as a burst: it is taken from a full bucket alone."""
        units = min(units, self._burst)
        full_s = max(self._full_s.get(key, now_s), now_s)
        wait_s = full_s - now_s - (self._burst - units) * self._gap_s
        # Sums of gaps are not exact.
        if wait_s > 1e-6:
            return wait_s
        if units > 0:
            self._full_s[key] = full_s + units * self._gap_s
            if len(self._full_s) > self._keys:
                self._forget(now_s)
        return 0.0

    def owe(self, key: Hashable, now_s: float, units: float) -> None:
        """Take units that may not be there: what was done already is paid by what comes next."""
        self._full_s[key] = max(self._full_s.get(key, now_s), now_s) + units * self._gap_s
        if len(self._full_s) > self._keys:
            self._forget(now_s)

    def _forget(self, now_s: float) -> None:
        # A tenth more than needed, so that it is not done again at the next key.
        kept = self._keys - self._keys // 10
        owing = {key: full_s for key, full_s in self._full_s.items() if full_s > now_s}
        if len(owing) > kept:
            # Of those who took as much, the latest stay; and the earliest stand in front again.
            most = nlargest(kept, reversed(owing.items()), key=lambda entry: entry[1])
            owing = dict(reversed(most))
        self._full_s = owing
