"""The JSON API as OpenAPI 3.1, from the protos, their comments and the table of paths.

https://spec.openapis.org/oas/v3.1.0, and https://protobuf.dev/programming-guides/json/ for how messages are JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)

from deploy.envoy.descriptors import BYTES, comments
from deploy.envoy.paths import Operation, operations

Schema = dict[str, Any]
_Described = tuple[FieldDescriptorProto, Schema]
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_FIELDS, _METHODS, _VALUES = 2, 2, 2
# The event of a stream, which no answer names.
_EVENT = ".parley.gateway.v1.DeviceEvent"
_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "schema": {"type": "string"},
    "description": "As lastEventId, which it goes before; browsers send it by themselves.",
}
_TITLE = "Parley"
_ABOUT = (
    "Direct messages and calls, as JSON over HTTP. Names are in camelCase, 64-bit numbers are strings, and what has "
    "its default (0, false, an empty text or list) is left out of an answer. A field that is not known is passed over "
    "in a body, and refused in a query. Errors are google.rpc.Status: switch on the `reason` of the detail ErrorInfo, "
    "and wait as long as `retryDelay` of RetryInfo says."
)
_WELL_KNOWN: dict[str, Schema] = {
    ".google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    ".google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$", "examples": ["3.5s"]},
}
_SCALARS: dict[int, Schema] = {
    FieldDescriptorProto.TYPE_STRING: {"type": "string"},
    FieldDescriptorProto.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptorProto.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptorProto.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptorProto.TYPE_UINT32: {"type": "integer", "format": "int64", "minimum": 0},
    FieldDescriptorProto.TYPE_INT64: {"type": "string", "format": "int64"},
    FieldDescriptorProto.TYPE_UINT64: {"type": "string", "format": "uint64"},
    FieldDescriptorProto.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptorProto.TYPE_FLOAT: {"type": "number", "format": "float"},
}
_STATUS: Schema = {
    "type": "object",
    "description": "google.rpc.Status",
    "properties": {
        "code": {"type": "integer", "description": "Of gRPC; the HTTP status follows from it."},
        "message": {"type": "string", "description": "For developers, and no fixed text."},
        "details": {"type": "array", "items": {"$ref": "#/components/schemas/StatusDetail"}},
    },
    "required": ["code"],
}
_DETAIL: Schema = {
    "type": "object",
    "description": "google.rpc.ErrorInfo, BadRequest or RetryInfo, as @type says.",
    "properties": {
        "@type": {"type": "string"},
        "reason": {"type": "string", "description": "Of ErrorInfo: stable, and named at each operation."},
        "domain": {"type": "string"},
        "retryDelay": _WELL_KNOWN[".google.protobuf.Duration"],
        "fieldViolations": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "description": {"type": "string"}},
            },
        },
    },
    "required": ["@type"],
}


@dataclass(frozen=True)
class _Type:
    """A message or an enum of the protos, and where it stands."""

    proto: DescriptorProto | EnumDescriptorProto
    path: tuple[int, ...]
    comments: dict[tuple[int, ...], str]

    @property
    def about(self) -> str:
        return _prose(self.comments.get(self.path, ""))


def document(protos: FileDescriptorSet) -> dict[str, Any]:
    """The document. Raises ValueError for two types of one name."""
    made = _Document(protos)
    paths = made.paths()
    return {
        "openapi": "3.1.0",
        "info": {"title": _TITLE, "version": "1", "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": list(made.tags()),
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "schemas": {"Status": _STATUS, "StatusDetail": _DETAIL} | made.schemas(),
        },
    }


class _Document:
    def __init__(self, protos: FileDescriptorSet) -> None:
        self._types = dict(_types(protos))
        self._methods = {
            f"{file.package}.{service.name}/{method.name}": (
                method,
                _prose(comments(file).get((_SERVICES, at, _METHODS, number), "")),
            )
            for file in protos.file
            for at, service in enumerate(file.service)
            for number, method in enumerate(service.method)
        }
        self._services = {
            f"{file.package}.{service.name}": _prose(comments(file).get((_SERVICES, at), ""))
            for file in protos.file
            for at, service in enumerate(file.service)
        }
        # Types that are named and not yet described, and those that are.
        self._wanted = {_EVENT}
        self._described: dict[str, Schema] = {}
        self._names: dict[str, str] = {}

    def tags(self) -> Iterator[Schema]:
        for service in dict.fromkeys(operation.service for operation in operations()):
            yield {"name": service.rpartition(".")[2], "description": self._services[service]}

    def paths(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for operation in operations():
            method, about = self._methods[f"{operation.service}/{operation.rpc}"]
            path = re.sub(r"{(\w+)}", lambda match: f"{{{_camel(match[1])}}}", operation.path)
            found.setdefault(path, {})[operation.method.lower()] = self._operation(operation, method, about)
        return found

    def _operation(self, operation: Operation, method: MethodDescriptorProto, about: str) -> Schema:
        in_path, others = self._fields_of(operation, self._types[method.input_type])
        parameters = [_parameter(field, schema, "path") for field, schema in in_path]
        if method.output_type == BYTES:
            parameters.append(_EVENT_ID)
        if not operation.has_body:
            parameters += [_parameter(field, schema, "query") for field, schema in others]
        found: Schema = {
            "operationId": operation.rpc,
            "tags": [operation.service.rpartition(".")[2]],
            "summary": about.partition(". ")[0].rstrip(".") + ".",
            "description": about,
            "parameters": parameters,
            "responses": self._responses(method),
        }
        if operation.has_body:
            found["requestBody"] = self._body(method, others)
        return found

    def _fields_of(self, operation: Operation, request: _Type) -> tuple[list[_Described], list[_Described]]:
        """The fields of a request that stand in the path, and the others."""
        assert isinstance(request.proto, DescriptorProto)
        in_path: list[_Described] = []
        others: list[_Described] = []
        for at, field in enumerate(request.proto.field):
            parts = in_path if field.name in operation.variables else others
            parts.append((field, self._field(request, at)))
        return in_path, others

    def _responses(self, method: MethodDescriptorProto) -> Schema:
        answer: Schema = {"content": {"application/json": {"schema": self._named(method.output_type)}}}
        if method.output_type == BYTES:
            answer = {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
        refused = {"application/json": {"schema": {"$ref": "#/components/schemas/Status"}}}
        return {
            "200": {"description": "Done.", **answer},
            "default": {"description": "Refused.", "content": refused},
        }

    def _body(self, method: MethodDescriptorProto, fields: Sequence[_Described]) -> Schema:
        # Without what stands in the path, so that it is no other's schema.
        properties = {field.json_name: schema for field, schema in fields}
        name = self._short(method.input_type)
        self._described[name] = {"type": "object", "properties": properties}
        body = {"$ref": f"#/components/schemas/{name}"}
        return {"required": True, "content": {"application/json": {"schema": body}}}

    def schemas(self) -> dict[str, Schema]:
        """What the operations name, and what that names."""
        while self._wanted:
            name = self._wanted.pop()
            self._described[self._short(name)] = self._schema(self._types[name])
        return dict(sorted(self._described.items()))

    def _schema(self, type_: _Type) -> Schema:
        about = {"description": type_.about} if type_.about else {}
        if isinstance(type_.proto, EnumDescriptorProto):
            values = [value.name for value in type_.proto.value]
            said = [
                f"{value}: {_prose(text)}"
                for at, value in enumerate(values)
                if (text := type_.comments.get((*type_.path, _VALUES, at), ""))
            ]
            lines = [*about.values(), *said]
            return {"type": "string", "enum": values} | ({"description": "\n\n".join(lines)} if lines else {})
        fields = {field.json_name: self._field(type_, at) for at, field in enumerate(type_.proto.field)}
        return {"type": "object", **about, "properties": fields}

    def _field(self, type_: _Type, at: int) -> Schema:
        assert isinstance(type_.proto, DescriptorProto)
        field = type_.proto.field[at]
        about = _prose(type_.comments.get((*type_.path, _FIELDS, at), ""))
        if field.HasField("oneof_index") and not field.proto3_optional:
            about = f"One of `{type_.proto.oneof_decl[field.oneof_index].name}`. {about}".strip()
        maps = {nested.name: nested for nested in type_.proto.nested_type if nested.options.map_entry}
        entry = maps.get(field.type_name.rpartition(".")[2])
        if entry:
            schema: Schema = {"type": "object", "additionalProperties": self._value(entry.field[1])}
        elif field.label == FieldDescriptorProto.LABEL_REPEATED:
            schema = {"type": "array", "items": self._value(field)}
        else:
            schema = self._value(field)
        return {**schema, "description": about} if about else schema

    def _value(self, field: FieldDescriptorProto) -> Schema:
        if field.type_name:
            return dict(_WELL_KNOWN.get(field.type_name) or self._named(field.type_name))
        return dict(_SCALARS[field.type])

    def _named(self, type_name: str) -> Schema:
        short = self._short(type_name)
        if short not in self._described:
            self._wanted.add(type_name)
        return {"$ref": f"#/components/schemas/{short}"}

    def _short(self, type_name: str) -> str:
        short = type_name.rpartition(".")[2]
        if self._names.setdefault(short, type_name) != type_name:
            raise ValueError(f"{type_name} and {self._names[short]} have one name")
        return short


def _types(protos: FileDescriptorSet) -> Iterator[tuple[str, _Type]]:
    for file in protos.file:
        said = comments(file)
        for at, message in enumerate(file.message_type):
            yield f".{file.package}.{message.name}", _Type(message, (_MESSAGES, at), said)
        for at, enum in enumerate(file.enum_type):
            yield f".{file.package}.{enum.name}", _Type(enum, (_ENUMS, at), said)


def _parameter(field: FieldDescriptorProto, schema: Schema, place: str) -> Schema:
    about = {"description": schema["description"]} if "description" in schema else {}
    schema = {key: value for key, value in schema.items() if key != "description"}
    required = {"required": True} if place == "path" else {}
    return {"name": field.json_name, "in": place, **required, **about, "schema": schema}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def _prose(text: str) -> str:
    """A comment with a paragraph on one line."""
    return "\n\n".join(re.sub(r"\s*\n\s*", " ", part).strip() for part in re.split(r"\n\s*\n", text)).strip()
