import grpc
from google.rpc import error_details_pb2

from services.runtime.errors import BASE_TABLE, InvalidRequest, Refusal, StoreUnavailable, find_refusal, status_details


class Base(Exception):
    pass


class Derived(Base):
    pass


def test_an_exception_finds_the_entry_of_its_nearest_base() -> None:
    table = {Base: Refusal(grpc.StatusCode.NOT_FOUND, "BASE")}
    refusal = find_refusal(table, Derived())
    assert refusal is not None
    assert refusal.reason == "BASE"


def test_an_exception_without_an_entry_is_a_bug() -> None:
    assert find_refusal(BASE_TABLE, KeyError("x")) is None


def test_a_field_error_names_the_field() -> None:
    error = InvalidRequest("text.text", "is empty")
    status = status_details(BASE_TABLE[InvalidRequest], error)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(bad)
    assert info.reason == "FIELD_INVALID"
    assert bad.field_violations[0].field == "text.text"
    assert status.message == "text.text: is empty"


def test_an_outage_says_when_to_try_again() -> None:
    status = status_details(BASE_TABLE[StoreUnavailable], StoreUnavailable("away"))
    retry = error_details_pb2.RetryInfo()
    assert status.details[1].Unpack(retry)
    assert retry.retry_delay.ToTimedelta().total_seconds() == 1.0


def test_what_an_error_says_beside_its_reason_goes_along() -> None:
    error = Derived("no")
    error.error_info = {"hook_reason": "SPAM"}  # type: ignore[attr-defined]
    info = error_details_pb2.ErrorInfo()
    assert status_details(Refusal(grpc.StatusCode.NOT_FOUND, "BASE"), error).details[0].Unpack(info)
    assert dict(info.metadata) == {"hook_reason": "SPAM"}
