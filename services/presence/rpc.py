"""RouterService: the gateways' streams."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress

import grpc
import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from parley.gateway.v1 import messages_pb2 as gateway
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.presence.v1 import messages_pb2, service_pb2_grpc
from parley.presence.v1 import service_pb2 as api

from services.presence.core import (
    Assignment,
    Deliver,
    DeviceId,
    Frame,
    LinkId,
    PresenceChange,
    RegisterAck,
    Session,
    UserId,
    WatchCommand,
)
from services.presence.service import Presence
from services.runtime.errors import ErrorTable, InvalidRequest, Refusal
from services.runtime.rpc import Access, Api, Context

log = structlog.get_logger()


class GatewayTooSlow(Exception):
    """The gateway did not read its frames in time; it is to attach again, and tells its devices to sync."""


ERRORS: ErrorTable = {GatewayTooSlow: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER", retry_delay_s=0.2)}


def apis(presence: Presence, queue_size: int) -> list[Api]:
    """What the server serves."""
    servicer = RouterServicer(presence, queue_size)
    return [
        Api(
            "parley.presence.v1.RouterService",
            Access.SERVICE,
            lambda server: service_pb2_grpc.add_RouterServiceServicer_to_server(servicer, server),
        )
    ]


class QueueLink:
    """A bounded queue of frames for one gateway. When it overflows, or the gateway leaves, reading it ends."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._frames: deque[Frame] = deque()
        self._changed = asyncio.Event()
        self._closed = False
        self._overflowed = False

    def push(self, frame: Frame) -> bool:
        """See ports.Link."""
        if len(self._frames) >= self._size:
            self._overflowed = True
        else:
            self._frames.append(frame)
        self._changed.set()
        return not self._overflowed

    def close(self) -> None:
        """The gateway has left."""
        self._closed = True
        self._changed.set()

    async def frames(self) -> AsyncIterator[Frame]:
        """What is to be sent, until the link is closed. Errors: GatewayTooSlow."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._frames and not self._overflowed:
                yield self._frames.popleft()
            if self._overflowed:
                raise GatewayTooSlow("the gateway's queue is full")
            if self._closed:
                return


class RouterServicer(service_pb2_grpc.RouterServiceServicer):
    """One Attach a gateway."""

    def __init__(self, presence: Presence, queue_size: int) -> None:
        self._presence = presence
        self._queue_size = queue_size

    async def Attach(
        self, request_iterator: AsyncIterator[api.AttachRequest], context: Context
    ) -> AsyncIterator[api.AttachResponse]:
        first = await anext(aiter(request_iterator), None)
        if first is None or first.WhichOneof("frame") != "hello":
            raise InvalidRequest("frame", "the first frame must be hello")
        log.info("gateway_attached", gateway_id=first.hello.gateway_id)
        link = QueueLink(self._queue_size)
        link_id = self._presence.attach(link)
        reader = asyncio.create_task(self._read(link_id, request_iterator))
        reader.add_done_callback(lambda _: link.close())
        try:
            async for frame in link.frames():
                yield _encode(frame)
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader
            self._presence.detach(link_id)
            log.info("gateway_detached", gateway_id=first.hello.gateway_id)

    async def _read(self, link_id: LinkId, requests: AsyncIterator[api.AttachRequest]) -> None:
        try:
            async for request in requests:
                self._handle(link_id, request)
        except Exception:
            log.exception("gateway_stream_failed")

    def _handle(self, link_id: LinkId, request: api.AttachRequest) -> None:
        presence = self._presence
        match request.WhichOneof("frame"):
            case "register":
                sessions = [
                    Session(session.session_id, UserId(session.user_id), DeviceId(session.device_id))
                    for session in request.register.sessions
                ]
                presence.register(link_id, request.register.epoch, sessions)
            case "unregister":
                presence.unregister(link_id, request.unregister.session_ids)
            case "registered":
                presence.registered(link_id, request.registered.epoch)
            case "watch":
                watch = request.watch
                presence.watch(link_id, watch.epoch, watch.session_id, [UserId(id_) for id_ in watch.user_ids])
            case "route":
                self._route(request.route)
            case other:
                # A newer gateway may know frames that this replica does not.
                log.info("frame_ignored", frame=other)

    def _route(self, route: messages_pb2.Route) -> None:
        user_id = UserId(route.user_id)
        if route.WhichOneof("payload") == "watch_list":
            watch_list = route.watch_list
            targets = [UserId(id_) for id_ in watch_list.user_ids]
            self._presence.command_watch(user_id, DeviceId(watch_list.device_id), targets)
        else:
            self._presence.route(user_id, route.frame)


def _encode(frame: Frame) -> api.AttachResponse:
    match frame:
        case Deliver(session_ids, content, durable):
            data = content if isinstance(content, bytes) else _presence_frame(content)
            return api.AttachResponse(
                deliver=messages_pb2.Deliver(session_ids=session_ids, frame=data, durable=durable)
            )
        case RegisterAck(session_ids):
            return api.AttachResponse(register_ack=messages_pb2.RegisterAck(session_ids=session_ids))
        case Assignment(epoch, partitions, partition_count):
            return api.AttachResponse(
                assignment=messages_pb2.Assignment(
                    epoch=epoch, partitions=sorted(partitions), partition_count=partition_count
                )
            )
        case WatchCommand(session_id, user_ids):
            return api.AttachResponse(watch_command=messages_pb2.WatchCommand(session_id=session_id, user_ids=user_ids))


def _presence_frame(change: PresenceChange) -> bytes:
    last_seen = None
    if change.last_seen is not None:
        last_seen = Timestamp()
        last_seen.FromNanoseconds(int(change.last_seen * 1e9))
    state = gateway.PRESENCE_STATE_ONLINE if change.online else gateway.PRESENCE_STATE_OFFLINE
    event = gateway.PresenceChanged(user_id=change.user_id, state=state, last_seen_time=last_seen)
    return gateway_service.SubscribeResponse(event=gateway.DeviceEvent(presence=event)).SerializeToString()
