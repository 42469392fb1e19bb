"""Calls to other services: messaging for members, SFU workers for media, presence for devices."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from parley.messaging.v1 import service_pb2 as messaging
from parley.messaging.v1 import service_pb2_grpc as messaging_grpc
from parley.presence.v1 import service_pb2 as presence
from parley.sfu.v1 import service_pb2 as sfu
from parley.sfu.v1 import service_pb2_grpc as sfu_grpc

from services.runtime import tasks
from services.runtime.delivery.direct import DirectDelivery
from services.runtime.errors import reason_of
from services.runtime.grpc.channels import ServiceClient, connect
from services.runtime.grpc.server import LIVENESS, READINESS
from services.runtime.grpc.tls import Peer
from services.runtime.identity.auth import ServiceTokens
from services.signaling.core.errors import (
    ConversationNotFound,
    JoinTokenExpired,
    JoinTokenInvalid,
    MediaUnavailable,
    MembersUnavailable,
    SdpInvalid,
)
from services.signaling.core.model import CallId, ConversationId, DeviceId, UserId, Worker
from services.signaling.mapping.relays import encode_relays
from services.signaling.ports import Callees, Membership
from services.signaling.relays.core import Carrier, Joined, Relays

if TYPE_CHECKING:
    from parley.messaging.v1.service_pb2_grpc import MembershipServiceAsyncStub

log = structlog.get_logger()
AnswerT = TypeVar("AnswerT")

MEMBERS_TIMEOUT_S = 3.0
# Failures that may be of one conversation only. A refused token is none of them: it concerns all conversations.
_MAY_BE_OF_ONE = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)
# A join costs a DTLS certificate and a parse; a worker that needs longer is overloaded.
JOIN_TIMEOUT_S = 5.0
PROBE_TIMEOUT_S = 1.0
END_CALL_TIMEOUT_S = 2.0
# Of one question to one worker of a call that is on several: the others wait for it.
RELAYS_TIMEOUT_S = 2.0
# While it is asked, news of other calls' media wait.
DEVICE_TIMEOUT_S = 1.0
# Channels to workers that are kept. Raising it keeps more idle connections; lowering it makes more reconnects with many
# workers.
MAX_CHANNELS = 256


class GrpcMembers(ServiceClient):
    """See ports.Members; asks messaging each time, because members change."""

    name = "messaging-client"

    async def members_of(self, conversation_id: ConversationId) -> Membership:
        """See ports.Members."""
        request = messaging.GetMembersRequest(conversation_id=conversation_id)
        response = await self._ask(lambda stub: stub.GetMembers(request, timeout=MEMBERS_TIMEOUT_S))
        user_ids = tuple(UserId(user_id) for user_id in response.user_ids)
        return Membership(user_ids, frozenset(UserId(user_id) for user_id in response.admin_user_ids), response.group)

    async def callees_of(self, conversation_id: ConversationId, caller_id: UserId) -> Callees:
        """See ports.Members."""
        request = messaging.GetCalleesRequest(conversation_id=conversation_id, caller_id=caller_id)
        response = await self._ask(lambda stub: stub.GetCallees(request, timeout=MEMBERS_TIMEOUT_S))
        members = tuple(UserId(user_id) for user_id in response.member_user_ids)
        allowed = frozenset(UserId(user_id) for user_id in response.user_ids)
        return Callees(members, allowed, response.group, response.frozen)

    async def audience_of(self, conversation_id: ConversationId, user_id: UserId) -> frozenset[UserId]:
        """See ports.Members."""
        request = messaging.GetMembersRequest(conversation_id=conversation_id, of_user_id=user_id)
        response = await self._ask(lambda stub: stub.GetMembers(request, timeout=MEMBERS_TIMEOUT_S))
        return frozenset(UserId(user_id) for user_id in response.user_ids)

    async def blocked_among(self, user_id: UserId, others: Sequence[UserId]) -> frozenset[UserId]:
        """See ports.Members."""
        request = messaging.FilterBlockedRequest(user_id=user_id, user_ids=others)
        response = await self._ask(lambda stub: stub.FilterBlocked(request, timeout=MEMBERS_TIMEOUT_S))
        return frozenset(UserId(blocked) for blocked in response.user_ids)

    async def _ask(self, ask: Callable[["MembershipServiceAsyncStub"], Awaitable[AnswerT]]) -> AnswerT:
        if self._channel is None:
            raise MembersUnavailable("not started")
        stub: MembershipServiceAsyncStub = messaging_grpc.MembershipServiceStub(self._channel)
        try:
            return await ask(stub)
        except grpc.aio.AioRpcError as error:
            # An id that messaging cannot even read names no conversation either.
            if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
                raise ConversationNotFound from error
            log.warning("members_unavailable", code=error.code().name, reason=reason_of(error))
            of_one = error.code() in _MAY_BE_OF_ONE
            raise MembersUnavailable("messaging cannot be reached", self._serves if of_one else None) from error

    async def _serves(self) -> bool:
        """Whether messaging says that it can do its work."""
        if self._channel is None:
            return False
        asked = health_pb2.HealthCheckRequest(service=READINESS)
        try:
            response = await health_pb2_grpc.HealthStub(self._channel).Check(asked, timeout=MEMBERS_TIMEOUT_S)
        except grpc.aio.AioRpcError:
            return False
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)


class SfuClient:
    """See ports.MediaWorkers; keeps a channel to each process in use.

    A channel belongs to a process, not to an address: the back-off after a dead process must not delay the next one.
    """

    name = "sfu-client"

    def __init__(self, tokens: ServiceTokens, peer: Peer | None = None) -> None:
        self._tokens = tokens
        self._peer = peer
        self._channels: OrderedDict[Worker, grpc.aio.Channel] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Channels are opened when they are needed."""

    async def stop(self) -> None:
        for channel in self._channels.values():
            await channel.close()
        if self._closing:
            await asyncio.gather(*self._closing)

    async def join(self, worker: Worker, join_token: str, sdp_offer: str) -> str:
        """See ports.MediaWorkers."""
        stub = sfu_grpc.SfuServiceStub(self._channel(worker))
        request = sfu.JoinRequest(join_token=join_token, sdp_offer=sdp_offer)
        try:
            response = await stub.Join(request, timeout=JOIN_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            log.info("join_refused", worker_id=worker.worker_id, code=error.code().name, reason=reason_of(error))
            raise _join_error(error) from error
        return str(response.sdp_answer)

    async def end_call(self, worker: Worker, call_id: CallId) -> None:
        """See ports.MediaWorkers."""
        stub = sfu_grpc.SfuServiceStub(self._channel(worker))
        with _or_unavailable():
            await stub.EndCall(sfu.EndCallRequest(call_id=call_id), timeout=END_CALL_TIMEOUT_S)

    async def remove(self, worker: Worker, call_id: CallId, user_id: UserId, device_id: DeviceId) -> None:
        """See ports.MediaWorkers."""
        stub = sfu_grpc.SfuServiceStub(self._channel(worker))
        request = sfu.RemoveRequest(call_id=call_id, user_id=user_id, device_id=device_id)
        with _or_unavailable():
            await stub.Remove(request, timeout=END_CALL_TIMEOUT_S)

    async def list_joined(self, worker: Worker, call_id: CallId) -> Carrier:
        """See relays.ports.RelayWorkers."""
        stub = sfu_grpc.SfuServiceStub(self._channel(worker))
        with _or_unavailable():
            response = await stub.ListParticipants(
                sfu.ListParticipantsRequest(call_id=call_id), timeout=RELAYS_TIMEOUT_S
            )
        joined = (
            Joined(UserId(device.user_id), DeviceId(device.device_id), device.number, device.sdp_offer)
            for device in response.participants
        )
        return Carrier(worker, response.media_address, tuple(joined))

    async def set_relays(self, worker: Worker, relays: Relays) -> None:
        """See relays.ports.RelayWorkers."""
        stub = sfu_grpc.SfuServiceStub(self._channel(worker))
        with _or_unavailable():
            await stub.SetRelays(encode_relays(relays), timeout=RELAYS_TIMEOUT_S)

    async def set_draining(self, worker: Worker, draining: bool) -> None:
        """See ports.MediaWorkers."""
        stub = sfu_grpc.SfuServiceStub(self._channel(worker))
        with _or_unavailable():
            await stub.SetDraining(sfu.SetDrainingRequest(draining=draining), timeout=END_CALL_TIMEOUT_S)

    async def is_reachable(self, worker: Worker) -> bool:
        """See ports.MediaWorkers: asks for its liveness, over a new connection."""
        async with connect(worker.address, self._tokens, self._peer, fresh=True) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            try:
                response = await stub.Check(health_pb2.HealthCheckRequest(service=LIVENESS), timeout=PROBE_TIMEOUT_S)
            except grpc.aio.AioRpcError:
                return False
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)

    def _channel(self, worker: Worker) -> grpc.aio.Channel:
        channel = self._channels.get(worker)
        if channel is None:
            channel = self._channels[worker] = connect(worker.address, self._tokens, self._peer, fresh=True)
        self._channels.move_to_end(worker)
        if len(self._channels) > MAX_CHANNELS:
            _, oldest = self._channels.popitem(last=False)
            task = tasks.detached(
                oldest.close(grace=JOIN_TIMEOUT_S), name="close-sfu-channel", why="ends with the grace"
            )
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        return channel


