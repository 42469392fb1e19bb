"""The gRPC server that all services run, and the channels by which they call each other."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from enum import Enum
from inspect import iscoroutinefunction
from time import perf_counter
from typing import Any, Protocol
from uuid import uuid4

import grpc
import structlog
from google.protobuf.message import DecodeError
from google.rpc import status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.runtime import callers, metrics, roles, tasks, tracing
from services.runtime.admin import set_current_admin
from services.runtime.audit import AuditedCall, Trail
from services.runtime.auth import ServiceTokens, UserId, UserTokens, bearer_token, set_current_token
from services.runtime.clock import Clock, SystemClock
from services.runtime.config import CLEAR_TEXT, ServerConfig, TlsConfig
from services.runtime.errors import (
    BASE_TABLE,
    DETAILS_KEY,
    CallerNotAllowed,
    ErrorTable,
    InvalidRequest,
    Refusal,
    ShuttingDown,
    find_refusal,
    status_details,
)
from services.runtime.tls import Peer, SecureChannel, server_credentials
from services.runtime.user_limits import Caller, UserLimits

log = structlog.get_logger()

Serving = health_pb2.HealthCheckResponse.ServingStatus
LIVENESS = "liveness"
READINESS = "readiness"
# A message of 10,000 four-byte characters, or an SDP offer of 64 KiB, fits many times.
MAX_REQUEST_BYTES = 1 << 20
# Keep-alive finds dead peers within about 30 s. Lower: found sooner, more pings from idle connections.
KEEPALIVE_MS = 20_000
# Before the end of a drain's grace: what still runs is refused then. Higher: less time to finish. Lower: some refusals
# do not get out, and clients see CANCELLED.
LAST_WORDS_S = 1.0

Handler = Callable[[Any, Any], Any]
Context = grpc.aio.ServicerContext[Any, Any]
# Asked for each call of a user, by the gRPC service's full name; what it raises refuses the call. On every call's way:
# it should not wait for anything.
Admit = Callable[[str, UserId], Awaitable[None]]
# grpc's own class for it takes no type arguments at run time, while its stubs demand them.
MethodHandler = Any


class Access(Enum):
    """Who may call a gRPC service."""

    USER = "user"
    SERVICE = "service"
    # People, by role, at the admin address.
    ADMIN = "admin"
    ANYONE = "anyone"


@dataclass(frozen=True)
class Api:
    """One gRPC service of a server."""

    # Full name, such as parley.messaging.v1.MessagingService.
    name: str
    access: Access
    # Adds the implementation to the server (the generated add_…_to_server with its servicer).
    register: Callable[[grpc.aio.Server], None]


class Credentials(Protocol):
    """By what a caller is known."""

    def token(self, audience: str, /) -> str:
        """For calls of the gRPC service with this full name."""


@dataclass(frozen=True)
class Admins:
    """Who vouches for people, and where the audit record of their calls is kept besides the log."""

    tokens: UserTokens
    trail: Trail | None = None


def admins(tokens: UserTokens | None, trail: Trail | None = None) -> Admins | None:
    """None when nobody vouches for people."""
    return Admins(tokens, trail) if tokens else None


@dataclass(frozen=True)
class _Undecodable:
    """Stands in for a request whose bytes are not the message, so that it can be refused in the gRPC way."""

    reason: str


class RpcServer:
    """A gRPC server with health, reflection, tokens, deadlines, the error table, metrics and an orderly drain.

    Services of Access.ADMIN are served at an address of their own, and nowhere when no issuer of people is configured.
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
    ) -> None:
        callers.require_rows(api.name for api in apis if api.access is Access.SERVICE)
        for_admins = [api for api in apis if api.access is Access.ADMIN]
        roles.require_rows(api.name for api in for_admins)
        self._config = config
        self._on_drain = on_drain
        self._guard = _Guard(
            access={api.name: api.access for api in apis},
            errors={**BASE_TABLE, **errors},
            user_tokens=user_tokens,
            service_tokens=service_tokens,
            default_deadline_s=config.default_deadline_s,
            admit=admit,
            limits=UserLimits(config.user_limits, clock or SystemClock()),
            admins=admins,
        )
        others = [api for api in apis if api.access is not Access.ADMIN]
        self._main = _Listener(config.grpc_address, others, self._guard, config.tls)
        self._listeners = [self._main]
        self._admin: _Listener | None = None
        self._health: _Listener | None = None
        if config.tls.is_on:
            self._health = _Listener(config.health_address)
            self._listeners.append(self._health)
        if for_admins and admins and config.admin:
            self._admin = _Listener(config.admin.address, for_admins, self._guard, config.tls)
            self._listeners.append(self._admin)
        elif for_admins:
            log.warning("admin_port_closed", because="PARLEY_ADMIN_JWKS_URL is not set")

    @property
    def port(self) -> int:
        """Where users and services call; 0 before the start."""
        return self._main.port

    @property
    def admin_port(self) -> int:
        """Where people call; 0 when nobody does."""
        return self._admin.port if self._admin else 0

    @property
    def health_port(self) -> int:
        """Where health is told in clear text; 0 without TLS, when it is told at the other ports alone."""
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


