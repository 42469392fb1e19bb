"""RouterService, the streams of gateways and of producers, and PresenceAdminService."""

import asyncio
from collections.abc import AsyncIterator, Sized
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError
from parley.presence.v1 import admin_pb2, admin_pb2_grpc, messages_pb2
from parley.presence.v1 import service_pb2 as api

from services.presence.core.model import Delivery, DeviceId, Effect, Session, StreamId, UserId
from services.presence.delivery_ways import DeliveryWays, ProducerStream
from services.presence.gateway_stream import GatewayStream, GatewayTooSlow
from services.presence.mapping import decode_delivery, encode_assignment, encode_batch, encode_frame, encode_time
from services.presence.service import GatewayReplaced, GatewayView, Presence, TooManySessions
from services.runtime import tasks
from services.runtime.clock import Clock
from services.runtime.errors import ErrorTable, InvalidRequest, Refusal
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api
from services.runtime.user_ids import USER_ID_RULE, is_user_id

log = structlog.get_logger()

ROUTER_SERVICE = "parley.presence.v1.RouterService"
# Entries a frame. Gateways send 500 sessions at a time, and watch lists of 1,000.
MAX_ENTRIES = 10_000
MAX_ID_CHARS = 64
# Of a member of a consumer group: brokers add a UUID to what the client calls itself.
MAX_MEMBER_CHARS = 255
# For a gateway to say who it is. Raising it keeps streams that say nothing for longer; lowering it cuts slow ones off.
HELLO_TIMEOUT_S = 10.0

ERRORS: ErrorTable = {
    GatewayTooSlow: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER", retry_delay_s=0.2),
    TooManySessions: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_SESSIONS", retry_delay_s=5.0),
    GatewayReplaced: Refusal(grpc.StatusCode.ABORTED, "REPLACED"),
}


def apis(presence: Presence, ways: DeliveryWays, clock: Clock, queue_size: int) -> list[Api]:
    """What the server serves."""
    servicer = RouterServicer(presence, ways, clock, queue_size)
    admin = AdminServicer(presence)
    return [
        Api(ROUTER_SERVICE, Access.SERVICE, lambda server: _add_router(servicer, server)),
        Api(
            "parley.presence.v1.PresenceAdminService",
            Access.ADMIN,
            lambda server: admin_pb2_grpc.add_PresenceAdminServiceServicer_to_server(admin, server),
        ),
    ]


def _add_router(servicer: "RouterServicer", server: grpc.aio.Server) -> None:
    """RouterService by hand: a frame that cannot be read shall end the stream with a reason."""
    handlers: Any = {
        "Attach": grpc.stream_stream_rpc_method_handler(
            servicer.Attach, request_deserializer=None, response_serializer=api.AttachResponse.SerializeToString
        ),
        "Deliver": grpc.stream_stream_rpc_method_handler(
            servicer.Deliver, request_deserializer=None, response_serializer=api.DeliverResponse.SerializeToString
        ),
        "GetDeviceStream": grpc.unary_unary_rpc_method_handler(
            servicer.GetDeviceStream,
            request_deserializer=api.GetDeviceStreamRequest.FromString,
            response_serializer=api.GetDeviceStreamResponse.SerializeToString,
        ),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(ROUTER_SERVICE, handlers),))


