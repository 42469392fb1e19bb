"""The admin services of presence and of the gateway, asked all at once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TypeVar

import grpc
from parley.gateway.v1 import admin_pb2 as gateway_api
from parley.gateway.v1 import admin_pb2_grpc as gateway_grpc
from parley.presence.v1 import admin_pb2 as presence_api
from parley.presence.v1 import admin_pb2_grpc as presence_grpc

from services.ops.core import Attached, Device, Gateway, Replica, Unreachable
from services.runtime.auth import ServiceTokens
from services.runtime.rpc import connect

TIMEOUT_S = 3.0
T = TypeVar("T")


class Fleet:
    """All processes that were named. Who does not answer in time is Unreachable, and the others are told of."""

    def __init__(self, presence: Mapping[str, str], gateways: Mapping[str, str], tokens: ServiceTokens) -> None:
        self._presence = presence
        self._gateways = gateways
        self._tokens = tokens

    async def replicas(self) -> Sequence[Replica | Unreachable]:
        """The presence replicas."""
        return await self._ask_all(self._presence, _replica)

    async def gateways(self) -> Sequence[Gateway | Unreachable]:
        """The gateways."""
        return await self._ask_all(self._gateways, _gateway)

    async def slowest(self, limit: int) -> tuple[Sequence[Device], Sequence[Unreachable]]:
        """The slowest devices of each gateway, so many of each, in no order."""

        async def ask(name: str, channel: grpc.aio.Channel) -> list[Device]:
            return await _slowest(name, channel, limit)

        found = await self._ask_all(self._gateways, ask)
        devices = [device for entry in found if not isinstance(entry, Unreachable) for device in entry]
        return devices, [entry for entry in found if isinstance(entry, Unreachable)]

    async def _ask_all(
        self, addresses: Mapping[str, str], ask: Callable[[str, grpc.aio.Channel], Awaitable[T]]
    ) -> list[T | Unreachable]:
        async def answer(name: str, address: str) -> T | Unreachable:
            channel = await channels.enter_async_context(connect(address, self._tokens))
            try:
                return await ask(name, channel)
            except grpc.aio.AioRpcError as error:
                return Unreachable(name, error.code().name)

        async with AsyncExitStack() as channels:
            return list(await asyncio.gather(*(answer(name, address) for name, address in addresses.items())))


async def _replica(name: str, channel: grpc.aio.Channel) -> Replica:
    stub = presence_grpc.PresenceAdminServiceStub(channel)
    view = await stub.DescribeReplica(presence_api.DescribeReplicaRequest(), timeout=TIMEOUT_S)
    gateways = tuple(
        Attached(gateway.gateway_id, gateway.sessions, gateway.watching_sessions, gateway.queued_frames)
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
