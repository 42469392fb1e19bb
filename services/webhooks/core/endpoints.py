"""The file that says which endpoints there are, and with which keys they are signed for.

{"endpoints": [{"name": "bots", "url": "https://…", "secrets": ["whsec_…"], "events": ["message.*"]}]}
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from services.runtime.webhook_secrets import SECRET_RULE, is_webhook_secret
from services.webhooks.core.model import ConversationKind, Endpoint, EndpointName

# In metrics, in tables and in logs.
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
_PATTERN = re.compile(r"(\*|[a-z_]+\.(\*|[a-z_]+))\Z")
# A name is a metric's label. Raising it makes more series; lowering it allows fewer receivers.
MAX_ENDPOINTS = 100
MAX_PARALLEL = 1_000
_FIELDS = {"name", "url", "secrets", "events", "conversations", "contents", "parallel"}
_REQUIRED = ("name", "url", "secrets", "events")
_MAX_SECRETS = 5


def parse(data: bytes, known_types: Sequence[str]) -> tuple[Endpoint, ...]:
    """The endpoints. Raises ValueError, which names what is wrong and never quotes a secret."""
    try:
        document = json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    rows = document.get("endpoints") if isinstance(document, dict) else None
    if not isinstance(rows, list) or set(document) != {"endpoints"}:
        raise ValueError('it is not {"endpoints": [...]}')
    if len(rows) > MAX_ENDPOINTS:
        raise ValueError(f"more than {MAX_ENDPOINTS} endpoints")
    found = tuple(_endpoint(row, number, known_types) for number, row in enumerate(rows, 1))
    if len({endpoint.name for endpoint in found}) != len(found):
        raise ValueError("two endpoints have one name")
    return found


def _endpoint(row: Any, number: int, known_types: Sequence[str]) -> Endpoint:
    if not isinstance(row, dict):
        raise ValueError(f"endpoint {number} is not an object")
    where = f"endpoint {number}"
    missing = [name for name in _REQUIRED if name not in row]
    if missing or set(row) - _FIELDS:
        wrong = ", ".join(missing or sorted(set(row) - _FIELDS))
        raise ValueError(f"{where}: {'lacks' if missing else 'has no field'} {wrong}")

    def require(name: str, is_right: Callable[[Any], bool], what: str) -> Any:
        if name in row and not is_right(row[name]):
            raise ValueError(f"{where}: {name} is not {what}")
        return row.get(name)

    conversations = require("conversations", lambda value: value in ("direct", "group"), "direct or group")
    return Endpoint(
        name=EndpointName(require("name", _is_name, "lower-case letters, digits and hyphens, at most 63")),
        url=require("url", is_url, "an http or https address without a user"),
        secrets=tuple(require("secrets", _are_secrets, f"1 to {_MAX_SECRETS} of {SECRET_RULE}")),
        events=tuple(require("events", lambda value: _are_patterns(value, known_types), "a list of types of events")),
        conversations=ConversationKind(conversations) if conversations else None,
        contents=bool(require("contents", lambda value: isinstance(value, bool), "true or false")),
        parallel=require("parallel", _is_parallel, f"1 to {MAX_PARALLEL}") or Endpoint.parallel,
    )


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(_NAME.match(value))


def is_url(value: Any) -> bool:
    """Whether it is an address that can be posted to."""
    # Within a line, since urlsplit passes over breaks in silence.
    if not isinstance(value, str) or not value.isprintable() or " " in value:
        return False
    try:
        parts = urlsplit(value)
        has_place = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and has_place and parts.username is None


def _are_secrets(value: Any) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= _MAX_SECRETS and all(map(_is_secret, value))


def _is_secret(value: Any) -> bool:
    return isinstance(value, str) and is_webhook_secret(value)


def _are_patterns(value: Any, known_types: Sequence[str]) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(one, str) and _PATTERN.match(one) and _means_something(one, known_types) for one in value)


def _means_something(pattern: str, known_types: Sequence[str]) -> bool:
    """A misspelt type would be told nothing, and nobody would notice."""
    prefix = pattern.removesuffix("*")
    return pattern in known_types or (prefix != pattern and any(one.startswith(prefix) for one in known_types))


def _is_parallel(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_PARALLEL


def by_name(endpoints: Sequence[Endpoint]) -> Mapping[EndpointName, Endpoint]:
    """For looking them up."""
    return {endpoint.name: endpoint for endpoint in endpoints}
