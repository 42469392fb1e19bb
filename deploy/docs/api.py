"""The pages of the API, one a package, from the protos: what each RPC, message and field says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
)

from deploy.docs.pages import ROOT
from deploy.envoy import descriptors
from deploy.envoy.descriptors import comments as comments_of
from deploy.envoy.paths import PATHS

PROTOS = ROOT / "protos"
# What stands for a field's number in the paths of descriptor.proto.
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_FIELDS, _NESTED, _NESTED_ENUMS, _METHODS, _VALUES = 2, 3, 4, 2, 2

# Before what begins a paragraph of its own.
_BEGINS = re.compile(r" (?=(?:Errors|Who may call|Idempotent)\b[^.]*?[:.])")

Path_ = tuple[int, ...]


def pages() -> dict[str, str]:
    """Each package's page, as Markdown, by the name of its file: `messaging.md` has `parley.messaging.v1`.

    What a service keeps in its columns (`parley.messaging.storage.v1`) is nobody's API.
    """
    packages: dict[str, list[FileDescriptorProto]] = {}
    for file in descriptors.read().file:
        if file.package.startswith("parley.") and ".storage." not in file.package:
            packages.setdefault(file.package, []).append(file)
    return {f"{package.split('.')[1]}.md": _page(package, of_it) for package, of_it in sorted(packages.items())}


def _page(package: str, of_it: Sequence[FileDescriptorProto]) -> str:
    parts = [f"# {package}\n"]
    parts.append("Generated from " + ", ".join(f"`protos/{file.name}`" for file in of_it) + ".\n")
    for file in of_it:
        comments = comments_of(file)
        for at, service in enumerate(file.service):
            parts.extend(_service(service, package, (_SERVICES, at), comments))
    parts.append("## Messages\n")
    for file in of_it:
        comments = comments_of(file)
        for at, message in enumerate(file.message_type):
            parts.extend(_message(message, package, (_MESSAGES, at), comments))
        for at, enum in enumerate(file.enum_type):
            parts.extend(_enum(enum, "", (_ENUMS, at), comments))
    return "\n".join(parts)


def _service(service: ServiceDescriptorProto, package: str, path: Path_, comments: dict[Path_, str]) -> Iterator[str]:
    yield f"## {service.name}\n"
    yield _prose(comments.get(path, ""))
    for at, method in enumerate(service.method):
        yield f"### {service.name}.{method.name}\n"
        request = ("stream " if method.client_streaming else "") + _linked(method.input_type)
        response = ("stream " if method.server_streaming else "") + _linked(method.output_type)
        yield f"{request} → {response}\n"
        if line := PATHS.get(f"{package}.{service.name}", {}).get(method.name):
            yield f"As JSON over HTTP: `{line}`\n"
        yield _prose(comments.get((*path, _METHODS, at), ""))


def _message(message: DescriptorProto, within: str, path: Path_, comments: dict[Path_, str]) -> Iterator[str]:
    name = message.name if within.startswith("parley.") and within.count(".") == 2 else f"{within}.{message.name}"
    yield f"### {name}\n"
    yield _prose(comments.get(path, ""))
    maps = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    if message.field:
        yield "| field | type | number | meaning |\n|---|---|---|---|"
        for at, field in enumerate(message.field):
            text = _cell(comments.get((*path, _FIELDS, at), ""))
            oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
            one_of = f"one of `{oneof}`. " if oneof and not field.proto3_optional else ""
            yield f"| `{field.name}` | {_type(field, maps)} | {field.number} | {one_of}{text} |"
        yield ""
    for at, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            yield from _message(nested, name, (*path, _NESTED, at), comments)
    for at, enum in enumerate(message.enum_type):
        yield from _enum(enum, f"{name}.", (*path, _NESTED_ENUMS, at), comments)


def _enum(enum: EnumDescriptorProto, within: str, path: Path_, comments: dict[Path_, str]) -> Iterator[str]:
    yield f"### {within}{enum.name}\n"
    yield _prose(comments.get(path, ""))
    yield "| value | number | meaning |\n|---|---|---|"
    for at, value in enumerate(enum.value):
        yield f"| `{value.name}` | {value.number} | {_cell(comments.get((*path, _VALUES, at), ''))} |"
    yield ""


def _type(field: FieldDescriptorProto, maps: dict[str, DescriptorProto]) -> str:
    entry = maps.get(field.type_name.rpartition(".")[2])
    if entry:
        key, value = entry.field
        return f"map of {_type(key, {})} to {_type(value, {})}"
    prefix = "repeated " if field.label == FieldDescriptorProto.LABEL_REPEATED else ""
    prefix = "optional " if field.proto3_optional else prefix
    if field.type_name:
        return prefix + _linked(field.type_name)
    return prefix + FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def _linked(full_name: str) -> str:
    """A type's name; of ours, with a link to where it stands."""
    match = re.fullmatch(r"\.parley\.(\w+)\.v1\.(.+)", full_name)
    if not match:
        return f"`{full_name.removeprefix('.')}`"
    return f"[{match[2]}]({match[1]}.md#{match[2].lower().replace('.', '')})"


def _prose(text: str) -> str:
    """A comment as paragraphs: "Errors:" and "Idempotent" begin lines of their own."""
    paragraphs = [re.sub(r"\s*\n\s*", " ", part) for part in re.split(r"\n\s*\n", _escaped(text))]
    return "\n\n".join(_BEGINS.sub("\n\n", part) for part in paragraphs) + "\n"


def _cell(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", _escaped(text))


def _escaped(text: str) -> str:
    """Nothing of a comment is markup but its code; reasons, which are written in capitals, become code."""
    parts = re.sub(r"(?<![`\w])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![`\w])", r"`\g<0>`", text).split("`")
    return "`".join(part if at % 2 else re.sub(r"([\\|<>*_\[\]])", r"\\\1", part) for at, part in enumerate(parts))
