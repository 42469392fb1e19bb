"""What a refused RPC says, beyond its code: google.rpc details."""

from __future__ import annotations

import grpc
from google.rpc import error_details_pb2, status_pb2

_DETAILS_KEY = "grpc-status-details-bin"


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """The ErrorInfo reason, or an empty string: Envoy's own refusals carry none."""
    info = error_details_pb2.ErrorInfo()
    return str(info.reason) if _unpack(error, info) else ""


def fields_of(error: grpc.aio.AioRpcError) -> list[str]:
    """The fields that a BadRequest names."""
    request = error_details_pb2.BadRequest()
    return [violation.field for violation in request.field_violations] if _unpack(error, request) else []


def retry_delay_s(error: grpc.aio.AioRpcError) -> float:
    """How long RetryInfo asks to wait, in seconds; 0 without one."""
    info = error_details_pb2.RetryInfo()
    return info.retry_delay.ToNanoseconds() / 1e9 if _unpack(error, info) else 0.0


def _unpack(
    error: grpc.aio.AioRpcError,
    into: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo,
) -> bool:
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            return any(detail.Unpack(into) for detail in status_pb2.Status.FromString(value).details)
    return False
