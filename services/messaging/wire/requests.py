"""What several requests hold: who calls, times, lengths of time."""

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from services.messaging.kernel.model import UserId
from services.runtime.errors import InvalidRequest
from services.runtime.identity.auth import current_user


def me() -> UserId:
    """The authenticated caller."""
    return UserId(current_user())


def instant(field: str, stamp: Timestamp) -> datetime:
    """A time of a request. Raises InvalidRequest, naming the field."""
    try:
        return stamp.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(field, "is not a time") from error


def length(field: str, duration: Duration) -> timedelta:
    """As instant, a length of time."""
    try:
        return duration.ToTimedelta()
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(field, "is not a length of time") from error