class RouterServicer:
    """One Attach a gateway, one Deliver a replica of a producer; and what signaling asks of a device."""

    def __init__(self, presence: Presence, ways: DeliveryWays, clock: Clock, queue_size: int) -> None:
        self._presence = presence
        self._ways = ways
        self._clock = clock
        self._queue_size = queue_size

    async def Attach(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[api.AttachResponse]:
        frames = aiter(requests)
        hello = await _hello(frames)
        gateway_id = hello.gateway_id
        log.info("gateway_attached", gateway_id=gateway_id)
        stream = GatewayStream(self._queue_size, gateway_id, self._clock.now().timestamp())
        stream_id = self._presence.attach(stream)
        reader = tasks.awaited(self._read(stream_id, stream, frames), why="ends with the RPC")
        try:
            async for batch in stream.batches():
                for response in encode_batch(batch) if hello.reads_delivers else map(encode_frame, batch):
                    yield response
        finally:
            await tasks.stop(reader)
            self._presence.detach(stream_id)
            log.info("gateway_detached", gateway_id=gateway_id)

    async def _read(self, stream_id: StreamId, stream: GatewayStream, frames: AsyncIterator[bytes]) -> None:
        try:
            async for data in frames:
                self._handle(stream_id, _decode(data))
        except InvalidRequest as error:
            stream.fail(error)
        except Exception as error:
            log.exception("gateway_stream_failed")
            stream.fail(error)
        else:
            stream.close()

    async def Deliver(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[api.DeliverResponse]:
        producer = self._ways.attach()
        reader = tasks.awaited(self._read_deliveries(producer, requests), why="ends with the RPC")
        try:
            async for assignment in producer.assignments():
                yield api.DeliverResponse(assignment=encode_assignment(assignment))
        finally:
            await tasks.stop(reader)
            self._ways.detach(producer)

    async def GetDeviceStream(
        self, request: api.GetDeviceStreamRequest, context: Context
    ) -> api.GetDeviceStreamResponse:
        if not is_user_id(request.user_id):
            raise InvalidRequest("user_id", USER_ID_RULE)
        _check_device_id("device_id", request.device_id)
        presence = self._presence
        stream = presence.router.stream_of(UserId(request.user_id), DeviceId(request.device_id), presence.now())
        if stream is None:
            return api.GetDeviceStreamResponse()
        if stream.broken_s is None:
            return api.GetDeviceStreamResponse(state=api.DEVICE_STREAM_STATE_OPEN)
        return api.GetDeviceStreamResponse(state=api.DEVICE_STREAM_STATE_BROKEN, broken_s=stream.broken_s)

    async def _read_deliveries(self, producer: ProducerStream, frames: AsyncIterator[bytes]) -> None:
        try:
            async for data in frames:
                epoch, deliveries = _direct_deliveries(data)
                self._ways.take_direct(epoch, deliveries)
        except InvalidRequest as error:
            producer.end(error)
        except Exception as error:
            log.exception("producer_stream_failed")
            producer.end(error)
        else:
            producer.end()

    def _handle(self, stream_id: StreamId, request: api.AttachRequest) -> None:
        presence, router, now = self._presence, self._presence.router, self._presence.now()
        match request.WhichOneof("frame"):
            case "register":
                sessions = _sessions(request.register)
                presence.apply(router.register(stream_id, request.register.epoch, sessions, now))
            case "unregister":
                _check_entries("unregister.session_ids", request.unregister.session_ids)
                presence.apply(router.unregister(stream_id, request.unregister.session_ids, now))
            case "registered":
                presence.apply(router.registered(stream_id, request.registered.epoch))
            case "detached":
                detached = request.detached
                _check_entries("detached.session_ids", detached.session_ids)
                presence.apply(router.detached(stream_id, detached.session_ids, detached.detached, now))
            case "watch":
                watch = request.watch
                _check_entries("watch.user_ids", watch.user_ids)
                user_ids = [UserId(id_) for id_ in watch.user_ids]
                presence.apply(router.watch(stream_id, watch.epoch, watch.session_id, user_ids))
            case "route":
                presence.apply(self._route(stream_id, request.route))
            case "gone":
                if not 0 < len(request.gone.member_id) <= MAX_MEMBER_CHARS:
                    raise InvalidRequest("gone.member_id", f"must have 1 to {MAX_MEMBER_CHARS} characters")
                presence.report_failed(stream_id, request.gone.member_id)
            case other:
                # A newer gateway may know frames that this replica does not.
                log.info("frame_ignored", frame=other)

    def _route(self, stream_id: StreamId, route: messages_pb2.Route) -> list[Effect]:
        router, user_id = self._presence.router, UserId(route.user_id)
        match route.WhichOneof("payload"):
            case "watch_list":
                watch_list = route.watch_list
                _check_entries("route.watch_list.user_ids", watch_list.user_ids)
                user_ids = [UserId(id_) for id_ in watch_list.user_ids]
                return router.route_watch_list(user_id, DeviceId(watch_list.device_id), user_ids)
            case "status":
                status = route.status
                return router.set_status(user_id, DeviceId(status.device_id), status.away, self._presence.now())
            case "frame":
                return router.route(stream_id, user_id, route.frame)
            case other:
                log.info("frame_ignored", frame=other)
                return []


class AdminServicer(admin_pb2_grpc.PresenceAdminServiceServicer):
    """The replica as people see it."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence

    async def DescribeReplica(
        self, request: admin_pb2.DescribeReplicaRequest, context: Context
    ) -> admin_pb2.DescribeReplicaResponse:
        view = self._presence.describe()
        return admin_pb2.DescribeReplicaResponse(
            epoch=view.epoch,
            partitions=sorted(view.partitions),
            partition_count=view.partition_count,
            collecting=view.collecting,
            gateways=[_encode_gateway(gateway) for gateway in view.gateways],
            users=view.users,
            unsaved_states=view.unsaved,
            unpublished_states=view.unpublished,
        )


async def _hello(frames: AsyncIterator[bytes]) -> messages_pb2.Hello:
    """The first frame, which says who the gateway is. Errors: InvalidRequest, TimeoutError."""
    async with asyncio.timeout(HELLO_TIMEOUT_S):
        data = await anext(frames, None)
    first = api.AttachRequest() if data is None else _decode(data)
    if first.WhichOneof("frame") != "hello":
        raise InvalidRequest("frame", "the first frame must be hello")
    if not 0 < len(first.hello.gateway_id) <= MAX_ID_CHARS:
        raise InvalidRequest("hello.gateway_id", f"must have 1 to {MAX_ID_CHARS} characters")
    return first.hello


def _decode(data: bytes) -> api.AttachRequest:
    try:
        return api.AttachRequest.FromString(data)
    except DecodeError as error:
        raise InvalidRequest("frame", "not an AttachRequest") from error


def _direct_deliveries(data: bytes) -> tuple[int, list[Delivery]]:
    try:
        request = api.DeliverRequest.FromString(data)
    except DecodeError as error:
        raise InvalidRequest("frame", "not a DeliverRequest") from error
    _check_entries("deliveries", request.deliveries)
    if not all(direct.delivery.delivery_id and direct.delivery.user_id for direct in request.deliveries):
        # Without an id nobody would know it again when the topic brings it.
        raise InvalidRequest("deliveries", "each must have a delivery_id and a user_id")
    return request.epoch, [decode_delivery(direct.delivery, direct.trace or None) for direct in request.deliveries]


def _sessions(register: messages_pb2.Register) -> list[Session]:
    _check_entries("register.sessions", register.sessions)
    for session in register.sessions:
        if not is_user_id(session.user_id):
            raise InvalidRequest("register.sessions.user_id", USER_ID_RULE)
        _check_device_id("register.sessions.device_id", session.device_id)
    return [
        Session(
            session.session_id, UserId(session.user_id), DeviceId(session.device_id), session.away, session.detached
        )
        for session in register.sessions
    ]


def _check_device_id(name: str, device_id: str) -> None:
    """The gateway has checked its form; here it is only stored, compared and sent back."""
    if not 0 < len(device_id) <= MAX_ID_CHARS:
        raise InvalidRequest(name, f"must have 1 to {MAX_ID_CHARS} characters")


def _check_entries(name: str, entries: Sized) -> None:
    if len(entries) > MAX_ENTRIES:
        raise InvalidRequest(name, f"has {len(entries)} entries; at most {MAX_ENTRIES} are allowed")


def _encode_gateway(gateway: GatewayView) -> admin_pb2.AttachedGateway:
    return admin_pb2.AttachedGateway(
        gateway_id=gateway.gateway_id,
        sessions=gateway.sessions,
        watching_sessions=gateway.watching,
        queued_frames=gateway.queued,
        attach_time=encode_time(gateway.attach_time),
    )
