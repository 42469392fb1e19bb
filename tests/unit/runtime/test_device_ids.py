"""One rule of device ids for all services: a device that may listen can be called, and signed out."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from deploy.embedded.issuer import LoginError, read_login
from services.gateway.core.checks import check_device_id as gateway_check
from services.gateway.core.errors import InvalidField as GatewayInvalidField
from services.messaging.accounts.service.signing_out import check_devices
from services.messaging.kernel.errors import InvalidField as MessagingInvalidField
from services.runtime.device_ids import is_device_id
from services.runtime.errors import InvalidRequest
from services.signaling.requests import check_device_id as signaling_check

GOOD = ("phone-01", "x" * 8, "x" * 64, "________", "0192-ab_CD")
BAD = ("", "short-1", "x" * 65, "with space", "slash/slash", "ümlaut-123", "phone-01\n", "phone-٠١", "phone-01\x00")


def messaging(value: str) -> str:
    (device_id,) = check_devices([value])
    return device_id


def issuer(value: str) -> str:
    # A login without one is a login of no device.
    return read_login(b'{"user_id": "alice", "device_id": %s}' % json.dumps(value or " ").encode()).device_id


CHECKS = (gateway_check, messaging, signaling_check, issuer)
REFUSALS = (GatewayInvalidField, MessagingInvalidField, InvalidRequest, LoginError)


@pytest.mark.parametrize("value", GOOD)
@pytest.mark.parametrize("check", CHECKS)
def test_every_service_takes_a_device_that_one_of_them_takes(check: Callable[[str], str], value: str) -> None:
    assert is_device_id(value)
    assert check(value) == value


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("check", CHECKS)
def test_every_service_refuses_a_device_that_one_of_them_refuses(check: Callable[[str], str], value: str) -> None:
    assert not is_device_id(value)
    with pytest.raises(REFUSALS):
        check(value)
