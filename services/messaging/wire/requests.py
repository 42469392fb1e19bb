"""What several requests hold: who calls, what is said, times, lengths of time."""

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from parley.messaging.v1 import messages_pb2, service_pb2

from services.messaging.kernel.content import Content
from services.messaging.kernel.model import AddAudience, UserId
from services.messaging.wire.api import ADD_AUDIENCES_BACK
from services.messaging.wire.contents import read_content
from services.runtime.errors import InvalidRequest
from services.runtime.identity.auth import current_user


def me() -> UserId:
    """The authenticated caller."""
    return UserId(current_user())


def said(request: service_pb2.SendMessageRequest) -> Content:
    """What is to be sent. Raises InvalidRequest."""
    try:
        content = read_content(request)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(str(request.WhichOneof("content")), "cannot be read") from error
    if content is None:
        raise InvalidRequest("content", "is not set")
    return content


def add_audience(value: int) -> AddAudience | None:
    """Who may add people; None where nothing is said. Raises InvalidRequest."""
    if value == messages_pb2.ADD_AUDIENCE_UNSPECIFIED:
        return None
    audience = ADD_AUDIENCES_BACK.get(messages_pb2.AddAudience.ValueType(value))
    if audience is None:
        raise InvalidRequest("add_audience", "is not known")
    return audience


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
