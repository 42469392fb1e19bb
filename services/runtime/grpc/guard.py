"""What stands around each RPC of a server: its caller, trace, deadline and turn, the error table, metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from enum import Enum
from inspect import iscoroutinefunction
from time import perf_counter
from typing import Any
from uuid import uuid4

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2

from services.runtime import tasks
from services.runtime.errors import (
    DETAILS_KEY,
    CallerNotAllowed,
    ErrorTable,
    InvalidRequest,
    Refusal,
    ShuttingDown,
    find_refusal,
    status_details,
)
from services.runtime.grpc import connect
from services.runtime.grpc.admin_access import Admins as Admins
from services.runtime.grpc.admin_access import Servers as Servers
from services.runtime.grpc.admin_access import admins as admins
from services.runtime.grpc.admin_access import admit_person, admit_server
from services.runtime.grpc.admin_access import servers as servers
from services.runtime.grpc.connect import Protocol, UnreadJson
from services.runtime.identity import callers
from services.runtime.identity.audit import AuditedCall
from services.runtime.identity.auth import (
    ServiceTokens,
    UserId,
    UserTokens,
    bearer_token,
    set_current_token,
)
from services.runtime.limits.user_limits import Caller, UserLimits
from services.runtime.observability import metrics, tracing

log = structlog.get_logger()

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
    # The back office's programs, by the scopes of their keys, at the admin address.
    SERVER = "server"
    ANYONE = "anyone"


@dataclass
class _Call:
    """One call: of what, in which protocol, and by which user once that is known."""

    service: str
    method: str
    protocol: Protocol
    caller: Caller | None = None


class Guard(grpc.aio.ServerInterceptor):
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
        servers: Servers | None = None,
    ) -> None:
        self._access = access
        self._admins = admins
        self._servers = servers
        self._limits = limits
        self._look_up = admit
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
        protocol = connect.GRPC
        if self._access[service] is Access.USER:
            protocol = connect.protocol_of(details.invocation_metadata or ())
        if handler.response_streaming:
            return self._wrap_stream(handler, service, method, protocol)
        return self._wrap_unary(handler, service, method, protocol)

    def _wrap_unary(self, handler: Any, service: str, method: str, protocol: Protocol) -> MethodHandler:
        inner: Handler = handler.unary_unary
        call = _Call(service, method, protocol)

        async def serve(request: Any, context: Context) -> Any:
            header = self._trace_of(context, service)
            with tracing.span(f"{service}/{method}", header, tracing.Kind.SERVER) as span:
                return await self._serve_unary(inner, request, context, span, call)

        return grpc.unary_unary_rpc_method_handler(serve, *self._codec(handler, call))

    def _codec(self, handler: Any, call: _Call) -> tuple[Any, Any]:
        """What reads the requests of a handler, and what writes its answers."""
        if not call.protocol.is_json:
            return _tolerant(handler.request_deserializer), handler.response_serializer
        codec = connect.codec_of(call.service, call.method)

        def write(message: Any) -> bytes:
            # What a stream brings is the doing of others.
            if isinstance(message, Message):
                self._limits.owe_for_json(call.caller, message.ByteSize())
            return codec.write(message)

        return codec.read, write

    async def _serve_unary(
        self, inner: Handler, request: Any, context: Context, span: tracing.Span, call: _Call
    ) -> Any:
        service, method = call.service, call.method
        began = perf_counter()
        code = grpc.StatusCode.OK
        audited = self._audited(service, method)
        try:
            caller, request = await self._admit(context, call, request, audited)
            _refuse_undecodable(request)
            deadline_s = _deadline_s(context, self._default_deadline_s)
            return await self._within(deadline_s, self._in_turn(caller, audited, inner, request, context))
        except Exception as error:
            code, status = self._refusal(error, call)
            await context.abort(code, status.message, ((DETAILS_KEY, status.SerializeToString()),))
        except asyncio.CancelledError as error:
            if tasks.is_cancelled():
                code = grpc.StatusCode.CANCELLED
                raise
            # What the handler waited for was cancelled, as this replica ends: nobody gave the call up.
            code, status = self._refusal(ShuttingDown(f"this replica ends: {error}"), call)
            await context.abort(code, status.message, ((DETAILS_KEY, status.SerializeToString()),))
        finally:
            span.attributes["rpc.grpc.status_code"] = code.value[0]
            span.failure = "" if code is grpc.StatusCode.OK else code.name
            metrics.RPC_SECONDS.labels(service, method).observe(perf_counter() - began, tracing.exemplar())
            metrics.RPC_HANDLED.labels(service, method, code.name).inc()
            if audited:
                await audited.end(code.name)

    def _audited(self, service: str, method: str) -> AuditedCall | None:
        known = {Access.ADMIN: self._admins, Access.SERVER: self._servers}.get(self._access[service])
        return AuditedCall(uuid4().hex, service, method, known.trail) if known else None

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

    def _wrap_stream(self, handler: Any, service: str, method: str, protocol: Protocol) -> MethodHandler:
        inner: Handler = handler.stream_stream if handler.request_streaming else handler.unary_stream
        call = _Call(service, method, protocol)

        writes_itself = iscoroutinefunction(inner)

        # Not a generator: of those grpc keeps more frames alive for each open stream.
        async def serve(request: Any, context: Context) -> None:
            code = grpc.StatusCode.OK
            metrics.RPC_STREAMS.labels(service, method).inc()
            try:
                tracing.enter(self._trace_of(context, service))
                _, request = await self._admit(context, call, request)
                _refuse_undecodable(request)
                if writes_itself:
                    await inner(request, context)
                else:
                    async with aclosing(inner(request, context)) as responses:
                        async for response in responses:
                            await context.write(response)
            except Exception as error:
                code, status = self._refusal(error, call)
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
        if handler.request_streaming:
            return make(serve, handler.request_deserializer, handler.response_serializer)
        return make(serve, *self._codec(handler, call))

    def _trace_of(self, context: Context, service: str) -> str | None:
        header = _metadata(context).get(tracing.HEADER)
        return header if self._access[service] is Access.SERVICE else tracing.resampled(header)

    async def _admit(
        self, context: Context, call: _Call, request: Any, audited: AuditedCall | None = None
    ) -> tuple[Caller | None, Any]:
        """Let the call in. Who calls, when it is a user, charged before anything is asked of a store; and the request,
        read."""
        service, method = call.service, call.method
        metadata = _metadata(context)
        structlog.contextvars.bind_contextvars(rpc=method)
        access = self._access[service]
        if access is Access.USER:
            return await self._admit_user(metadata, call, request)
        if access is Access.SERVICE:
            peer = self._service_tokens.verify(bearer_token(metadata), service)
            structlog.contextvars.bind_contextvars(peer_service=peer)
            if not callers.may_call(peer, service, method):
                raise CallerNotAllowed(f"{peer} may not call {method}")
        if access is Access.ADMIN:
            await admit_person(self._admins, metadata, service, method, audited)
        if access is Access.SERVER:
            admit_server(self._servers, metadata, service, method, audited)
        return None, request

    async def _admit_user(self, metadata: dict[str, str], call: _Call, request: Any) -> tuple[Caller, Any]:
        if self._user_tokens is None:
            raise RuntimeError(f"{call.service} takes users' tokens, but this server knows none")
        token = await self._user_tokens.verify(bearer_token(metadata))
        set_current_token(token)
        structlog.contextvars.bind_contextvars(user_id=token.user_id)
        call.caller = caller = Caller(call.service, call.method, token.user_id)
        if isinstance(request, UnreadJson):
            self._limits.charge_json(caller, len(request.data))
            request = request.read()
        self._limits.charge(caller, request)
        if self._look_up:
            async with self._limits.look(caller):
                await self._look_up(call.service, token.user_id)
        return caller, request

    def _refusal(self, error: Exception, call: _Call) -> tuple[grpc.StatusCode, status_pb2.Status]:
        refusal = find_refusal(self._errors, error)
        if refusal is None:
            log.exception("rpc_failed", rpc=call.method)
            refusal, error = Refusal(grpc.StatusCode.INTERNAL, "INTERNAL"), RuntimeError("internal error")
        else:
            log.info("rpc_refused", rpc=call.method, reason=refusal.reason, error=type(error).__name__)
        status = status_details(refusal, error)
        return refusal.code, connect.in_connects_words(status) if call.protocol.is_connect else status


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
        except DecodeError:
            return connect.Undecodable("not a valid message, or a string in it is not valid UTF-8")

    return decode


def _refuse_undecodable(request: Any) -> None:
    if isinstance(request, connect.Undecodable):
        raise InvalidRequest("request", request.reason)