class _Listener:
    """One address: the services there, with their health and their reflection. Without a guard: health alone."""

    def __init__(
        self,
        address: str,
        apis: Sequence[Api] = (),
        guard: "_Guard | None" = None,
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


# grpc measures the bandwidth with a PING for what comes, to open its windows: inside a cluster 64 KiB are many times
# what is under way, and on a stream of small frames it is a second frame, and a second answer, for most of them.
_NO_PROBE = ("grpc.http2.bdp_probe", 0)

_SERVER_OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    _NO_PROBE,
]


class _Guard(grpc.aio.ServerInterceptor):
    """Around each RPC: context, token, deadline, error table, metrics."""

    def __init__(
        self,
        access: Mapping[str, Access],
        errors: ErrorTable,
        user_tokens: UserTokens | None,
        service_tokens: ServiceTokens,
        default_deadline_s: float,
        admit: Admit | None,
        limits: UserLimits,
        admins: Admins | None,
    ) -> None:
        self._access = access
        self._admins = admins
        self._limits = limits
        self._admit_user = admit
        self._errors = errors
        self._user_tokens = user_tokens
        self._service_tokens = service_tokens
        self._default_deadline_s = default_deadline_s
        # Of the handlers that are at work.
        self._running: set[asyncio.Timeout] = set()
        self._is_ending = False

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[MethodHandler]],
        details: grpc.HandlerCallDetails,
    ) -> MethodHandler:
        handler = await continuation(details)
        service, _, method = str(details.method).lstrip("/").partition("/")
        if handler is None or service not in self._access:
            return handler
        if handler.response_streaming:
            return self._wrap_stream(handler, service, method)
        return self._wrap_unary(handler, service, method)

    def _wrap_unary(self, handler: Any, service: str, method: str) -> MethodHandler:
        inner: Handler = handler.unary_unary

        async def serve(request: Any, context: Context) -> Any:
            header = self._trace_of(context, service)
            with tracing.span(f"{service}/{method}", header, tracing.Kind.SERVER) as span:
                return await self._serve_unary(inner, request, context, span, service, method)

        return grpc.unary_unary_rpc_method_handler(
            serve, _tolerant(handler.request_deserializer), handler.response_serializer
        )

    async def _serve_unary(
        self, inner: Handler, request: Any, context: Context, span: tracing.Span, service: str, method: str
    ) -> Any:
        began = perf_counter()
        code = grpc.StatusCode.OK
        audited = self._audited(service, method)
        try:
            caller = await self._admit(context, service, method, request, audited)
            _refuse_undecodable(request)
            deadline_s = _deadline_s(context, self._default_deadline_s)
            return await self._within(deadline_s, self._in_turn(caller, audited, inner, request, context))
        except Exception as error:
            code, status = self._refusal(error, method)
            await context.abort(code, status.message, ((DETAILS_KEY, status.SerializeToString()),))
        except asyncio.CancelledError as error:
            if tasks.is_cancelled():
                code = grpc.StatusCode.CANCELLED
                raise
            # What the handler waited for was cancelled, as this replica ends: nobody gave the call up.
            code, status = self._refusal(ShuttingDown(f"this replica ends: {error}"), method)
            await context.abort(code, status.message, ((DETAILS_KEY, status.SerializeToString()),))
        finally:
            span.attributes["rpc.grpc.status_code"] = code.value[0]
            span.failure = "" if code is grpc.StatusCode.OK else code.name
            metrics.RPC_SECONDS.labels(service, method).observe(perf_counter() - began, tracing.exemplar())
            metrics.RPC_HANDLED.labels(service, method, code.name).inc()
            if audited:
                await audited.end(code.name)

    def _audited(self, service: str, method: str) -> AuditedCall | None:
        if self._access[service] is not Access.ADMIN or not self._admins:
            return None
        return AuditedCall(uuid4().hex, service, method, self._admins.trail)

    async def _in_turn(
        self, caller: Caller | None, audited: AuditedCall | None, inner: Handler, request: Any, context: Context
    ) -> Any:
        if audited:
            await audited.begin(request)
        if caller is None:
            return await inner(request, context)
        async with self._limits.turn(caller):
            return await inner(request, context)

    async def _within(self, deadline_s: float, answer: Awaitable[Any]) -> Any:
        """The answer of a handler. Raises TimeoutError, or ShuttingDown when it has to end before."""
        deadline = asyncio.timeout(deadline_s)
        try:
            async with deadline:
                self._running.add(deadline)
                return await answer
        except TimeoutError as error:
            if deadline.expired() and self._is_ending:
                raise ShuttingDown("this replica ends") from error
            raise
        finally:
            self._running.discard(deadline)

    def end_running(self) -> None:
        """End what runs with ShuttingDown, now: else grpc would end it as CANCELLED, which tells a client nothing."""
        self._is_ending = True
        now = asyncio.get_running_loop().time()
        for deadline in self._running:
            # One whose own time is up at this moment cannot be moved, and needs not.
            with suppress(RuntimeError):
                deadline.reschedule(now)

    def _wrap_stream(self, handler: Any, service: str, method: str) -> MethodHandler:
        inner: Handler = handler.stream_stream if handler.request_streaming else handler.unary_stream

        writes_itself = iscoroutinefunction(inner)

        # Not a generator: of those grpc keeps more frames alive for each open stream.
        async def serve(request: Any, context: Context) -> None:
            code = grpc.StatusCode.OK
            metrics.RPC_STREAMS.labels(service, method).inc()
            try:
                tracing.enter(self._trace_of(context, service))
                await self._admit(context, service, method, request)
                _refuse_undecodable(request)
                if writes_itself:
                    await inner(request, context)
                else:
                    async with aclosing(inner(request, context)) as responses:
                        async for response in responses:
                            await context.write(response)
            except Exception as error:
                code, status = self._refusal(error, method)
                await context.abort(code, status.message, ((DETAILS_KEY, status.SerializeToString()),))
            except asyncio.CancelledError:
                code = grpc.StatusCode.CANCELLED
                raise
            finally:
                metrics.RPC_STREAMS.labels(service, method).dec()
                metrics.RPC_HANDLED.labels(service, method, code.name).inc()

        make = (
            grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
        )
        deserializer = handler.request_deserializer
        if not handler.request_streaming:
            deserializer = _tolerant(deserializer)
        return make(serve, deserializer, handler.response_serializer)

    def _trace_of(self, context: Context, service: str) -> str | None:
        header = _metadata(context).get(tracing.HEADER)
        return header if self._access[service] is Access.SERVICE else tracing.resampled(header)

    async def _admit(
        self, context: Context, service: str, method: str, request: Any, audited: AuditedCall | None = None
    ) -> Caller | None:
        """Let the call in. Who calls, when it is a user, charged before anything is asked of a store."""
        metadata = _metadata(context)
        structlog.contextvars.bind_contextvars(rpc=method)
        access = self._access[service]
        if access is Access.USER:
            if self._user_tokens is None:
                raise RuntimeError(f"{service} takes users' tokens, but this server knows none")
            token = await self._user_tokens.verify(bearer_token(metadata))
            set_current_token(token)
            structlog.contextvars.bind_contextvars(user_id=token.user_id)
            caller = Caller(service, method, token.user_id)
            self._limits.charge(caller, request)
            if self._admit_user:
                async with self._limits.look(caller):
                    await self._admit_user(service, token.user_id)
            return caller
        if access is Access.SERVICE:
            peer = self._service_tokens.verify(bearer_token(metadata), service)
            structlog.contextvars.bind_contextvars(peer_service=peer)
            if not callers.may_call(peer, service, method):
                raise CallerNotAllowed(f"{peer} may not call {method}")
        if access is Access.ADMIN:
            await self._admit_person(metadata, service, method, audited)
        return None

    async def _admit_person(
        self, metadata: dict[str, str], service: str, method: str, audited: AuditedCall | None
    ) -> None:
        if self._admins is None or audited is None:
            raise RuntimeError(f"{service} takes people's tokens, but this server knows none")
        person = await self._admins.tokens.verify(bearer_token(metadata))
        audited.by(person)
        if not roles.may_call(person.roles, service, method):
            raise CallerNotAllowed(f"{method} takes the role {roles.ROLES[service][method].role}")
        set_current_admin(person)

    def _refusal(self, error: Exception, method: str) -> tuple[grpc.StatusCode, status_pb2.Status]:
        refusal = find_refusal(self._errors, error)
        if refusal is None:
            log.exception("rpc_failed", rpc=method)
            refusal, error = Refusal(grpc.StatusCode.INTERNAL, "INTERNAL"), RuntimeError("internal error")
        else:
            log.info("rpc_refused", rpc=method, reason=refusal.reason, error=type(error).__name__)
        return refusal.code, status_details(refusal, error)


