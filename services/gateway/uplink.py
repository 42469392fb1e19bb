"""The gateway's streams to the presence replicas, one each, kept open for as long as the replica is there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

import grpc
import structlog
from parley.presence.v1 import messages_pb2, service_pb2_grpc
from parley.presence.v1 import service_pb2 as api

from services.gateway import metrics
from services.gateway.core.model import (
    Detached,
    Gone,
    PresenceFrame,
    Register,
    Registered,
    ReplicaId,
    Route,
    RouteStatus,
    RouteWatchList,
    Session,
    Unregister,
    Watch,
)
from services.gateway.core.registry import REGISTER_BATCH
from services.gateway.service import Gateway
from services.runtime import tasks
from services.runtime.grpc.discovery import LookUp, look_up
from services.runtime.observability.failures import describe

log = structlog.get_logger()

# Frames that may wait for a replica. Raising it takes more memory while the replica hangs; lowering it breaks the
# stream earlier, which is then built anew.
QUEUE_LIMIT = 100_000
RECONNECT_S = (0.1, 2.0)
# The time between look-ups of the names. Raising it lets a new replica own users for longer before the first gateway
# attaches to it; lowering it asks the name server more.
LOOK_UP_S = 1.0

OpenChannel = Callable[[str], grpc.aio.Channel]


class PresenceUplinks:
    """See ports.Uplinks. A part of the service, too."""

    name = "presence-uplinks"

    def __init__(
        self, addresses: Sequence[str], gateway_id: str, open_channel: OpenChannel, look_up: LookUp = look_up
    ) -> None:
        self._addresses = addresses
        self._look_up = look_up
        # What was last found behind each of the addresses.
        self._found: dict[str, frozenset[str]] = {}
        self._gateway_id = gateway_id
        self._open_channel = open_channel
        self._queues: dict[ReplicaId, asyncio.Queue[PresenceFrame | None]] = {}
        # What the consumer group calls each replica, as it last said itself.
        self._members: dict[ReplicaId, str] = {}
        # Those that have said something since their stream was opened.
        self._heard: set[ReplicaId] = set()

    def push(self, replica: ReplicaId, frame: PresenceFrame) -> None:
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

    async def run(self, gateway: Gateway) -> None:
        """Follow the names for ever, with a stream to each replica that is behind them."""
        links: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                for address in self._addresses:
                    await self._find(address)
                links = {address: task for address, task in links.items() if not task.done()}
                for address in self._replicas() - links.keys():
                    run = partial(self._run, address, gateway)
                    links[address] = tasks.retry(f"presence-{address}", run, label="presence-uplink")
                await asyncio.sleep(LOOK_UP_S)
        finally:
            await tasks.stop(*links.values())

    async def _find(self, address: str) -> None:
        try:
            self._found[address] = frozenset(await self._look_up(address))
        except OSError as error:
            # Keep the replicas that were found before.
            log.warning("presence_not_found", address=address, error=describe(error))

    def _replicas(self) -> frozenset[str]:
        return frozenset().union(*self._found.values())

    async def _run(self, address: str, gateway: Gateway) -> None:
        replica = ReplicaId(address)
        delay_s = RECONNECT_S[0]
        async with self._open_channel(address) as channel:
            stub = service_pb2_grpc.RouterServiceStub(channel)
            # A stream that works is not cut because a name server left its replica out.
            while address in self._replicas():
                code = await self._attach(stub, replica, gateway)
                if replica in self._heard:
                    delay_s = RECONNECT_S[0]
                elif code is grpc.StatusCode.UNAVAILABLE:
                    self._tell_gone(replica)
                log.warning("presence_detached", replica=replica, code=code.name, retry_s=delay_s)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RECONNECT_S[1])

    async def _attach(self, stub: Any, replica: ReplicaId, gateway: Gateway) -> grpc.StatusCode:
        queue: asyncio.Queue[PresenceFrame | None] = asyncio.Queue()
        self._queues[replica] = queue
        self._heard.discard(replica)
        try:
            async for response in stub.Attach(self._requests(queue)):
                metrics.UPLINKS.set(len(self._queues))
                if response.WhichOneof("frame") == "assignment":
                    self._note_member(replica, response.assignment.member_id)
                self._heard.add(replica)
                _handle(gateway, replica, response)
        except grpc.aio.AioRpcError as error:
            return error.code()
        finally:
            self._queues.pop(replica, None)
            # Ends _requests too: grpc goes on asking it for frames after the stream has broken.
            queue.put_nowait(None)
            gateway.registry.forget_replica(replica)
            metrics.UPLINKS.set(len(self._queues))
        return grpc.StatusCode.OK

    def _note_member(self, replica: ReplicaId, member_id: str) -> None:
        if replica not in self._heard and member_id != self._members.get(replica):
            # Another process than before the stream broke.
            self._tell_gone(replica)
        self._members[replica] = member_id

    def _tell_gone(self, replica: ReplicaId) -> None:
        member_id = self._members.pop(replica, "")
        for other in list(self._queues) if member_id else ():
            self.push(other, Gone(member_id))

    async def _requests(self, queue: "asyncio.Queue[PresenceFrame | None]") -> AsyncIterator[api.AttachRequest]:
        yield api.AttachRequest(hello=messages_pb2.Hello(gateway_id=self._gateway_id, reads_delivers=True))
        frame = await queue.get()
        while frame is not None:
            following = None
            if isinstance(frame, Register):
                frame, following = _batch(frame, queue)
            yield _encode(frame)
            frame = following or await queue.get()


def _batch(first: Register, queue: "asyncio.Queue[PresenceFrame | None]") -> tuple[Register, PresenceFrame | None]:
    """Devices that came one by one, in one frame; and the frame behind them, if it was read already."""
    sessions = list(first.sessions)
    while len(sessions) < REGISTER_BATCH and not queue.empty():
        frame = queue.get_nowait()
        if not isinstance(frame, Register) or frame.epoch != first.epoch:
            if frame is None:
                # Put it back: the next reader has to see the end of the stream.
                queue.put_nowait(None)
            return Register(first.epoch, tuple(sessions)), frame
        sessions += frame.sessions
    return Register(first.epoch, tuple(sessions)), None


def _handle(gateway: Gateway, replica: ReplicaId, response: api.AttachResponse) -> None:
    match response.WhichOneof("frame"):
        case "deliver":
            _deliver(gateway, response.deliver)
        case "delivers":
            for deliver in response.delivers.delivers:
                _deliver(gateway, deliver)
        case "register_ack":
            gateway.streams.apply(gateway.registry.acknowledged(response.register_ack.session_ids))
        case "assignment":
            assignment = response.assignment
            effects = gateway.registry.assigned(
                replica, assignment.epoch, assignment.partitions, assignment.partition_count
            )
            gateway.streams.apply(effects)
            log.info("presence_assigned", replica=replica, epoch=assignment.epoch, count=len(assignment.partitions))
        case "watch_command":
            gateway.command_watch(response.watch_command.session_id, response.watch_command.user_ids)
        case "status_command":
            # Repeated to whichever replica routes the device later.
            gateway.registry.set_away(response.status_command.session_id, response.status_command.away)
        case other:
            # A newer replica may send frames that this gateway does not know.
            log.info("frame_ignored", frame=other)


def _deliver(gateway: Gateway, deliver: messages_pb2.Deliver) -> None:
    if deliver.frame:
        gateway.deliver(deliver.session_ids, deliver.frame, durable=deliver.durable, trace=deliver.trace)
    if deliver.relations_changed:
        gateway.relations_changed(deliver.session_ids, deliver.about_user_id)


def _encode(frame: PresenceFrame) -> api.AttachRequest:
    match frame:
        case Register(epoch, sessions):
            return api.AttachRequest(register=messages_pb2.Register(epoch=epoch, sessions=map(_session, sessions)))
        case Unregister(session_ids):
            return api.AttachRequest(unregister=messages_pb2.Unregister(session_ids=session_ids))
        case Detached(session_ids, detached):
            return api.AttachRequest(detached=messages_pb2.Detached(session_ids=session_ids, detached=detached))
        case Registered(epoch):
            return api.AttachRequest(registered=messages_pb2.Registered(epoch=epoch))
        case Watch(epoch, session_id, user_ids):
            return api.AttachRequest(watch=messages_pb2.Watch(epoch=epoch, session_id=session_id, user_ids=user_ids))
        case Gone(member_id):
            return api.AttachRequest(gone=messages_pb2.Gone(member_id=member_id))
        case Route(user_id, data):
            return api.AttachRequest(route=messages_pb2.Route(user_id=user_id, frame=data))
        case RouteWatchList(user_id, device_id, user_ids):
            watch_list = messages_pb2.WatchList(device_id=device_id, user_ids=user_ids)
            return api.AttachRequest(route=messages_pb2.Route(user_id=user_id, watch_list=watch_list))
        case RouteStatus(user_id, device_id, away):
            status = messages_pb2.DeviceStatus(device_id=device_id, away=away)
            return api.AttachRequest(route=messages_pb2.Route(user_id=user_id, status=status))


def _session(session: Session) -> messages_pb2.Session:
    return messages_pb2.Session(
        session_id=session.session_id,
        user_id=session.user_id,
        device_id=session.device_id,
        away=session.away,
        detached=session.detached,
    )
