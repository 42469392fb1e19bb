"""What requests name, checked. All of it raises InvalidRequest with the field."""

from typing import Protocol

from services.runtime.client_ids import CLIENT_ID_RULE, is_client_id
from services.runtime.device_ids import DEVICE_ID_RULE, is_device_id
from services.runtime.errors import InvalidRequest
from services.runtime.identity.auth import current_token, current_user
from services.runtime.reasons import REASON_RULE, is_reason
from services.runtime.user_ids import USER_ID_RULE, is_user_id
from services.runtime.uuids import parse_id
from services.signaling.core.model import CallId, DeviceId, LinkId, UserId
from services.signaling.links.core import MAX_TTL_S, MIN_TTL_S


class Keyed(Protocol):
    """A request that may have an id of its client's."""

    client_request_id: str


def me() -> UserId:
    """The user who calls."""
    return UserId(current_user())


def call_id_of(value: str) -> CallId:
    """A call's id."""
    return CallId(check_uuid("call_id", value))


def check_uuid(field: str, value: str) -> str:
    """A UUID, as it is written everywhere."""
    parsed = parse_id(value)
    if parsed is None:
        raise InvalidRequest(field, "is not a UUID")
    return str(parsed)


def request_id(request: Keyed) -> str:
    """A client's id of the request; empty where there is none."""
    return check_request_id(request.client_request_id)


def check_request_id(value: str) -> str:
    """The same, of the value."""
    if value and not is_client_id(value):
        raise InvalidRequest("client_request_id", CLIENT_ID_RULE)
    return value


def check_client_call_id(value: str) -> str:
    """A client's id of a call."""
    if not is_client_id(value):
        raise InvalidRequest("client_call_id", CLIENT_ID_RULE)
    return value


def own_device_id(value: str) -> DeviceId:
    """The device of the user who calls; another one's than that of the token is refused."""
    device_id = check_device_id(value)
    current_token().require_device(device_id)
    return device_id


def check_device_id(value: str) -> DeviceId:
    """A device's id."""
    if not is_device_id(value):
        raise InvalidRequest("device_id", DEVICE_ID_RULE)
    return DeviceId(value)


def check_user_id(value: str, field: str = "user_id") -> UserId:
    """A user's id."""
    if not is_user_id(value):
        raise InvalidRequest(field, USER_ID_RULE)
    return UserId(value)


def link_id_of(value: str) -> LinkId:
    """A join link's id."""
    return LinkId(check_uuid("link_id", value))


def check_link_ttl(value: int) -> int:
    """For how long a join link opens; 0 for the default."""
    if value and not MIN_TTL_S <= value <= MAX_TTL_S:
        raise InvalidRequest("ttl_s", f"is neither 0 nor {MIN_TTL_S} to {MAX_TTL_S}")
    return value


def check_reason(value: str) -> str:
    """Why something is done, as the audit record keeps it."""
    if not is_reason(value):
        raise InvalidRequest("reason", REASON_RULE)
    return value
