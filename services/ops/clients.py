"""The admin services. All replicas of presence and of the gateway are asked; of signaling and messaging, one."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import grpc
from parley.calls.v1 import operations_pb2 as calls_api
from parley.calls.v1 import operations_pb2_grpc as calls_grpc
from parley.gateway.v1 import admin_pb2 as gateway_api
from parley.gateway.v1 import admin_pb2_grpc as gateway_grpc
from parley.messaging.v1 import accounts_pb2 as accounts_api
from parley.messaging.v1 import accounts_pb2_grpc as accounts_grpc
from parley.notifications.v1 import admin_pb2 as push_admin
from parley.notifications.v1 import admin_pb2_grpc as push_grpc
from parley.notifications.v1 import service_pb2 as push_api
from parley.presence.v1 import admin_pb2 as presence_api
from parley.presence.v1 import admin_pb2_grpc as presence_grpc
from parley.webhooks.v1 import admin_pb2 as webhooks_api
from parley.webhooks.v1 import admin_pb2_grpc as webhooks_grpc

from services.ops.core.outward import Endpoint, GivenUpNotice, GivenUpWebhook
from services.ops.core.routing import AttachedGateway, Device, Gateway, Replica
from services.ops.core.tables import Unreachable
from services.runtime.config import CLEAR_TEXT, TlsConfig
from services.runtime.errors import reason_of
from services.runtime.grpc.channels import Credentials, connect
from services.runtime.grpc.tls import Peer

if TYPE_CHECKING:
    from parley.calls.v1.operations_pb2_grpc import CallOperationsServiceAsyncStub

TIMEOUT_S = 3.0
# Moving a worker's calls takes some milliseconds each.
DRAIN_TIMEOUT_S = 60.0
_PROVIDER = "PROVIDER_"
T = TypeVar("T")


class Fleet:
    """All processes that were named. A process that does not answer in time is Unreachable."""

    def __init__(
        self,
        presence: Mapping[str, str],
        gateways: Mapping[str, str],
        tokens: Credentials,
        tls: TlsConfig = CLEAR_TEXT,
    ) -> None:
        self._presence = presence
        self._gateways = gateways
        self._tokens = tokens
        self._tls = tls

    async def replicas(self) -> Sequence[Replica | Unreachable]:
        """The presence replicas."""
        return await self._ask_all("presence", self._presence, _replica)

    async def gateways(self) -> Sequence[Gateway | Unreachable]:
        """The gateways."""
        return await self._ask_all("gateway", self._gateways, _gateway)

    async def slowest(self, limit: int) -> tuple[Sequence[Device], Sequence[Unreachable]]:
        """The slowest devices of each gateway, so many of each, in no order."""

        async def ask(name: str, channel: grpc.aio.Channel) -> list[Device]:
            return await _slowest(name, channel, limit)

        found = await self._ask_all("gateway", self._gateways, ask)
        devices = [device for entry in found if not isinstance(entry, Unreachable) for device in entry]
        return devices, [entry for entry in found if isinstance(entry, Unreachable)]

    async def _ask_all(
        self, service: str, addresses: Mapping[str, str], ask: Callable[[str, grpc.aio.Channel], Awaitable[T]]
    ) -> list[T | Unreachable]:
        peer = Peer.of(self._tls, service)

        async def answer(name: str, address: str) -> T | Unreachable:
            channel = await channels.enter_async_context(connect(address, self._tokens, peer))
            try:
                return await ask(name, channel)
            except grpc.aio.AioRpcError as error:
                return Unreachable(name, error.code().name)

        async with AsyncExitStack() as channels:
            return list(await asyncio.gather(*(answer(name, address) for name, address in addresses.items())))


class Refused(Exception):
    """Signaling did not do it. `reason` is the one that its protos name, or the gRPC status when none was given."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class _AdminClient:
    """One service at its admin port, by the addresses of its replicas. Every method of a subclass raises Refused."""

    def __init__(self, replicas: Mapping[str, str], tokens: Credentials, peer: Peer | None = None) -> None:
        self._addresses = ",".join(replicas.values())
        self._tokens = tokens
        self._peer = peer

    def _connect(self) -> grpc.aio.Channel:
        return connect(self._addresses, self._tokens, self._peer)