def _metadata(context: Context) -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}


def _deadline_s(context: Context, default_s: float) -> float:
    remaining = context.time_remaining()
    return default_s if remaining is None else max(0.0, min(remaining, 3600.0))


def _tolerant(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    if deserialize is None:
        return None

    def decode(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError as error:
            return _Undecodable(str(error))

    return decode


def _refuse_undecodable(request: Any) -> None:
    if isinstance(request, _Undecodable):
        raise InvalidRequest("request", "not a valid message, or a string in it is not valid UTF-8")


def connect(
    address: str, tokens: Credentials | None, peer: Peer | None = None, *, fresh: bool = False
) -> grpc.aio.Channel:
    """A channel to a service of ours: token, trace context, keep-alive, round robin over all addresses.

    `address` is `host:port`, where the host may have many addresses, or several `ip:port` separated by commas.
    Without `tokens` it is good for health only. `peer`: who must be there, over mutual TLS; without one, clear text.
    Give every call on it a timeout. `fresh`: it connects for itself, and at once, where it would else share the
    connection of other channels to the address, or the wait between their attempts: for who asks a process that has
    just come, or has just gone.
    """
    target = f"ipv4:{address}" if "," in address else address
    options = [
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        _NO_PROBE,
        ("grpc.lb_policy_name", "round_robin"),
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        ("grpc.enable_retries", 1),
        ("grpc.use_local_subchannel_pool", int(fresh)),
    ]
    interceptors = [_UnaryCredentials(tokens), _StreamCredentials(tokens)] if tokens else []
    if peer is None:
        return grpc.aio.insecure_channel(target, options=options, interceptors=interceptors)
    # gRPC holds the server's certificate against this name.
    options.append(("grpc.default_authority", peer.name))
    return SecureChannel(
        peer, lambda credentials: grpc.aio.secure_channel(target, credentials, options, interceptors=interceptors)
    )


def _with_credentials(details: grpc.aio.ClientCallDetails, tokens: Credentials) -> grpc.aio.ClientCallDetails:
    metadata = grpc.aio.Metadata(*(details.metadata or ()))
    method = details.method.decode() if isinstance(details.method, bytes) else details.method
    metadata.add("authorization", f"Bearer {tokens.token(method.lstrip('/').partition('/')[0])}")
    trace = tracing.current_header()
    if trace:
        metadata.add(tracing.HEADER, trace)
    return grpc.aio.ClientCallDetails(
        details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
    )


class _UnaryCredentials(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, tokens: Credentials) -> None:
        self._tokens = tokens

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(_with_credentials(details, self._tokens), request)


class _StreamCredentials(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, tokens: Credentials) -> None:
        self._tokens = tokens

    async def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
        return await continuation(_with_credentials(details, self._tokens), requests)
