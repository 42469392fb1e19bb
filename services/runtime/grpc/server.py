"""The gRPC server that all services run."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.runtime.clock import Clock, SystemClock
from services.runtime.config import CLEAR_TEXT, ServerConfig, TlsConfig
from services.runtime.errors import BASE_TABLE, ErrorTable
from services.runtime.grpc.channels import KEEPALIVE, NO_PROBE
from services.runtime.grpc.guard import Access, Admins, Admit, Guard, Servers
from services.runtime.grpc.tls import server_credentials
from services.runtime.identity import callers, roles, scopes
from services.runtime.identity.auth import ServiceTokens, UserTokens
from services.runtime.limits.user_limits import UserLimits

log = structlog.get_logger()

Serving = health_pb2.HealthCheckResponse.ServingStatus
LIVENESS = "liveness"
READINESS = "readiness"
# A message of 10,000 four-byte characters, or an SDP offer of 64 KiB, fits many times.
MAX_REQUEST_BYTES = 1 << 20
# So long before the end of a drain's grace, what still runs is refused. Raising it leaves calls less time to finish;
# lowering it keeps some refusals from getting out, and clients see CANCELLED.
LAST_WORDS_S = 1.0

_SERVER_OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    *KEEPALIVE,
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    NO_PROBE,
]


@dataclass(frozen=True)
class Api:
    """One gRPC service of a server."""

    # Full name, such as parley.messaging.v1.MessagingService.
    name: str
    access: Access
    # Adds the implementation to the server (the generated add_…_to_server with its servicer).
    register: Callable[[grpc.aio.Server], None]


class RpcServer:
    """A gRPC server with health, reflection, tokens, deadlines, the error table, metrics and an orderly drain.

    Services of Access.ADMIN and Access.SERVER are served at an address of their own: the former when an issuer of
    people is configured, the latter when a file of servers' keys is.
    With TLS, health is served in clear text too, at another one.
    """

    name = "rpc"

    def __init__(
        self,
        config: ServerConfig,
        apis: Sequence[Api],
        errors: ErrorTable,
        service_tokens: ServiceTokens,
        user_tokens: UserTokens | None = None,
        on_drain: Callable[[], None] | None = None,
        admit: Admit | None = None,
        clock: Clock | None = None,
        admins: Admins | None = None,
        servers: Servers | None = None,
    ) -> None:
        callers.require_rows(api.name for api in apis if api.access is Access.SERVICE)
        for_admins = [api for api in apis if api.access is Access.ADMIN]
        roles.require_rows(api.name for api in for_admins)
        for_servers = [api for api in apis if api.access is Access.SERVER]
        scopes.require_rows(api.name for api in for_servers)
        self._config = config
        self._on_drain = on_drain
        self._guard = Guard(
            access={api.name: api.access for api in apis},
            errors={**BASE_TABLE, **errors},
            user_tokens=user_tokens,
            service_tokens=service_tokens,
            default_deadline_s=config.default_deadline_s,
            admit=admit,
            limits=UserLimits(config.user_limits, clock or SystemClock()),
            admins=admins,
            servers=servers,
        )
        others = [api for api in apis if api.access not in (Access.ADMIN, Access.SERVER)]
        self._main = _Listener(config.grpc_address, others, self._guard, config.tls)
        self._listeners = [self._main]
        self._admin: _Listener | None = None
        self._health: _Listener | None = None
        if config.tls.is_on:
            self._health = _Listener(config.health_address)
            self._listeners.append(self._health)
        _log_closed(admins=bool(for_admins and not admins), servers=bool(for_servers and not servers))
        behind = [*(for_admins if admins else ()), *(for_servers if servers else ())]
        if behind and config.admin:
            self._admin = _Listener(config.admin.address, behind, self._guard, config.tls)
            self._listeners.append(self._admin)

    @property
    def port(self) -> int:
        """Where users and services call; 0 before the start."""
        return self._main.port

    @property
    def admin_port(self) -> int:
        """Where people and servers of the back office call; 0 when nobody does."""
        return self._admin.port if self._admin else 0

    @property
    def health_port(self) -> int:
        """Where health is served in clear text; 0 without TLS, when it is served at the other ports alone."""
        return self._health.port if self._health else 0

    async def start(self) -> None:
        """Listen. Raises RuntimeError when a port is taken."""
        for listener in self._listeners:
            await listener.start()

    async def set_ready(self, ready: bool) -> None:
        """Say through gRPC health whether calls would succeed now. Liveness never changes with it."""
        for listener in self._listeners:
            await listener.set_ready(ready)

    async def stop(self) -> None:
        """Drain: NOT_SERVING first, then no new calls, then wait for the running ones up to the grace.

        Unary calls that still run shortly before its end are refused (SHUTTING_DOWN): the same request may come again.
        """
        try:
            for listener in self._listeners:
                await listener.enter_graceful_shutdown()
            await asyncio.sleep(self._config.drain_delay_s)
            if self._on_drain:
                self._on_drain()
        finally:
            grace_s = self._config.drain_grace_s
            loop = asyncio.get_running_loop()
            ending = loop.call_later(max(grace_s / 2, grace_s - LAST_WORDS_S), self._guard.end_running)
            # A server that still runs when the loop ends spoils the process's memory.
            await asyncio.gather(*(listener.stop(grace_s) for listener in self._listeners))
            ending.cancel()


def _log_closed(*, admins: bool, servers: bool) -> None:
    """Say what of the back office nobody can call, and why."""
    if admins:
        log.warning("admin_services_closed", because="PARLEY_ADMIN_JWKS_URL is not set")
    if servers:
        log.info("server_services_closed", because="PARLEY_SERVER_KEYS_FILE is not set")


class _Listener:
    """One address: the services there, with their health and their reflection. Without a guard: health alone."""

    def __init__(
        self,
        address: str,
        apis: Sequence[Api] = (),
        guard: Guard | None = None,
        tls: TlsConfig = CLEAR_TEXT,
    ) -> None:
        self._address = address
        self._credentials = server_credentials(tls) if tls.is_on else None
        self._names = [api.name for api in apis]
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(interceptors=[guard] if guard else [], options=_SERVER_OPTIONS)
        for api in apis:
            api.register(self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if guard:
            known = (*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(known, self._server)
        self.port = 0

    async def start(self) -> None:
        if self._credentials:
            self.port = self._server.add_secure_port(self._address, self._credentials)
        else:
            self.port = self._server.add_insecure_port(self._address)
        await self._server.start()
        await self._health.set("", Serving.SERVING)
        await self._health.set(LIVENESS, Serving.SERVING)
        await self.set_ready(False)
        log.info("rpc_listening", address=self._address, apis=self._names)

    async def set_ready(self, ready: bool) -> None:
        status = Serving.SERVING if ready else Serving.NOT_SERVING
        for name in (READINESS, *self._names):
            await self._health.set(name, status)

    async def enter_graceful_shutdown(self) -> None:
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_s: float) -> None:
        await self._server.stop(grace_s)