class CallOperations(_AdminClient):
    """Signaling's operations on calls and workers."""

    async def locate(self, call_id: str) -> tuple[str, int]:
        """Which worker carries the call, and how often it has moved."""
        request = calls_api.LocateCallRequest(call_id=call_id)
        answer = await self._ask(lambda stub: stub.LocateCall(request, timeout=TIMEOUT_S))
        return answer.worker_id, answer.media_epoch

    async def move(self, call_id: str, worker_id: str) -> tuple[str, int]:
        """Move the call to the named worker, or with an empty name to the best of the others: as `locate` then."""
        request = calls_api.MoveCallRequest(call_id=call_id, worker_id=worker_id)
        answer = await self._ask(lambda stub: stub.MoveCall(request, timeout=TIMEOUT_S))
        return answer.worker_id, answer.media_epoch

    async def drain(self, worker_id: str, *, undo: bool) -> int:
        """Set a worker aside and move its calls; how many it keeps. Idempotent. `undo`: take it into service again."""
        request = calls_api.DrainWorkerRequest(worker_id=worker_id, undo=undo)
        answer = await self._ask(lambda stub: stub.DrainWorker(request, timeout=DRAIN_TIMEOUT_S))
        return answer.calls_left

    async def _ask(self, ask: Callable[["CallOperationsServiceAsyncStub"], Awaitable[T]]) -> T:
        async with self._connect() as channel:
            stub: CallOperationsServiceAsyncStub = calls_grpc.CallOperationsServiceStub(channel)
            return await _answered(ask(stub))


class Deletions(_AdminClient):
    """Messaging's word on deleted accounts."""

    async def known(self) -> list[str]:
        """All users that were deleted, as messaging's database has it."""
        found: list[str] = []
        async with self._connect() as channel:
            stub = accounts_grpc.AccountAdminServiceStub(channel)
            while True:
                request = accounts_api.ListDeletedUsersRequest(after_user_id=found[-1] if found else "")
                page = await _answered(stub.ListDeletedUsers(request, timeout=DRAIN_TIMEOUT_S))
                if not page.user_ids:
                    return found
                found += page.user_ids

    async def again(self, user_ids: Sequence[str]) -> None:
        """Have these deleted, once more by those that know it. Idempotent."""
        async with self._connect() as channel:
            stub = accounts_grpc.AccountAdminServiceStub(channel)
            for user_id in user_ids:
                await _answered(stub.DeleteUser(accounts_api.DeleteUserRequest(user_id=user_id), timeout=TIMEOUT_S))


class WebhookOperations(_AdminClient):
    """Webhooks' endpoints."""

    async def endpoints(self) -> list[Endpoint]:
        """All that are configured."""
        async with self._connect() as channel:
            stub = webhooks_grpc.WebhookAdminServiceStub(channel)
            found = await _answered(stub.ListEndpoints(webhooks_api.ListEndpointsRequest(), timeout=TIMEOUT_S))
        return [
            Endpoint(
                one.name,
                tuple(one.events),
                _time(one, "disable_time"),
                _time(one, "failing_since_time"),
                one.waiting,
                _time(one, "oldest_waiting_time"),
                one.dead_letters,
            )
            for one in found.endpoints
        ]

    async def enable(self, endpoint: str) -> None:
        """Send to it again. Idempotent."""
        async with self._connect() as channel:
            stub = webhooks_grpc.WebhookAdminServiceStub(channel)
            request = webhooks_api.EnableEndpointRequest(endpoint=endpoint)
            await _answered(stub.EnableEndpoint(request, timeout=TIMEOUT_S))

    async def dead_letters(self, endpoint: str, limit: int) -> list[GivenUpWebhook]:
        """The newest that were given up."""
        request = webhooks_api.ListDeadLettersRequest(endpoint=endpoint, limit=limit)
        async with self._connect() as channel:
            stub = webhooks_grpc.WebhookAdminServiceStub(channel)
            found = await _answered(stub.ListDeadLetters(request, timeout=TIMEOUT_S))
        return [
            GivenUpWebhook(
                one.webhook_id,
                one.type,
                one.order_key,
                one.event_time.ToDatetime(UTC),
                one.attempts,
                one.last_status,
            )
            for one in found.dead_letters
        ]

    async def replay(self, endpoint: str, start: datetime, end: datetime, *, dead_only: bool) -> int:
        """Let what was delivered or given up wait again: how many."""
        request = webhooks_api.ReplayDeliveriesRequest(endpoint=endpoint, dead_letters_only=dead_only)
        request.start_time.FromDatetime(start)
        request.end_time.FromDatetime(end)
        count = 0
        async with self._connect() as channel:
            stub = webhooks_grpc.WebhookAdminServiceStub(channel)
            while True:
                page = await _answered(stub.ReplayDeliveries(request, timeout=DRAIN_TIMEOUT_S))
                count += page.deliveries
                if not page.next_page_token:
                    return count
                request.page_token = page.next_page_token


