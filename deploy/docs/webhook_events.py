"""The page of webhook events: their types, and the JSON schema of each, from the protobufs that they are made of."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from services.webhooks.mapping import CONTENTS, DATA

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Canonical JSON of protobuf (protobuf.dev/programming-guides/json) by type of field.
_SCALARS: dict[int, dict[str, Any]] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_INT32: {"type": "integer"},
    # Numbers that JavaScript could not hold.
    FieldDescriptor.TYPE_INT64: {"type": "string", "pattern": "^-?[0-9]+$"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number"},
}
_KNOWN: dict[str, dict[str, Any]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?s$"},
}

_HEAD = """# Webhook events

Generated from the protobufs and `services/webhooks/mapping.py`.
[Webhooks for operators](../operations/webhooks.md) says how to receive them.

The body is a JSON object of `type`, `timestamp` (of the event) and `data`. A field that has no value, or its default
(0, false, an empty text or list), is left out. Ignore fields, values and types that you do not know: newer releases
add some. What each field means is on the page of its package: [messaging](api/messaging.md), [calls](api/calls.md),
[presence](api/presence.md), [accounts](api/accounts.md).

| type | `data` |
|---|---|
"""


def page() -> str:
    """The page, as Markdown."""
    rows = "".join(f"| `{name}` | `{data.DESCRIPTOR.full_name}` |\n" for name, data in DATA.items())
    contents = "".join(f"- `{name}`\n" for name in sorted(CONTENTS))
    return (
        f"{_HEAD}{rows}\n"
        '## Contents\n\nOnly endpoints with `"contents": true` are told what stands in these fields:\n\n'
        f"{contents}\n## Schema\n\n```json\n{json.dumps(schema(), indent=2)}\n```\n"
    )


def schema() -> dict[str, Any]:
    """The JSON schema of a body."""
    definitions: dict[str, Any] = {}
    cases = []
    descriptors: dict[Any, None] = dict.fromkeys(data.DESCRIPTOR for data in DATA.values())
    for descriptor in descriptors:
        types = [name for name, data in DATA.items() if data.DESCRIPTOR is descriptor]
        cases.append({"properties": {"type": {"enum": types}, "data": _message(descriptor, definitions)}})
    return {
        "$schema": DIALECT,
        "title": "A webhook of Parley",
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {"type": {"type": "string"}, "timestamp": _KNOWN["google.protobuf.Timestamp"]},
        "oneOf": cases,
        "$defs": definitions,
    }


def _message(descriptor: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """A reference to the definition of a message's descriptor, which is added if it is not there."""
    if descriptor.full_name in _KNOWN:
        return _KNOWN[descriptor.full_name]
    if descriptor.full_name not in definitions:
        definition: dict[str, Any] = {"type": "object"}
        definitions[descriptor.full_name] = definition
        if descriptor.fields:
            definition["properties"] = {field.json_name: _field(field, definitions) for field in descriptor.fields}
    return {"$ref": f"#/$defs/{descriptor.full_name}"}


def _field(field: FieldDescriptor, definitions: dict[str, Any]) -> dict[str, Any]:
    if field.message_type:
        one = _message(field.message_type, definitions)
    elif field.enum_type:
        # No list of its values: a newer release may have more.
        one = {"type": ["string", "integer"], "examples": [value.name for value in field.enum_type.values][:3]}
    else:
        one = _SCALARS[field.type]
    return {"type": "array", "items": one} if field.is_repeated else one
