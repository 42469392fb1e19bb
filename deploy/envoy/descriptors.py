"""The protos as Envoy's transcoder reads them: with the paths of the JSON API, and the types of errors' details."""

from __future__ import annotations

from importlib.resources import files

from google.api import annotations_pb2, http_pb2, httpbody_pb2
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto
from google.rpc import error_details_pb2, status_pb2

from deploy.envoy.paths import Operation, operations

# Made with the protobuf code (`make gen`), with the protos' comments.
_MADE = "descriptors.pb"
# What a method answers that writes its bytes by itself, and the type as which Envoy passes bytes on.
BYTES, HTTP_BODY = ".parley.gateway.v1.StreamEventsResponse", ".google.api.HttpBody"


def read() -> FileDescriptorSet:
    """The protos with their comments."""
    return FileDescriptorSet.FromString(files("parley").joinpath(_MADE).read_bytes())


def comments(file: FileDescriptorProto) -> dict[tuple[int, ...], str]:
    """The comment of each part of a file, by its path in descriptor.proto: what leads it, or else stands behind it."""
    found = {}
    for location in file.source_code_info.location:
        text = location.leading_comments or location.trailing_comments
        if text.strip():
            found[tuple(location.path)] = "\n".join(line.removeprefix(" ") for line in text.strip("\n").split("\n"))
    return found


def for_envoy() -> bytes:
    """The set that the transcoder reads: without comments, with `google.api.http` at each RPC that has a path."""
    found: dict[str, FileDescriptorProto] = {}
    for module in (annotations_pb2, httpbody_pb2, status_pb2, error_details_pb2):
        _add(found, module.DESCRIPTOR)
    for file in read().file:
        file.ClearField("source_code_info")
        found.setdefault(file.name, file)
    methods = {
        f"{file.package}.{service.name}/{method.name}": (file, method)
        for file in found.values()
        for service in file.service
        for method in service.method
    }
    for operation in operations():
        file, method = methods[f"{operation.service}/{operation.rpc}"]
        _annotate(file, method, operation)
    return FileDescriptorSet(file=found.values()).SerializeToString(deterministic=True)


def _annotate(file: FileDescriptorProto, method: MethodDescriptorProto, operation: Operation) -> None:
    rule = http_pb2.HttpRule(body="*" if operation.has_body else "", **{operation.method.lower(): operation.path})
    method.options.Extensions[annotations_pb2.http].CopyFrom(rule)
    needed = {annotations_pb2.DESCRIPTOR.name}
    if method.output_type == BYTES:
        method.output_type = HTTP_BODY
        needed.add(httpbody_pb2.DESCRIPTOR.name)
    file.dependency.extend(sorted(needed - set(file.dependency)))


def _add(found: dict[str, FileDescriptorProto], file: FileDescriptor) -> None:
    """A file behind those that it imports."""
    for imported in file.dependencies:
        _add(found, imported)
    if file.name not in found:
        found[file.name] = FileDescriptorProto()
        file.CopyToProto(found[file.name])