class NoticeOperations(_AdminClient):
    """Push's dead letters, of one provider or of all (empty)."""

    async def dead_letters(self, provider: str, limit: int) -> list[GivenUpNotice]:
        """The newest that were given up."""
        request = push_admin.ListDeadLettersRequest(provider=_provider(provider), limit=limit)
        async with self._connect() as channel:
            stub = push_grpc.NotificationsAdminServiceStub(channel)
            found = await _answered(stub.ListDeadLetters(request, timeout=TIMEOUT_S))
        return [
            GivenUpNotice(
                push_api.Provider.Name(one.provider).removeprefix(_PROVIDER).lower(),
                one.user_id,
                one.device_id,
                one.give_up_time.ToDatetime(UTC),
                one.attempts,
                one.last_status,
            )
            for one in found.dead_letters
        ]

    async def replay(self, provider: str) -> int:
        """Have all of them sent again: how many."""
        request = push_admin.ReplayDeadLettersRequest(provider=_provider(provider))
        count = 0
        async with self._connect() as channel:
            stub = push_grpc.NotificationsAdminServiceStub(channel)
            while page := (await _answered(stub.ReplayDeadLetters(request, timeout=DRAIN_TIMEOUT_S))).replayed:
                count += page
        return count


def _provider(name: str) -> "push_api.Provider.ValueType":
    return push_api.Provider.Value(_PROVIDER + name.upper()) if name else push_api.PROVIDER_UNSPECIFIED


def _time(endpoint: webhooks_api.Endpoint, name: str) -> datetime | None:
    time: datetime = getattr(endpoint, name).ToDatetime(UTC)
    return time if endpoint.HasField(name) else None  # type: ignore[arg-type]


async def _answered(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except grpc.aio.AioRpcError as error:
        raise Refused(reason_of(error) or error.code().name, error.details() or "") from error


async def _replica(name: str, channel: grpc.aio.Channel) -> Replica:
    stub = presence_grpc.PresenceAdminServiceStub(channel)
    view = await stub.DescribeReplica(presence_api.DescribeReplicaRequest(), timeout=TIMEOUT_S)
    gateways = tuple(
        AttachedGateway(gateway.gateway_id, gateway.sessions, gateway.watching_sessions, gateway.queued_frames)
        for gateway in view.gateways
    )
    return Replica(
        name,
        view.epoch,
        tuple(view.partitions),
        view.partition_count,
        view.collecting,
        gateways,
        view.users,
        view.unsaved_states,
        view.unpublished_states,
    )


async def _gateway(name: str, channel: grpc.aio.Channel) -> Gateway:
    stub = gateway_grpc.GatewayAdminServiceStub(channel)
    view = await stub.DescribeGateway(gateway_api.DescribeGatewayRequest(), timeout=TIMEOUT_S)
    return Gateway(
        name, view.gateway_id, view.devices, view.waiting, view.detached, view.users, len(view.replicas), view.draining
    )


async def _slowest(name: str, channel: grpc.aio.Channel, limit: int) -> list[Device]:
    stub = gateway_grpc.GatewayAdminServiceStub(channel)
    answer = await stub.ListSlowestDevices(gateway_api.ListSlowestDevicesRequest(limit=limit), timeout=TIMEOUT_S)
    return [
        Device(
            name,
            device.user_id,
            device.device_id,
            device.queued_frames,
            device.queued_bytes,
            device.oldest_unsent_s,
            device.dropped,
        )
        for device in answer.devices
    ]
