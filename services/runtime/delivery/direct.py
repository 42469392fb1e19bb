"""One stream to each presence replica: RouterService.Deliver. Nothing waits for it, and nothing depends on it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from functools import partial
from itertools import chain
from typing import Any

import grpc
import structlog
from parley.presence.v1 import messages_pb2, service_pb2_grpc
from parley.presence.v1 import service_pb2 as api

from services.runtime import tasks
from services.runtime.delivery.owners import Owners
from services.runtime.delivery.queue import DeliveryQueue, Handed
from services.runtime.grpc.discovery import LookUp, look_up
from services.runtime.kafka.bus import Outgoing
from services.runtime.observability import metrics, tracing
from services.runtime.observability.failures import describe

log = structlog.get_logger()

RECONNECT_S = (0.1, 2.0)
# A replica of a release before does not know the RPC, or us as its caller. Raising it finds a new release later;
# lowering it asks more.
UNKNOWN_RPC_S = 30.0
# Names are looked up at the start, when a stream has broken, and when a user has no owner; never sooner after the time
# before. Raising it finds new replicas later; lowering it asks the name server more while a partition has no owner.
LOOK_UP_S = 1.0
TOPIC = "delivery.v1"

SENT, FULL, NO_OWNER = (metrics.DIRECT_DELIVERIES.labels(result) for result in ("sent", "full", "no_owner"))

OpenChannel = Callable[[str], grpc.aio.Channel]


class _Link:
    """What waits for one replica, and who is to be woken."""

    def __init__(self, stub: Any) -> None:
        self.stub = stub
        self.queue = DeliveryQueue()
        self.changed = asyncio.Event()
        self.closed = False

    def push(self, handed: Handed) -> bool:
        taken = self.queue.push(handed)
        self.changed.set()
        return taken

    def close(self) -> None:
        self.closed = True
        self.changed.set()


class DirectDelivery:
    """A part of the service. `addresses` are names of presence; without any, all deliveries come by the topic alone."""

    name = "direct-delivery"

    def __init__(self, addresses: Sequence[str], open_channel: OpenChannel, find: LookUp = look_up) -> None:
        self._addresses = addresses
        self._open_channel = open_channel
        self._find = find
        self._owners = Owners()
        self._links: dict[str, _Link] = {}
        # What was last found behind each of the addresses.
        self._found: dict[str, Collection[str]] = {}
        self._look = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._addresses:
            self._look.set()
            self._task = tasks.keep(self.name, self._run)

    async def stop(self) -> None:
        await tasks.stop(self._task)

    def routes(self, user_id: str) -> bool:
        """Whether some replica takes deliveries for a user."""
        return self._owners.owner_of(user_id) is not None

    def router_of(self, user_id: str) -> Any | None:
        """RouterService's stub of the replica that routes a user; None while none says that it does."""
        owner = self._owners.owner_of(user_id)
        link = self._links.get(owner.address) if owner else None
        return link.stub if link else None

    def offer(self, deliveries: Sequence[Outgoing]) -> bool:
        """Hand deliveries over that are committed, each to the owner of its user. Whether all of them found a way, and
        there were some: they may still get lost on it."""
        is_whole = bool(deliveries)
        for record in deliveries:
            is_whole = self._offer(record) and is_whole
        return is_whole

    def _offer(self, record: Outgoing) -> bool:
        owner = self._owners.owner_of(record.key.decode())
        link = self._links.get(owner.address) if owner else None
        if owner is None or link is None:
            NO_OWNER.inc()
            # A replica may have come that we know nothing of.
            self._look.set()
            return False
        trace = next((value.decode() for name, value in record.headers if name == tracing.HEADER), "")
        taken = link.push(Handed(owner.epoch, record.value or b"", trace))
        (SENT if taken else FULL).inc()
        return taken

    async def _run(self) -> None:
        links: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                await self._look.wait()
                self._look.clear()
                for address in self._addresses:
                    await self._look_up(address)
                links = {address: task for address, task in links.items() if not task.done()}
                for address in self._replicas() - links.keys():
                    run = partial(self._follow, address)
                    links[address] = tasks.retry(f"direct-{address}", run, label="direct-link")
                await asyncio.sleep(LOOK_UP_S)
        finally:
            await tasks.stop(*links.values())

    async def _look_up(self, address: str) -> None:
        try:
            self._found[address] = await self._find(address)
        except OSError as error:
            # Keep the replicas that were found before.
            log.warning("presence_not_found", address=address, error=describe(error))

    def _replicas(self) -> set[str]:
        return set(chain.from_iterable(self._found.values()))

    async def _follow(self, address: str) -> None:
        """One replica, for as long as its address is behind a name."""
        delay_s = RECONNECT_S[0]
        async with self._open_channel(address) as channel:
            stub = service_pb2_grpc.RouterServiceStub(channel)
            # A stream that works is not cut because a name server left its replica out.
            while address in self._replicas():
                was_heard, code = await self._deliver(stub, address)
                if code in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.PERMISSION_DENIED):
                    delay_s = UNKNOWN_RPC_S
                elif was_heard:
                    delay_s = RECONNECT_S[0]
                log.info("direct_delivery_ended", replica=address, code=code.name, retry_s=delay_s)
                self._look.set()
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RECONNECT_S[1])

    async def _deliver(self, stub: Any, address: str) -> tuple[bool, grpc.StatusCode]:
        """One stream, to its end. Whether the replica said anything, and how it ended."""
        link = self._links[address] = _Link(stub)
        was_heard = False
        try:
            async for response in stub.Deliver(_requests(link)):
                was_heard = True
                assignment = response.assignment
                self._owners.assigned(address, assignment.epoch, assignment.partitions, assignment.partition_count)
        except grpc.aio.AioRpcError as error:
            return was_heard, error.code()
        finally:
            # What waited comes by the topic.
            del self._links[address]
            self._owners.detached(address)
            # Ends _requests too: grpc goes on asking it for frames after the stream has broken.
            link.close()
        return was_heard, grpc.StatusCode.OK


async def _requests(link: _Link) -> AsyncIterator[api.DeliverRequest]:
    while True:
        await link.changed.wait()
        link.changed.clear()
        while not link.closed and (batch := link.queue.take()):
            yield _encode(batch)
        if link.closed:
            return


def _encode(batch: Sequence[Handed]) -> api.DeliverRequest:
    request = api.DeliverRequest(epoch=batch[0].epoch)
    for handed in batch:
        direct: messages_pb2.DirectDelivery = request.deliveries.add()
        direct.delivery.MergeFromString(handed.value)
        if handed.trace:
            direct.trace = handed.trace
    return request
