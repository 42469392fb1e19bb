"""Which RPCs users call, as the descriptors of all protos and the edge's routes have it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

# What the services alone call among each other, or staff; each says in its proto that it takes a service token.
INTERNAL = {
    "parley.accounts.v1.AccountDataService",
    "parley.calls.v1.CallOperationsService",
    "parley.gateway.v1.GatewayAdminService",
    "parley.messaging.v1.AccountAdminService",
    "parley.messaging.v1.MembershipService",
    "parley.messaging.v1.ModerationService",
    "parley.presence.v1.PresenceAdminService",
    "parley.presence.v1.RouterService",
    "parley.sfu.v1.SfuService",
}


def services() -> Iterator[ServiceDescriptor]:
    """Every service of every proto."""
    protos = Path(__file__).parents[2] / "protos"
    for path in sorted(protos.rglob("*.proto")):
        module = import_module(".".join(path.relative_to(protos).with_suffix("").parts) + "_pb2")
        yield from module.DESCRIPTOR.services_by_name.values()


def client_rpcs() -> dict[str, MethodDescriptor]:
    """By `service/method`."""
    return {
        f"{service.full_name}/{method.name}": method
        for service in services()
        if service.full_name not in INTERNAL
        for method in descriptor_pool.Default().FindServiceByName(service.full_name).methods
    }
