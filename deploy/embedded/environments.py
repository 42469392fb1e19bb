"""The environment that each service of a stack gets. Other settings of theirs, such as PARLEY_RING_TIMEOUT_S, come from
our own environment."""

from __future__ import annotations

import os

from deploy import identities, server_keys
from deploy.certificates import environment
from deploy.embedded import apache_kafka, broker, issuer, postgres
from deploy.embedded.addresses import GRPC_SERVICES, HOST, Addresses
from deploy.embedded.files import Files
from deploy.embedded.settings import StackSettings
from services.ops import credentials
from services.runtime.config import TlsConfig

OBJECTS_BUCKET = "parley"


class Environments:
    """By service and process name. `resume_key` and `objects_secret` are of this run alone."""

    def __init__(
        self, settings: StackSettings, addresses: Addresses, files: Files, *, resume_key: str, objects_secret: str
    ) -> None:
        self._settings = settings
        self._addresses = addresses
        self._files = files
        self._resume_key = resume_key
        self._objects_secret = objects_secret

    def of(self, service: str, name: str) -> dict[str, str]:
        """What one process of a service gets."""
        keys = identities.environment(self._files.service_keys, service)
        own = self._own(service, name)
        return {**self._common(name), **keys, **self._tls(service, name), **own, **self._settings.env}

    def objects_key(self) -> dict[str, str]:
        """Of the object store: for itself and for who signs requests to it."""
        return {"PARLEY_OBJECTS_KEY_ID": "embedded", "PARLEY_OBJECTS_SECRET": self._objects_secret}

    def _common(self, name: str) -> dict[str, str]:
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
            **(apache_kafka if self._settings.is_apache else broker).CLIENT_SETTINGS,
        }

    def _tls(self, service: str, name: str) -> dict[str, str]:
        if not self._settings.is_tls or service not in GRPC_SERVICES:
            return {}
        files = environment(TlsConfig.in_folder(self._files.tls / service))
        return {**files, "PARLEY_HEALTH_ADDRESS": self._addresses.health[name]}

    def _own(self, service: str, name: str) -> dict[str, str]:
        match service:
            case "messaging":
                return self._messaging()
            case "presence":
                return self._presence()
            case "gateway":
                return self._gateway()
            case "signaling":
                return self._signaling()
            case "webhooks":
                return self._webhooks()
            case "push":
                return self._push()
            case "previews":
                return {}
            case "sfu":
                return self._sfu(name)
            case _:
                return self._web()

    def _server_keys(self) -> dict[str, str]:
        return {"PARLEY_SERVER_KEYS_FILE": str(self._files.server_keys / f"{server_keys.PUBLIC}.json")}

    def _messaging(self) -> dict[str, str]:
        return {
            **self._database("parley_messaging"),
            **self._server_keys(),
            "PARLEY_OBJECTS_ENDPOINT": f"http://{self._addresses.objects}",
            "PARLEY_OBJECTS_BUCKET": OBJECTS_BUCKET,
            # Exports hold what they know of a person; a stack without one of them has no such part.
            "PARLEY_SIGNALING_ADDRESS": self._running("signaling"),
            "PARLEY_PUSH_ADDRESS": self._running("push"),
            # What is for devices is handed to it directly, too.
            "PARLEY_PRESENCE_ADDRESSES": self._running("presence"),
            **_stickers(),
            **self.objects_key(),
        }

    def _presence(self) -> dict[str, str]:
        return {
            **self._database("parley_presence"),
            **({} if self._settings.is_apache else broker.ROUTER_SETTINGS),
        }

    def _gateway(self) -> dict[str, str]:
        return {
            "PARLEY_RESUME_KEY": self._resume_key,
            "PARLEY_PRESENCE_ADDRESSES": self._all("presence"),
            "PARLEY_MESSAGING_ADDRESS": self._all("messaging"),
            # Everybody is at one address here, load generators too.
            "PARLEY_STREAMS_PER_ADDRESS": os.environ.get("PARLEY_STREAMS_PER_ADDRESS", "1000000"),
        }

    def _signaling(self) -> dict[str, str]:
        return {
            **self._database("parley_signaling"),
            **self._server_keys(),
            "PARLEY_MESSAGING_ADDRESS": self._all("messaging"),
            "PARLEY_PRESENCE_ADDRESSES": self._running("presence"),
        }

    def _webhooks(self) -> dict[str, str]:
        return {
            **self._database("parley_webhooks"),
            "PARLEY_WEBHOOKS_ENDPOINTS_FILE": str(self._files.webhooks),
        }

    def _push(self) -> dict[str, str]:
        return {
            **self._database("parley_push"),
            "PARLEY_MESSAGING_ADDRESS": self._all("messaging"),
            "PARLEY_PUSH_PROVIDERS_FILE": str(self._files.push_providers),
        }

    def _sfu(self, name: str) -> dict[str, str]:
        at = self._addresses
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

    def _web(self) -> dict[str, str]:
        return {
            "PARLEY_HTTP_ADDRESS": self._addresses.web,
            "PARLEY_WEB_ROOT": str(self._settings.web_root),
            "PARLEY_OBJECTS_PUBLIC_ENDPOINT": f"http://{self._addresses.objects}",
            **_stickers(),
        }

    def _database(self, database: str) -> dict[str, str]:
        url = postgres.url(self._files.postgres, database, self._settings.postgres_host)
        return {"PARLEY_DATABASE_URL": url}

    def _running(self, service: str) -> str:
        return self._all(service) if service in self._settings.parts else ""

    def _all(self, service: str) -> str:
        return self._addresses.listed(self._settings.names(service))


def _stickers() -> dict[str, str]:
    """Where stickers may stand: without a provider, where those stand that the page has itself."""
    return {"PARLEY_STICKER_HOSTS": os.environ.get("PARLEY_STICKER_HOSTS", "stickers.example")}
