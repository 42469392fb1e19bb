"""How often a day. A day is one of UTC."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from services.messaging.kernel.model import UserId


@dataclass(frozen=True)
class DayQuota:
    """How often a user may do something on the day that begins at `day_start`, and how long that day still is.

    Of new conversations also how many people may have to let them in, before reports lower it; None for any number.
    """

    user_id: UserId
    limit: int
    day_start: datetime
    retry_delay_s: float
    requests: int | None = None


def day_quota(user_id: UserId, limit: int, now: datetime, requests: int | None = None) -> DayQuota:
    """The quota of today. `now` is in UTC."""
    start = datetime.combine(now.date(), time.min, now.tzinfo)
    return DayQuota(user_id, limit, start, (start + timedelta(days=1) - now).total_seconds(), requests)
