"""What was found lately, so that a link that many people send is asked for once."""

from collections import OrderedDict
from dataclasses import dataclass

from services.previews.core.model import Preview

# Raising it shows an older title of a page that changes; lowering it asks hosts more often.
FOUND_S = 600.0
# Raising it says of a page that came back that it has no preview; lowering it asks hosts that are away more often.
MISSED_S = 60.0
# Some 3 KiB each, 5 at worst. Raising it takes more memory; lowering it asks hosts more often.
MAX_ENTRIES = 5_000


@dataclass(frozen=True)
class Found:
    """A preview, or that there is none."""

    preview: Preview | None


class Cache:
    """By address; the one that was asked for longest ago goes first. Times are monotonic seconds."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._entries: OrderedDict[str, tuple[Found, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, url: str, now: float) -> Found | None:
        """What was found, unless it is too old."""
        entry = self._entries.get(url)
        if entry is None:
            return None
        found, until = entry
        if now >= until:
            del self._entries[url]
            return None
        self._entries.move_to_end(url)
        return found

    def put(self, url: str, found: Found, now: float) -> None:
        """Keep what was found."""
        self._entries[url] = found, now + (FOUND_S if found.preview else MISSED_S)
        self._entries.move_to_end(url)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)
