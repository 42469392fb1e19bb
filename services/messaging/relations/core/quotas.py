"""How often a day. A day is one of UTC."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from services.messaging.core.model import UserId


@dataclass(frozen=True)
class DayQuota:
    """How often a user may do something on the day that begins at `day_start`, and how long that day still is."""

    user_id: UserId
    limit: int
    day_start: datetime
    retry_delay_s: float


def day_quota(user_id: UserId, limit: int, now: datetime) -> DayQuota:
    """The quota of today. `now` is in UTC."""
    start = datetime.combine(now.date(), time.min, now.tzinfo)
    return DayQuota(user_id, limit, start, (start + timedelta(days=1) - now).total_seconds())