class RoutedDevices:
    """See ports.Devices; asks the presence replica that routes the user."""

    def __init__(self, direct: DirectDelivery) -> None:
        self._direct = direct

    async def closed_for(self, user_id: UserId, device_id: DeviceId) -> timedelta | None:
        """See ports.Devices."""
        router = self._direct.router_of(user_id)
        if router is None:
            return None
        request = presence.GetDeviceStreamRequest(user_id=user_id, device_id=device_id)
        try:
            response = await router.GetDeviceStream(request, timeout=DEVICE_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            log.info("device_stream_unknown", code=error.code().name, reason=reason_of(error))
            return None
        if response.state != presence.DEVICE_STREAM_STATE_BROKEN:
            return None
        return timedelta(seconds=response.broken_s)


@contextmanager
def _or_unavailable() -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise MediaUnavailable(error.code().name) from error


def _join_error(error: grpc.aio.AioRpcError) -> Exception:
    match reason_of(error):
        case "SDP_INVALID":
            return SdpInvalid(error.details() or "")
        case "JOIN_TOKEN_INVALID":
            return JoinTokenInvalid()
        case "JOIN_TOKEN_EXPIRED":
            return JoinTokenExpired("the token is too old")
        case _:
            return MediaUnavailable("the media worker takes nobody now")
