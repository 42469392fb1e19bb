"""What each part of a stack is started with: its command, its environment, and how one knows that it is ready."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from typing import Any

from deploy import identities, native
from deploy.embedded import apache_kafka, broker, envoy, issuer, postgres, probes
from deploy.embedded.addresses import Addresses, split
from deploy.embedded.environments import OBJECTS_BUCKET, Environments
from deploy.embedded.files import Files
from deploy.embedded.process import ProcessSpec
from deploy.embedded.record import ROOT
from deploy.embedded.settings import StackSettings
from deploy.envoy.values import EdgeValues
from services.runtime.config import TlsConfig

# How long the edge may refuse tokens of a key that the issuer has just made.
JWKS_CACHE_S = 5
# Logs at once, though they go through a pipe.
_PYTHON_ENV = {"PYTHONUNBUFFERED": "1"}


class Specs:
    """The processes of each part."""

    def __init__(self, settings: StackSettings, addresses: Addresses, files: Files, environments: Environments) -> None:
        self._settings = settings
        self._addresses = addresses
        self._files = files
        self._environments = environments

    async def of(self, part: str) -> list[ProcessSpec]:
        """One, or one for each replica. Makes what the part finds in its folder. Raises StackError."""
        more = self._settings.part_env.get(part, {})
        return [replace(spec, env={**spec.env, **more}) for spec in await self._of(part)]

    async def _of(self, part: str) -> list[ProcessSpec]:
        match part:
            case "postgres":
                return [await asyncio.to_thread(postgres.spec, self._files.postgres, self._settings.postgres_host)]
            case "broker":
                return [await asyncio.to_thread(self._broker)]
            case "issuer":
                return [self._issuer()]
            case "objects":
                return [self._objects()]
            case "edge":
                return [envoy.spec(self._edge_values(), self._files.edge)]
            case _:
                return [self._service(part, name) for name in self._settings.names(part)]

    def _broker(self) -> ProcessSpec:
        host, port = split(self._addresses.kafka)
        if not self._settings.is_apache:
            return broker.spec(host, port)
        return apache_kafka.spec(self._files.kafka, host, port, self._addresses.kafka_controller_port)

    def _issuer(self) -> ProcessSpec:
        host, port = split(self._addresses.issuer)
        return ProcessSpec(
            name="issuer",
            command=(
                *(sys.executable, "-m", "deploy.embedded.issuer"),
                *("--host", host, "--port", str(port), "--keys", str(self._files.issuer_keys)),
                *("--admin-keys", str(self._files.admin_keys / f"{identities.PUBLIC}.json")),
            ),
            env=_PYTHON_ENV,
            cwd=ROOT,
            ready=probes.http(f"http://{self._addresses.issuer}/healthz"),
            stop_timeout_s=5.0,
        )

    def _objects(self) -> ProcessSpec:
        host, port = split(self._addresses.objects)
        return ProcessSpec(
            name="objects",
            command=(
                *(sys.executable, "-m", "deploy.embedded.objects", "--host", host, "--port", str(port)),
                *("--folder", str(self._files.objects), "--bucket", OBJECTS_BUCKET),
            ),
            env={**_PYTHON_ENV, **self._environments.objects_key()},
            cwd=ROOT,
            ready=probes.http(f"http://{self._addresses.objects}/healthz"),
            stop_timeout_s=5.0,
        )

    def _service(self, service: str, name: str) -> ProcessSpec:
        at = self._addresses
        if service == "web":
            ready = probes.http(f"http://{at.web}/healthz")
        else:
            ready = probes.grpc_ready((at.health if self._settings.is_tls else at.grpc)[name])
        return ProcessSpec(
            name=name,
            command=(sys.executable, "-m", *self._settings.programs.get(service, f"services.{service}").split()),
            env={**_PYTHON_ENV, **self._environments.of(service, name)},
            cwd=native.home(service),
            ready=ready,
        )

    def _edge_values(self) -> EdgeValues:
        at = self._addresses
        host, port = split(at.edge)
        return EdgeValues(
            gateway=at.listed(self._settings.names("gateway")),
            messaging=at.listed(self._settings.names("messaging")),
            signaling=at.listed(self._settings.names("signaling")),
            push=at.listed(self._settings.names("push")) if "push" in self._settings.parts else "",
            previews=at.listed(self._settings.names("previews")) if "previews" in self._settings.parts else "",
            web=at.web,
            jwks_url=f"http://{at.issuer}/.well-known/jwks.json",
            jwt_issuer=issuer.ISSUER,
            jwt_audience=issuer.AUDIENCE,
            jwks_cache_s=JWKS_CACHE_S,
            listen_host=host,
            listen_port=port,
            admin_port=at.edge_admin_port,
            metrics_port=split(at.metrics["edge"])[1],
            dev_login=True,
            # Pages of a development server (vite) on this machine.
            cors_origin_regex=r"^http://(localhost|127\.0\.0\.1)(:[0-9]+)?$",
            # Everybody is at one address here, load generators too.
            address_rate_per_s=EdgeValues.rate_limit_per_s,
            address_rate_burst=EdgeValues.rate_limit_burst,
            **self._edge_tls(),
        )

    def _edge_tls(self) -> dict[str, Any]:
        if not self._settings.is_tls:
            return {}
        files = TlsConfig.in_folder(self._files.tls / "edge")
        return {
            "upstream_certificate_file": files.certificate_file,
            "upstream_key_file": files.key_file,
            "upstream_ca_file": files.ca_file,
        }
