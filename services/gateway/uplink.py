"""The gateway's streams to the presence replicas, one each, kept open for ever."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import grpc
import structlog
from parley.presence.v1 import messages_pb2, service_pb2_grpc
from parley.presence.v1 import service_pb2 as api

from services.gateway import metrics
from services.gateway.core import (
    Register,
    Registered,
    ReplicaId,
    Route,
    RouteWatchList,
    Unregister,
    UpFrame,
    Watch,
)
from services.gateway.service import Gateway

log = structlog.get_logger()

# Frames that may wait for a replica. Higher: more memory while it hangs. Lower: the link is broken and built anew.
QUEUE_LIMIT = 100_000
RECONNECT_S = (0.1, 2.0)

OpenChannel = Callable[[str], grpc.aio.Channel]


class PresenceUplinks:
    """See ports.Uplinks. A part of the service, too."""

    name = "presence-uplinks"

    def __init__(self, addresses: Sequence[str], gateway_id: str, open_channel: OpenChannel) -> None:
        self._addresses = addresses
        self._gateway_id = gateway_id
        self._open_channel = open_channel
        self._queues: dict[ReplicaId, asyncio.Queue[UpFrame | None]] = {}

    def push(self, replica: ReplicaId, frame: UpFrame) -> None:
        """See ports.Uplinks."""
        queue = self._queues.get(replica)
        if queue is None:
            return
        if queue.qsize() >= QUEUE_LIMIT:
            # None ends the stream; what waited is told anew after the next assignment.
            queue.put_nowait(None)
            del self._queues[replica]
            return
        queue.put_nowait(frame)

    def runners(self, gateway: Gateway) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """One endless coroutine for each replica."""
        return [partial(self._run, address, gateway) for address in self._addresses]

    async def _run(self, address: str, gateway: Gateway) -> None:
        replica = ReplicaId(address)
        delay_s = RECONNECT_S[0]
        async with self._open_channel(address) as channel:
            stub = service_pb2_grpc.RouterServiceStub(channel)
            while True:
                try:
                    await self._attach(stub, replica, gateway)
                    delay_s = RECONNECT_S[0]
                except grpc.aio.AioRpcError as error:
                    log.warning("presence_detached", replica=replica, code=error.code().name, retry_s=delay_s)
                finally:
                    self._queues.pop(replica, None)
                    gateway.detached(replica)
                    metrics.UPLINKS.set(len(self._queues))
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RECONNECT_S[1])

    async def _attach(self, stub: Any, replica: ReplicaId, gateway: Gateway) -> None:
        queue: asyncio.Queue[UpFrame | None] = asyncio.Queue()
        self._queues[replica] = queue
        call = stub.Attach(self._requests(queue))
        async for response in call:
            metrics.UPLINKS.set(len(self._queues))
            _handle(gateway, replica, response)

    async def _requests(self, queue: "asyncio.Queue[UpFrame | None]") -> AsyncIterator[api.AttachRequest]:
        yield api.AttachRequest(hello=messages_pb2.Hello(gateway_id=self._gateway_id))
        while (frame := await queue.get()) is not None:
            yield _encode(frame)


def _handle(gateway: Gateway, replica: ReplicaId, response: api.AttachResponse) -> None:
    match response.WhichOneof("frame"):
        case "deliver":
            deliver = response.deliver
            gateway.deliver(deliver.session_ids, deliver.frame, durable=deliver.durable)
        case "register_ack":
            gateway.acknowledged(response.register_ack.session_ids)
        case "assignment":
            assignment = response.assignment
            gateway.assigned(replica, assignment.epoch, assignment.partitions, assignment.partition_count)
            log.info("presence_assigned", replica=replica, epoch=assignment.epoch, count=len(assignment.partitions))
        case "watch_command":
            gateway.command_watch(response.watch_command.session_id, response.watch_command.user_ids)
        case other:
            # A newer replica may send frames that this gateway does not know.
            log.info("frame_ignored", frame=other)


def _encode(frame: UpFrame) -> api.AttachRequest:
    match frame:
        case Register(epoch, sessions):
            entries = [
                messages_pb2.Session(session_id=s.session_id, user_id=s.user_id, device_id=s.device_id)
                for s in sessions
            ]
            return api.AttachRequest(register=messages_pb2.Register(epoch=epoch, sessions=entries))
        case Unregister(session_ids):
            return api.AttachRequest(unregister=messages_pb2.Unregister(session_ids=session_ids))
        case Registered(epoch):
            return api.AttachRequest(registered=messages_pb2.Registered(epoch=epoch))
        case Watch(epoch, session_id, user_ids):
            return api.AttachRequest(watch=messages_pb2.Watch(epoch=epoch, session_id=session_id, user_ids=user_ids))
        case Route(user_id, data):
            return api.AttachRequest(route=messages_pb2.Route(user_id=user_id, frame=data))
        case RouteWatchList(user_id, device_id, user_ids):
            watch_list = messages_pb2.WatchList(device_id=device_id, user_ids=user_ids)
            return api.AttachRequest(route=messages_pb2.Route(user_id=user_id, watch_list=watch_list))
