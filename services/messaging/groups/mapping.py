"""Between groups' types and the protobufs of the API."""

from parley.messaging.v1 import messages_pb2

from services.messaging.groups.core.changes import Ban
from services.messaging.kernel.role import Role
from services.messaging.wire.values import ROLES_BACK, to_timestamp


def role_of(value: int) -> Role | None:
    """The role of a request; None for none or an unknown one."""
    return ROLES_BACK.get(messages_pb2.MemberRole.ValueType(value))


def ban_message(ban: Ban) -> messages_pb2.Ban:
    """The API's form of a ban."""
    return messages_pb2.Ban(user_id=ban.user_id, banned_by_user_id=ban.banned_by, ban_time=to_timestamp(ban.banned_at))
