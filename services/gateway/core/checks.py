"""What devices send, checked."""

from collections.abc import Sequence

from services.gateway.core.errors import InvalidField
from services.gateway.core.model import DeviceId, UserId
from services.runtime.device_ids import DEVICE_ID_RULE, is_device_id
from services.runtime.user_ids import USER_ID_RULE, is_user_id

MAX_WATCHED = 1_000
MAX_LISTED = 1_000
# A uint64.
MAX_POSITION = (1 << 64) - 1


def check_device_id(value: str) -> DeviceId:
    """A device's id. Raises InvalidField."""
    if not is_device_id(value):
        raise InvalidField("device_id", DEVICE_ID_RULE)
    return DeviceId(value)


def check_watch_list(user_ids: Sequence[str]) -> tuple[UserId, ...]:
    """The people to watch, each once. Raises InvalidField."""
    if len(user_ids) > MAX_WATCHED:
        raise InvalidField("user_ids", f"has {len(user_ids)} entries; at most {MAX_WATCHED} are allowed")
    return tuple(dict.fromkeys(check_user_id(user_id, "user_ids") for user_id in user_ids))


def check_user_id(value: str, field: str) -> UserId:
    """A user's id. Raises InvalidField."""
    if not is_user_id(value):
        raise InvalidField(field, USER_ID_RULE)
    return UserId(value)


def check_limit(value: int, default: int) -> int:
    """How many to list; 0 means the default. Raises InvalidField."""
    if not 0 <= value <= MAX_LISTED:
        raise InvalidField("limit", f"must be 0 to {MAX_LISTED}")
    return value or default
