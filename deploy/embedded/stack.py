"""The whole stack: who listens where, which environment each process gets, and in which order they start."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from deploy import identities, native, server_keys
from deploy.certificates import Authority, environment
from deploy.embedded import apache_kafka, broker, envoy, issuer, postgres, probes
from deploy.embedded.errors import SettingsError
from deploy.embedded.logs import LogSink
from deploy.embedded.ports import EDGE_PORT, MEDIA_PORT, Ports, from_environment
from deploy.embedded.process import ProcessSpec
from deploy.embedded.record import ROOT, StackRecord
from deploy.embedded.settings import PARTS, START_ORDER, StackSettings
from deploy.embedded.supervisor import Supervisor
from deploy.envoy.values import EdgeValues
from services.ops import credentials
from services.runtime.config import TlsConfig

HOST = "127.0.0.1"
GRPC_SERVICES = ("messaging", "presence", "gateway", "signaling", "webhooks", "sfu")
ADMIN_SERVICES = ("messaging", "presence", "gateway", "signaling", "webhooks")
# How long the edge may refuse tokens of a key that the issuer has just made.
JWKS_CACHE_S = 5
OBJECTS_BUCKET = "parley"
HEALTH_INTERVAL_S = 1
# Logs at once, though they go through a pipe.
_PYTHON_ENV = {"PYTHONUNBUFFERED": "1"}


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


class Stack:
    """The processes of one stack. `on_change` gets the record whenever a process was started anew."""

    def __init__(
        self,
        settings: StackSettings,
        sink: LogSink,
        ports: Ports,
        on_change: Callable[[StackRecord], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._addresses = _allocate(settings, ports)
        self._postgres = settings.folder.absolute() / "postgres"
        self._service_keys = settings.folder.absolute() / "service-keys"
        self._admin_keys = settings.folder.absolute() / "admin-keys"
        self._server_keys = settings.folder.absolute() / "server-keys"
        self._tls = settings.folder.absolute() / "tls"
        self._webhooks = settings.folder.absolute() / "webhooks.json"
        self._resume_key = _new_key()
        self._objects_secret = _new_key()
        self._supervisor = Supervisor(sink, lambda: on_change(self.record()))

    async def start(self) -> None:
        """Starts everything in order. Raises StackError, with what was started still running."""
        await asyncio.to_thread(identities.write, self._service_keys, identities.key_sets())
        await asyncio.to_thread(identities.write, self._admin_keys, identities.admin_key_sets())
        await asyncio.to_thread(server_keys.keep, self._server_keys)
        if self._is_tls:
            await asyncio.to_thread(self._issue)
        await asyncio.to_thread(self._keep_webhooks)
        for row in START_ORDER:
            specs = [spec for part in row if part in self._settings.parts for spec in await self._specs_of(part)]
            if specs:
                await self._supervisor.start(*specs)

    async def stop(self, *, timeout_s: float | None = None) -> None:
        """Stops everything in reverse order. Idempotent; 0 kills at once."""
        await self._supervisor.stop(timeout_s=timeout_s)

    def record(self) -> StackRecord:
        """The stack as it runs now."""
        at = self._addresses
        return StackRecord(
            pid=os.getpid(),
            web_url=f"http://{at.edge}/",
            edge_address=at.edge,
            issuer_url=f"http://{at.issuer}",
            kafka_bootstrap=at.kafka,
            objects_url=f"http://{at.objects}",
            database_urls={name: self._database_url(name) for name in postgres.DATABASES},
            pids=self._supervisor.pids(),
            grpc_addresses=at.grpc,
            admin_addresses=at.admin,
            metrics_addresses=at.metrics,
            media_addresses=at.media,
            log_folder=str(self._settings.log_folder),
            service_keys_folder=str(self._service_keys),
            admin_key_file=str(self._admin_keys / "private.json"),
            tls_folder=str(self._tls) if self._is_tls else "",
            health_addresses=at.health,
            webhooks_file=str(self._webhooks),
            server_keys_folder=str(self._server_keys),
        )

    async def _specs_of(self, part: str) -> list[ProcessSpec]:
        more = self._settings.part_env.get(part, {})
        return [replace(spec, env={**spec.env, **more}) for spec in await self._specs(part)]

    async def _specs(self, part: str) -> list[ProcessSpec]:
        match part:
            case "postgres":
                return [await asyncio.to_thread(postgres.spec, self._postgres, self._settings.postgres_host)]
            case "broker":
                return [await asyncio.to_thread(self._broker_spec)]
            case "issuer":
                return [self._issuer_spec()]
            case "objects":
                return [self._objects_spec()]
            case "edge":
                return [envoy.spec(self._edge_values(), self._settings.folder / "edge")]
            case _:
                return [self._service_spec(part, name) for name in self._settings.names(part)]

    @property
    def _is_tls(self) -> bool:
        return self._settings.tls == "mutual"

    def _issue(self) -> None:
        authority = Authority(self._tls)
        for name in (*GRPC_SERVICES, "edge", "ops"):
            authority.issue_to(name)

    def _keep_webhooks(self) -> None:
        """The endpoints are whoever's runs the stack: they stay."""
        if not self._webhooks.exists():
            descriptor = os.open(self._webhooks, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write('{"endpoints": []}\n')

    @property
    def _is_apache(self) -> bool:
        return self._settings.broker == "kafka"

    def _database_url(self, name: str) -> str:
        return postgres.url(self._postgres, name, self._settings.postgres_host)

    def _broker_spec(self) -> ProcessSpec:
        host, port = _split(self._addresses.kafka)
        if not self._is_apache:
            return broker.spec(host, port)
        folder = self._settings.folder.absolute() / "kafka"
        return apache_kafka.spec(folder, host, port, self._addresses.kafka_controller_port)

    def _issuer_spec(self) -> ProcessSpec:
        host, port = _split(self._addresses.issuer)
        keys = self._settings.folder.absolute() / "issuer" / "keys.json"
        return ProcessSpec(
            name="issuer",
            command=(
                *(sys.executable, "-m", "deploy.embedded.issuer"),
                *("--host", host, "--port", str(port), "--keys", str(keys)),
                *("--admin-keys", str(self._admin_keys / f"{identities.PUBLIC}.json")),
            ),
            env=_PYTHON_ENV,
            cwd=ROOT,
            ready=probes.http(f"http://{self._addresses.issuer}/healthz"),
            stop_timeout_s=5.0,
        )

    def _objects_spec(self) -> ProcessSpec:
        host, port = _split(self._addresses.objects)
        return ProcessSpec(
            name="objects",
            command=(
                *(sys.executable, "-m", "deploy.embedded.objects", "--host", host, "--port", str(port)),
                *("--folder", str(self._settings.folder.absolute() / "objects"), "--bucket", OBJECTS_BUCKET),
            ),
            env={**_PYTHON_ENV, **self._objects_key()},
            cwd=ROOT,
            ready=probes.http(f"http://{self._addresses.objects}/healthz"),
            stop_timeout_s=5.0,
        )

    def _objects_key(self) -> dict[str, str]:
        return {"PARLEY_OBJECTS_KEY_ID": "embedded", "PARLEY_OBJECTS_SECRET": self._objects_secret}

    def _service_spec(self, service: str, name: str) -> ProcessSpec:
        at = self._addresses
        if service == "web":
            ready = probes.http(f"http://{at.web}/healthz")
        else:
            ready = probes.grpc_ready((at.health if self._is_tls else at.grpc)[name])
        return ProcessSpec(
            name=name,
            command=(sys.executable, "-m", *self._settings.programs.get(service, f"services.{service}").split()),
            env={**_PYTHON_ENV, **self._service_env(service, name)},
            cwd=native.home(service),
            ready=ready,
        )

    def _service_env(self, service: str, name: str) -> dict[str, str]:
        keys = identities.environment(self._service_keys, service)
        own = self._own_env(service, name)
        return {**self._common_env(name), **keys, **self._tls_env(service, name), **own, **self._settings.env}

    def _tls_env(self, service: str, name: str) -> dict[str, str]:
        if not self._is_tls or service not in GRPC_SERVICES:
            return {}
        files = environment(TlsConfig.in_folder(self._tls / service))
        return {**files, "PARLEY_HEALTH_ADDRESS": self._addresses.health[name]}

    def _common_env(self, name: str) -> dict[str, str]:
        at = self._addresses
        return {
            "PARLEY_GRPC_ADDRESS": at.grpc.get(name, ""),
            "PARLEY_METRICS_ADDRESS": at.metrics[name],
            "PARLEY_LOG_FORMAT": self._settings.log_format,
            "PARLEY_LOG_LEVEL": self._settings.log_level,
            "PARLEY_JWKS_URL": f"http://{at.issuer}/.well-known/jwks.json",
            "PARLEY_JWT_ISSUER": issuer.ISSUER,
            "PARLEY_JWT_AUDIENCE": issuer.AUDIENCE,
            **({"PARLEY_ADMIN_ADDRESS": at.admin[name]} if name in at.admin else {}),
            "PARLEY_ADMIN_JWKS_URL": f"http://{at.issuer}{issuer.ADMIN_JWKS_PATH}",
            "PARLEY_ADMIN_JWT_ISSUER": credentials.ISSUER,
            "PARLEY_KAFKA_BOOTSTRAP": at.kafka,
            **(apache_kafka if self._is_apache else broker).CLIENT_SETTINGS,
        }

    def _own_env(self, service: str, name: str) -> dict[str, str]:
        """What only this service gets. Other settings, such as PARLEY_RING_TIMEOUT_S, come from our own environment."""
        at = self._addresses
        match service:
            case "messaging":
                return {
                    "PARLEY_DATABASE_URL": self._database_url("parley_messaging"),
                    "PARLEY_OBJECTS_ENDPOINT": f"http://{at.objects}",
                    "PARLEY_OBJECTS_BUCKET": OBJECTS_BUCKET,
                    "PARLEY_SERVER_KEYS_FILE": str(self._server_keys / f"{server_keys.PUBLIC}.json"),
                    # Exports hold what they know of a person; a stack without one of them has no such part.
                    "PARLEY_SIGNALING_ADDRESS": self._all_of("signaling"),
                    # What is for devices is handed to it directly, too.
                    "PARLEY_PRESENCE_ADDRESSES": self._all_of("presence"),
                    **self._objects_key(),
                }
            case "presence":
                return {
                    "PARLEY_DATABASE_URL": self._database_url("parley_presence"),
                    **({} if self._is_apache else broker.ROUTER_SETTINGS),
                }
            case "gateway":
                return {
                    "PARLEY_RESUME_KEY": self._resume_key,
                    "PARLEY_PRESENCE_ADDRESSES": self._all("presence"),
                    "PARLEY_MESSAGING_ADDRESS": self._all("messaging"),
                    # Everybody is at one address here, load generators too.
                    "PARLEY_STREAMS_PER_ADDRESS": os.environ.get("PARLEY_STREAMS_PER_ADDRESS", "1000000"),
                }
            case "signaling":
                return {
                    "PARLEY_DATABASE_URL": self._database_url("parley_signaling"),
                    "PARLEY_MESSAGING_ADDRESS": self._all("messaging"),
                    "PARLEY_PRESENCE_ADDRESSES": self._all_of("presence"),
                }
            case "webhooks":
                return {
                    "PARLEY_DATABASE_URL": postgres.url(self._postgres, "parley_webhooks"),
                    "PARLEY_WEBHOOKS_ENDPOINTS_FILE": str(self._webhooks),
                }
            case "sfu":
                return {
                    "PARLEY_SFU_WORKER_ID": name,
                    "PARLEY_SFU_UDP_ADDRESS": at.media[name],
                    "PARLEY_SFU_TCP_ADDRESS": at.media_tcp[name],
                    "PARLEY_SFU_PUBLIC_IP": HOST,
                    "PARLEY_SFU_GRPC_ADVERTISED": at.grpc[name],
                    "PARLEY_SFU_REGION": "local",
                    # More than one is for tests: the port that people use is that of the first.
                    "PARLEY_SFU_WORKERS": os.environ.get("PARLEY_SFU_WORKERS", "1"),
                    # The calls have nowhere to go when the whole stack stops.
                    "PARLEY_SFU_DRAIN_S": os.environ.get("PARLEY_SFU_DRAIN_S", "5"),
                }
            case _:
                return {
                    "PARLEY_HTTP_ADDRESS": at.web,
                    "PARLEY_WEB_ROOT": str(self._settings.web_root),
                    "PARLEY_OBJECTS_PUBLIC_ENDPOINT": f"http://{at.objects}",
                }

    def _edge_values(self) -> EdgeValues:
        at = self._addresses
        host, port = _split(at.edge)
        return EdgeValues(
            gateway=self._all("gateway"),
            messaging=self._all("messaging"),
            signaling=self._all("signaling"),
            web=at.web,
            jwks_url=f"http://{at.issuer}/.well-known/jwks.json",
            jwt_issuer=issuer.ISSUER,
            jwt_audience=issuer.AUDIENCE,
            jwks_cache_s=JWKS_CACHE_S,
            listen_host=host,
            listen_port=port,
            admin_port=at.edge_admin_port,
            metrics_port=_split(at.metrics["edge"])[1],
            dev_login=True,
            # Pages of a development server (vite) on this machine.
            cors_origin_regex=r"^http://(localhost|127\.0\.0\.1)(:[0-9]+)?$",
            health_interval_s=HEALTH_INTERVAL_S,
            # Everybody is at one address here, load generators too.
            address_rate_per_s=EdgeValues.rate_limit_per_s,
            address_rate_burst=EdgeValues.rate_limit_burst,
            **self._edge_tls(),
        )

    def _edge_tls(self) -> dict[str, Any]:
        if not self._is_tls:
            return {}
        files = TlsConfig.in_folder(self._tls / "edge")
        return {
            "upstream_certificate_file": files.certificate_file,
            "upstream_key_file": files.key_file,
            "upstream_ca_file": files.ca_file,
        }

    def _all_of(self, service: str) -> str:
        return self._all(service) if service in self._settings.parts else ""

    def _all(self, service: str) -> str:
        return ",".join(self._addresses.grpc[name] for name in self._settings.names(service))


@contextlib.asynccontextmanager
async def running_stack(
    settings: StackSettings,
    *,
    console: TextIO | None = None,
    ports: Ports | None = None,
    on_change: Callable[[StackRecord], None] = lambda _: None,
) -> AsyncIterator[Stack]:
    """A stack for the length of the block. Raises StackError when it cannot start; nothing runs afterwards.

    The event loop must live in a thread that outlives the block: the kernel ends the processes with it.
    """
    settings.folder.mkdir(parents=True, exist_ok=True)
    with _locked(settings.folder):
        sink = LogSink(settings.log_folder, console)
        stack = Stack(settings, sink, ports or from_environment(), on_change)
        try:
            await stack.start()
            yield stack
        finally:
            await stack.stop()
            sink.close()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(f"Another stack runs on the data in {folder}: stop it first.") from None
        yield


def _allocate(settings: StackSettings, ports: Ports) -> Addresses:
    services = {part: settings.names(part) for part in PARTS if part in (*GRPC_SERVICES, "web")}
    grpc_names = [name for service in GRPC_SERVICES for name in services[service]]
    every = [*(name for names in services.values() for name in names), "edge"]
    is_tls = settings.tls == "mutual"
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
        health={name: f"{HOST}:{ports.tcp(f'{name}-health')}" for name in (grpc_names if is_tls else ())},
        metrics={name: f"{HOST}:{ports.tcp(f'{name}-metrics')}" for name in every},
        media={
            name: f"{HOST}:{ports.udp('media' if index == 0 else f'{name}-media', media_port if index == 0 else 0)}"
            for index, name in enumerate(services["sfu"])
        },
        media_tcp={name: f"{HOST}:{ports.tcp(f'{name}-media-tcp')}" for name in services["sfu"]},
    )


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
