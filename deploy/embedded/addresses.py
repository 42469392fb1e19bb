"""Who listens where in a stack."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from deploy.embedded.ports import EDGE_PORT, MEDIA_PORT, Ports
from deploy.embedded.settings import PARTS, StackSettings

HOST = "127.0.0.1"
GRPC_SERVICES = ("messaging", "presence", "gateway", "signaling", "webhooks", "push", "previews", "sfu")
ADMIN_SERVICES = ("messaging", "presence", "gateway", "signaling", "webhooks", "push")


@dataclass(frozen=True)
class Addresses:
    """Who listens where, as `host:port`; the services by process name, and of the edge its metrics."""

    edge: str
    edge_admin_port: int
    issuer: str
    kafka: str
    kafka_controller_port: int
    objects: str
    web: str
    grpc: dict[str, str]
    admin: dict[str, str]
    health: dict[str, str]
    metrics: dict[str, str]
    media: dict[str, str]
    media_tcp: dict[str, str]

    def listed(self, names: Iterable[str]) -> str:
        """The gRPC addresses of some processes, as settings name them."""
        return ",".join(self.grpc[name] for name in names)


def allocate(settings: StackSettings, ports: Ports) -> Addresses:
    """An address for each part, whether or not it runs. Raises SettingsError when a wanted port is taken."""
    services = {part: settings.names(part) for part in PARTS if part in (*GRPC_SERVICES, "web")}
    grpc_names = [name for service in GRPC_SERVICES for name in services[service]]
    every = [*(name for names in services.values() for name in names), "edge"]
    # The ports that people use are only claimed by who serves them.
    edge_port = EDGE_PORT if "edge" in settings.parts else 0
    media_port = MEDIA_PORT if "sfu" in settings.parts else 0
    return Addresses(
        edge=f"{HOST}:{ports.tcp('edge', edge_port)}",
        edge_admin_port=ports.tcp("edge-admin"),
        issuer=f"{HOST}:{ports.tcp('issuer')}",
        kafka=f"{HOST}:{ports.tcp('kafka')}",
        kafka_controller_port=ports.tcp("kafka-controller"),
        objects=f"{HOST}:{ports.tcp('objects')}",
        web=f"{HOST}:{ports.tcp('web')}",
        grpc={name: f"{HOST}:{ports.tcp(f'{name}-grpc')}" for name in grpc_names},
        admin={
            name: f"{HOST}:{ports.tcp(f'{name}-admin')}" for service in ADMIN_SERVICES for name in services[service]
        },
        health={name: f"{HOST}:{ports.tcp(f'{name}-health')}" for name in (grpc_names if settings.is_tls else ())},
        metrics={name: f"{HOST}:{ports.tcp(f'{name}-metrics')}" for name in every},
        media={
            name: f"{HOST}:{ports.udp('media' if index == 0 else f'{name}-media', media_port if index == 0 else 0)}"
            for index, name in enumerate(services["sfu"])
        },
        media_tcp={name: f"{HOST}:{ports.tcp(f'{name}-media-tcp')}" for name in services["sfu"]},
    )


def split(address: str) -> tuple[str, int]:
    """Host and port."""
    host, _, port = address.rpartition(":")
    return host, int(port)
