"""One rule of the ids that clients give their requests, for all services."""

from __future__ import annotations

import pytest

from services.messaging.kernel.checks import check_client_id
from services.messaging.kernel.errors import InvalidField
from services.runtime.client_ids import is_client_id
from services.runtime.errors import InvalidRequest
from services.signaling.requests import check_request_id

GOOD = ("a", "x" * 64, "two words", "~!@", "0192-ab_c.d")
BAD = ("x" * 65, "über", "tab\t", "nul\x00", "a\n", "\x7f")


@pytest.mark.parametrize("value", GOOD)
def test_every_service_takes_the_same(value: str) -> None:
    assert is_client_id(value)
    assert check_client_id("client_request_id", value) == check_request_id(value) == value


@pytest.mark.parametrize("value", BAD)
def test_every_service_refuses_the_same(value: str) -> None:
    assert not is_client_id(value)
    with pytest.raises(InvalidField):
        check_client_id("client_request_id", value)
    with pytest.raises(InvalidRequest):
        check_request_id(value)


def test_where_a_call_needs_none_it_may_be_left_out() -> None:
    assert not is_client_id("")
    assert check_request_id("") == ""
    with pytest.raises(InvalidField):
        check_client_id("client_message_id", "")
