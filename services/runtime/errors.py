"""How a service's own exceptions become gRPC statuses with google.rpc details."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

DOMAIN = "parley"
DETAILS_KEY = "grpc-status-details-bin"


@dataclass(frozen=True)
class Refusal:
    """What a caller is told. `reason` is stable and documented in the protos; clients switch on it.

    An exception with a `field` attribute also gives a google.rpc.BadRequest naming the field, and one with
    `retry_delay_s` overrides the delay here.
    One with `error_info` (a mapping of strings) gives it as ErrorInfo.metadata.
    """

    code: grpc.StatusCode
    reason: str
    retry_delay_s: float | None = None


ErrorTable = Mapping[type[BaseException], Refusal]


class Unauthenticated(Exception):
    """The caller did not prove who it is. `reason` is TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED or TOKEN_REVOKED."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class AccountDeleted(Exception):
    """The caller's account was deleted; no service does anything for it any more."""


class CallerNotAllowed(Exception):
    """Who calls is known, but has no row at this method: a service in callers.py, a person's roles in roles.py."""


class InvalidRequest(Exception):
    """A field of a request has no meaning, found while it was translated for the core."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class StoreUnavailable(Exception):
    """PostgreSQL cannot be reached now; the same request may succeed later."""


class StatementCutOff(StoreUnavailable):
    """PostgreSQL was reached and did not finish a statement: a limit of time, a lock, a connection that broke under it.

    It may be an outage, or this one statement's fault. `others_pass` asks whether the store serves others now.
    """

    def __init__(self, message: str, others_pass: Callable[[], Awaitable[bool]]) -> None:
        super().__init__(message)
        self.others_pass = others_pass


async def is_outage(error: StoreUnavailable) -> bool:
    """Whether the store serves nobody now. False: it serves others, so that they need not wait for this one."""
    return not (isinstance(error, StatementCutOff) and await error.others_pass())


class BusUnavailable(Exception):
    """The broker cannot be reached now; the same request may succeed later."""


class RateLimited(Exception):
    """The user asks for more than one user may; after `retry_delay_s` the same is taken."""

    def __init__(self, message: str, retry_delay_s: float) -> None:
        super().__init__(message)
        self.retry_delay_s = retry_delay_s


class ShuttingDown(Exception):
    """The process ends before the request was done; another replica takes the same request."""


class RecordRefused(Exception):
    """The broker never takes these `records`, whenever they come: they are too large, or wrong. It has all others."""

    def __init__(self, records: Sequence[object], message: str) -> None:
        super().__init__(message)
        self.records = records


class KeysUnavailable(Exception):
    """The network's keys cannot be fetched now, and the token's is not among those known; it may be good later."""


BASE_TABLE: ErrorTable = {
    Unauthenticated: Refusal(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"),
    AccountDeleted: Refusal(grpc.StatusCode.FAILED_PRECONDITION, "ACCOUNT_DELETED"),
    CallerNotAllowed: Refusal(grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED"),
    InvalidRequest: Refusal(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
    StoreUnavailable: Refusal(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", retry_delay_s=1.0),
    BusUnavailable: Refusal(grpc.StatusCode.UNAVAILABLE, "BUS_UNAVAILABLE", retry_delay_s=1.0),
    KeysUnavailable: Refusal(grpc.StatusCode.UNAVAILABLE, "KEYS_UNAVAILABLE", retry_delay_s=2.0),
    RateLimited: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED"),
    ShuttingDown: Refusal(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", retry_delay_s=0.1),
    TimeoutError: Refusal(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
}


def find_refusal(table: ErrorTable, error: BaseException) -> Refusal | None:
    """The table's entry for the error's class or its nearest base; None means a bug."""
    for kind in type(error).__mro__:
        if kind in table:
            return table[kind]
    return None


def status_details(refusal: Refusal, error: BaseException) -> status_pb2.Status:
    """The google.rpc.Status for a refusal: ErrorInfo, and BadRequest or RetryInfo where they apply."""
    message = str(error) or refusal.reason
    reason = getattr(error, "reason", None) if isinstance(error, Unauthenticated) else None
    details: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=reason or refusal.reason, domain=DOMAIN, metadata=getattr(error, "error_info", {})
        )
    ]
    field = getattr(error, "field", None)
    if isinstance(field, str):
        violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=message)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
        message = f"{field}: {message}"
    delay_s = getattr(error, "retry_delay_s", None) or refusal.retry_delay_s
    if delay_s is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(delay_s * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return status_pb2.Status(code=refusal.code.value[0], message=message, details=[_pack(detail) for detail in details])


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """The ErrorInfo reason that another service of ours gave, or an empty string."""
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY:
            status = status_pb2.Status.FromString(value if isinstance(value, bytes) else value.encode())
            for detail in status.details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return str(info.reason)
    return ""


def retry_delay_s(status: status_pb2.Status) -> float | None:
    """The delay of a status's RetryInfo; None when it has none."""
    for detail in status.details:
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return float(info.retry_delay.ToNanoseconds() / 1e9)
    return None


def _pack(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
