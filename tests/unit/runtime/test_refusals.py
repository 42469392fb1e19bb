import ssl

import asyncpg
import pytest
from google.rpc import error_details_pb2

from services.runtime.errors import BASE_TABLE, StoreUnavailable, find_refusal, status_details
from services.runtime.postgres.refusals import PASSING, may_be_of_one, passes
from tests.support.db import error_of

# Codes of the classes that pass as a whole: each that PostgreSQL has.
OF_CLASSES = (
    *("08000", "08001", "08003", "08004", "08006", "08007", "08P01"),
    *("53000", "53100", "53200", "53300", "53400"),
    *("57000", "57014", "57P01", "57P02", "57P03", "57P04", "57P05"),
    *("58000", "58030", "58P01", "58P02"),
)
SINGLE = tuple(code for code in PASSING if len(code) == 5)
NEVER = (
    *("0A000", "22001", "22003", "22021", "22P02", "23502", "23503", "23505", "23514", "25P01", "25P02", "40002"),
    *("42601", "42703", "42P01", "P0001", "XX000"),
)


@pytest.mark.parametrize("code", SINGLE + OF_CLASSES)
def test_a_refusal_that_passes_is_known(code: str) -> None:
    assert passes(error_of(code))


@pytest.mark.parametrize("code", NEVER)
def test_a_refusal_for_what_we_say_is_a_bug(code: str) -> None:
    assert not passes(error_of(code))


@pytest.mark.parametrize(
    "error",
    [
        OSError("no route"),
        ConnectionResetError(),
        TimeoutError(),
        ssl.SSLError("a handshake that failed"),
        # A ValueError too.
        ssl.SSLCertVerificationError("a certificate by an authority that is not known (yet)"),
        asyncpg.InterfaceError("the connection is closed"),
        asyncpg.InternalClientError("cannot switch to state"),
        asyncpg.TargetServerAttributeNotMatched("no host is writable"),
        asyncpg.InvalidCachedStatementError("cached statement plan is invalid"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_the_client_says_of_a_lost_server_passes(error: Exception) -> None:
    assert passes(error)


def test_a_value_that_no_statement_takes_does_not_pass() -> None:
    """Else the record that holds it is tried again for ever."""
    assert not passes(asyncpg.exceptions._base.DataError("invalid input for query argument $1"))


def test_callers_are_told_to_come_again() -> None:
    refusal = find_refusal(BASE_TABLE, StoreUnavailable("away"))
    assert refusal
    details = status_details(refusal, StoreUnavailable("away")).details
    assert any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in details)


@pytest.mark.parametrize("code", ["08006", "25P03", "25P04", "40001", "40P01", "53200", "53400", "55P03", "57014"])
def test_what_a_statement_may_bring_upon_itself_is_told_apart(code: str) -> None:
    assert passes(error_of(code))
    assert may_be_of_one(error_of(code))


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError(), asyncpg.ConnectionDoesNotExistError()])
def test_so_is_what_the_client_says_of_a_statement(error: Exception) -> None:
    assert may_be_of_one(error)


@pytest.mark.parametrize(
    "code",
    [
        "25006",
        "28000",
        "28P01",
        "3D000",
        "42501",
        "53100",
        "53300",
        "55000",
        "55006",
        "57P01",
        "57P03",
        "58030",
        *NEVER,
    ],
)
def test_what_an_operator_does_or_the_server_lacks_is_no_statements_fault(code: str) -> None:
    assert not may_be_of_one(error_of(code))
