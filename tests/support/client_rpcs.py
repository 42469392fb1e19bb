"""Which RPCs users call, as the descriptors of all protos and the edge's routes have it."""

from __future__ import annotations

from collections.abc import Container, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from services.runtime.identity.callers import CALLERS
from services.runtime.identity.roles import ROLES
from services.runtime.identity.scopes import SCOPES

# What the network serves, and we call.
THEIRS = frozenset({"parley.hooks.v1.MessageHookService"})
# What services alone call among each other, or staff, or the network's back office.
INTERNAL = frozenset(CALLERS) | frozenset(ROLES) | frozenset(SCOPES) | THEIRS


def protos() -> Iterator[str]:
    """The generated modules, without their endings."""
    folder = Path(__file__).parents[2] / "protos"
    for path in sorted(folder.rglob("*.proto")):
        yield ".".join(path.relative_to(folder).with_suffix("").parts)


def services() -> Iterator[ServiceDescriptor]:
    """Every service of every proto."""
    for proto in protos():
        yield from import_module(f"{proto}_pb2").DESCRIPTOR.services_by_name.values()


def services_in(table: Container[str]) -> dict[str, tuple[ServiceDescriptor, Any]]:
    """The services that a table names by their full names, each with the module of its servicer."""
    return {
        service.full_name: (service, import_module(f"{proto}_pb2_grpc"))
        for proto in protos()
        for service in import_module(f"{proto}_pb2").DESCRIPTOR.services_by_name.values()
        if service.full_name in table
    }


def client_rpcs() -> dict[str, MethodDescriptor]:
    """By `service/method`."""
    return {
        f"{service.full_name}/{method.name}": method
        for service in services()
        if service.full_name not in INTERNAL
        for method in descriptor_pool.Default().FindServiceByName(service.full_name).methods
    }
