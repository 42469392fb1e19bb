"""Bounds of what the back office may ask beside what users may."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.messaging.kernel.checks import check_users
from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.model import UserId
from services.runtime.reasons import REASON_RULE, is_reason

# Longer is for good, for which the network had better close the account. Raising it takes slips of the pen for wishes.
MAX_RESTRICTION = timedelta(days=3653)
# Each of them is a change of the group of its own. Raising it makes calls that last longer.
MAX_REMOVED_AT_ONCE = 100


def check_reason(value: str) -> str:
    """Why something is done to somebody, as the audit record keeps it. Raises InvalidField."""
    if not is_reason(value):
        raise InvalidField("reason", REASON_RULE)
    return value


def check_removed(values: Sequence[str]) -> tuple[UserId, ...]:
    """Whom to take out of a group. Raises InvalidField."""
    people = check_users("user_ids", values, MAX_REMOVED_AT_ONCE)
    if not people:
        raise InvalidField("user_ids", "names nobody")
    return people


def check_until(until: datetime, now: datetime) -> datetime:
    """The end of a restriction. Raises InvalidField."""
    if not now < until <= now + MAX_RESTRICTION:
        raise InvalidField("until_time", f"must be in the future, and within {MAX_RESTRICTION.days} days")
    return until
