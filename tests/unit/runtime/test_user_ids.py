"""One rule of user ids for all services: whoever gets a token can be called, watched, written to and signed out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.gateway.core.checks import check_user_id as gateway_check
from services.gateway.core.errors import InvalidField as GatewayInvalidField
from services.messaging.kernel.checks import check_user_id as messaging_check
from services.messaging.kernel.errors import InvalidField as MessagingInvalidField
from services.runtime.errors import InvalidRequest
from services.runtime.user_ids import MAX_USER_ID_CHARS, is_user_id
from services.signaling.requests import check_user_id as signaling_check

GOOD = ("a", "alice", "x" * MAX_USER_ID_CHARS, "0192-ab_c.d@e", "~!")
BAD = ("", "x" * (MAX_USER_ID_CHARS + 1), "two words", "über", "tab\t", "nul\x00")


def gateway(value: str) -> str:
    return gateway_check(value, "user_id")


def messaging(value: str) -> str:
    return messaging_check("user_id", value)


CHECKS = (gateway, messaging, signaling_check)


@pytest.mark.parametrize("value", GOOD)
@pytest.mark.parametrize("check", CHECKS)
def test_every_service_takes_what_a_token_may_name(check: Callable[[str], str], value: str) -> None:
    assert is_user_id(value)
    assert check(value) == value


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("check", CHECKS)
def test_every_service_refuses_what_no_token_names(check: Callable[[str], str], value: str) -> None:
    assert not is_user_id(value)
    with pytest.raises((GatewayInvalidField, MessagingInvalidField, InvalidRequest)):
        check(value)
