"""One device each for many users, straight on the gateways: each keeps the numbers of the events that it got."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from typing import Self

import grpc
from parley.gateway.v1 import service_pb2 as gateway

from parley_client.client import http_login
from parley_client.waiting import Changes

SUBSCRIBE = "/parley.gateway.v1.GatewayService/Subscribe"
# Streams a connection. Raising it makes fewer connections; 1 is as phones have it, so that no write serves two of them.
STREAMS = 1
STARTED_AT_ONCE = 24
READY_WITHIN_S = 120.0
RECONNECT_S = 0.2


class RoutedDevice:
    """A device's stream; when it breaks, it is opened again on the next gateway."""

    def __init__(
        self, user_id: str, channels: Sequence[grpc.aio.Channel], changes: Changes, arrived: list[int]
    ) -> None:
        self.user_id = user_id
        self.token = ""
        self.ready = asyncio.Event()
        # The numbers of the events, and when each came (monotonic seconds).
        self.numbers: list[int] = []
        self.arrivals_s: list[float] = []
        self.resyncs = 0
        self.reconnects = -1
        self._channels = channels
        self._changes = changes
        self._arrived = arrived

    async def run(self) -> None:
        """Follows the stream, for ever."""
        request = gateway.SubscribeRequest(device_id="device-1")
        for channel in cycle(self._channels):
            self.reconnects += 1
            subscribe = channel.unary_stream(
                SUBSCRIBE,
                request_serializer=gateway.SubscribeRequest.SerializeToString,
                response_deserializer=gateway.SubscribeResponse.FromString,
            )
            with suppress(grpc.aio.AioRpcError):
                async for response in subscribe(request, metadata=(("authorization", f"Bearer {self.token}"),)):
                    self._take(response)
            await asyncio.sleep(RECONNECT_S)

    def _take(self, response: gateway.SubscribeResponse) -> None:
        match response.event.WhichOneof("event"):
            case "message":
                self.numbers.append(response.event.message.seq)
                self.arrivals_s.append(time.monotonic())
                self._arrived[0] += 1
                self._changes.notify()
            case "ready":
                self.ready.set()
            case "resync":
                self.resyncs += 1


class Devices:
    """The devices while the block lasts, spread evenly over the gateways."""

    def __init__(self, gateways: Sequence[str], issuer_url: str, user_ids: Sequence[str]) -> None:
        self.changes = Changes()
        # A list of one, which the devices share: events that came, doubled ones too.
        self._arrived = [0]
        self._login = http_login(issuer_url)
        self._channels: list[grpc.aio.Channel] = []
        self._tasks: list[asyncio.Task[None]] = []
        shared: dict[tuple[int, int], grpc.aio.Channel] = {}
        self.all = []
        for number, user_id in enumerate(user_ids):
            first, block = number % len(gateways), number // len(gateways) // STREAMS
            places = [((first + step) % len(gateways), block) for step in range(len(gateways))]
            for place in places:
                if place not in shared:
                    # A pool of its own makes it a connection of its own, made when it is first used. grpc's bandwidth
                    # probe would be a PING for nearly every event; the edge, which stands here in production, has none.
                    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.http2.bdp_probe", 0)]
                    shared[place] = grpc.aio.insecure_channel(gateways[place[0]], options=options)
            self.all.append(RoutedDevice(user_id, [shared[place] for place in places], self.changes, self._arrived))
        self._channels = list(shared.values())

    @property
    def arrived(self) -> int:
        """Events that came, doubled ones too."""
        return self._arrived[0]

    async def __aenter__(self) -> Self:
        limit = asyncio.Semaphore(STARTED_AT_ONCE)
        await asyncio.gather(*(self._connect(device, limit) for device in self.all))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(channel.close() for channel in self._channels))

    async def _connect(self, device: RoutedDevice, limit: asyncio.Semaphore) -> None:
        async with limit:
            device.token = (await self._login(device.user_id)).value
            self._tasks.append(asyncio.create_task(device.run()))
            async with asyncio.timeout(READY_WITHIN_S):
                await device.ready.wait()
