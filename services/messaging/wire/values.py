"""Values that several protobufs of the API hold: times, lengths and roles."""

from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from parley.messaging.v1 import messages_pb2

from services.messaging.kernel.role import Role

ROLES = {
    Role.MEMBER: messages_pb2.MEMBER_ROLE_MEMBER,
    Role.ADMIN: messages_pb2.MEMBER_ROLE_ADMIN,
    Role.OWNER: messages_pb2.MEMBER_ROLE_OWNER,
}
ROLES_BACK = {value: key for key, value in ROLES.items()}


def to_timestamp(instant: datetime) -> Timestamp:
    """A protobuf time."""
    stamp = Timestamp()
    stamp.FromDatetime(instant)
    return stamp


def to_duration(length: timedelta) -> Duration:
    """A protobuf duration."""
    duration = Duration()
    duration.FromTimedelta(length)
    return duration
