"""What the edge itself refuses, in the form of the protocol in which it was asked: Envoy's own is a line of text, and
gRPC's. In JSON the refusals of the edge have the reasons of the services' (services/runtime/errors.py).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import any_pb2, duration_pb2, json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2

DOMAIN = "parley"
# Set by the edge: the version of the Connect protocol that the client names, a space, and the content type.
PROTOCOL_HEADER = "x-parley-protocol"
# In the language of Envoy's conditions (CEL). A path that was translated stands in a header; where that is not there
# the second half is an error, which is no match.
_IS_JSON = "(request.path.startsWith('/v1/') || request.headers['x-envoy-original-path'].startsWith('/v1/'))"
_SAID = f"request.headers['{PROTOCOL_HEADER}']"
# Of a stream the version may be left out.
_IS_CONNECT = f"({_SAID}.startsWith('1 ') || {_SAID}.contains(' application/connect+'))"


@dataclass(frozen=True)
class Refusal:
    """The HTTP status of Envoy's refusals, or a part of what it says of itself, and what a client is told."""

    http: int
    code: int
    name: str
    reason: str
    # Of Envoy's details of the answer.
    details: str = ""
    retry_s: int = 0
    # What the client sees, where it is not `http`.
    shown: int = 0


# The first that fits stands.
REFUSALS = (
    Refusal(400, 3, "invalid_argument", "FIELD_INVALID"),
    Refusal(401, 16, "unauthenticated", "TOKEN_MISSING", details="Jwt_is_missing"),
    Refusal(401, 16, "unauthenticated", "TOKEN_EXPIRED", details="Jwt_is_expired"),
    Refusal(401, 16, "unauthenticated", "TOKEN_INVALID"),
    # A token for another audience.
    Refusal(403, 16, "unauthenticated", "TOKEN_INVALID", shown=401),
    Refusal(404, 5, "not_found", "PATH_UNKNOWN"),
    # A request that stops before its end.
    Refusal(408, 4, "deadline_exceeded", "DEADLINE_EXCEEDED"),
    Refusal(413, 8, "resource_exhausted", "REQUEST_TOO_LARGE"),
    Refusal(429, 8, "resource_exhausted", "RATE_LIMITED", retry_s=1),
    Refusal(500, 13, "internal", "INTERNAL"),
    Refusal(502, 13, "internal", "INTERNAL"),
    Refusal(503, 14, "unavailable", "SERVICE_UNAVAILABLE", retry_s=1),
    Refusal(504, 4, "deadline_exceeded", "DEADLINE_EXCEEDED"),
)


def mappers() -> list[dict[str, Any]]:
    """Envoy's `local_reply_config.mappers` for the JSON API and for Connect."""
    found = []
    for refusal in REFUSALS:
        details = [error_details_pb2.ErrorInfo(reason=refusal.reason, domain=DOMAIN), *_retry(refusal)]
        for is_asked, body in ((_IS_JSON, _status(refusal, details)), (_IS_CONNECT, _connect(refusal, details))):
            found.append(
                {
                    "filter": _filter(f"{_is_it(refusal)} && {is_asked}"),
                    "status_code": refusal.shown or refusal.http,
                    "body_format_override": {"json_format": body},
                }
            )
    return found


def as_json() -> str:
    """The mappers for the template, without the brackets of their list: others stand behind them."""
    # JSON is YAML too.
    return ", ".join(json.dumps(mapper) for mapper in mappers())


def _is_it(refusal: Refusal) -> str:
    details = f" && response.code_details.contains('{refusal.details}')" if refusal.details else ""
    return f"response.code == {refusal.http}{details}"


def _filter(expression: str) -> dict[str, Any]:
    kind = "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"
    return {
        "extension_filter": {
            "name": "envoy.access_loggers.extension_filters.cel",
            "typed_config": {"@type": kind, "expression": expression},
        }
    }


def _retry(refusal: Refusal) -> Iterator[Message]:
    if refusal.retry_s:
        yield error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=refusal.retry_s))


def _status(refusal: Refusal, details: list[Message]) -> dict[str, Any]:
    """A google.rpc.Status, as the transcoder writes those of the services."""
    packed = [any_pb2.Any() for _ in details]
    for one, detail in zip(packed, details, strict=True):
        one.Pack(detail)
    shown = [json_format.MessageToDict(one) for one in packed]
    return {"code": refusal.code, "message": "%LOCAL_REPLY_BODY%", "details": shown}


def _connect(refusal: Refusal, details: list[Message]) -> dict[str, Any]:
    """https://connectrpc.com/docs/protocol#error-end-stream"""
    shown = [
        {
            "type": detail.DESCRIPTOR.full_name,
            "value": base64.b64encode(detail.SerializeToString()).decode().rstrip("="),
        }
        for detail in details
    ]
    return {"code": refusal.name, "message": "%LOCAL_REPLY_BODY%", "details": shown}
