"""Hours of the day in which a person wants quiet, by the clock of a place."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True)
class QuietHours:
    """From `start_minute` up to `end_minute` by the clock of `time_zone`; over midnight when the end comes first.

    `weekdays`: on which days they begin, 1 (Monday) to 7; none means each day.
    """

    start_minute: int
    end_minute: int
    time_zone: str
    weekdays: tuple[int, ...] = ()

    def cover(self, now: datetime) -> bool:
        """Whether they hold at that moment. In the hours that a change of clocks doubles, they hold twice."""
        local = now.astimezone(ZoneInfo(self.time_zone))
        minute = local.hour * 60 + local.minute
        today, yesterday = local.isoweekday(), (local - timedelta(days=1)).isoweekday()
        if self.start_minute < self.end_minute:
            return self._begin_on(today) and self.start_minute <= minute < self.end_minute
        return (self._begin_on(today) and minute >= self.start_minute) or (
            self._begin_on(yesterday) and minute < self.end_minute
        )

    def _begin_on(self, weekday: int) -> bool:
        return not self.weekdays or weekday in self.weekdays


def find_fault(hours: QuietHours) -> tuple[str, str] | None:
    """The field that has no meaning, and why; None when all have."""
    for field, minute in (("start_minute", hours.start_minute), ("end_minute", hours.end_minute)):
        if not 0 <= minute < MINUTES_A_DAY:
            return field, "is not a minute of a day, 0 to 1439"
    if not all(1 <= weekday <= 7 for weekday in hours.weekdays):
        return "weekdays", "has something else than 1 (Monday) to 7"
    try:
        ZoneInfo(hours.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "time_zone", "is not of the IANA database"
    return None
