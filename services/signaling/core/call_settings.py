"""How people want to be rung."""

from dataclasses import dataclass
from datetime import datetime

from services.runtime.quiet_hours import QuietHours


@dataclass(frozen=True)
class CallSettings:
    """What a person chose; as it stands here where nothing was chosen."""

    call_waiting: bool = False
    quiet_hours: QuietHours | None = None

    def is_quiet(self, now: datetime) -> bool:
        """Whether calls do not ring at that moment."""
        return self.quiet_hours is not None and self.quiet_hours.cover(now)
