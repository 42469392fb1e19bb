"""The replicas as they see themselves: the admin service and the metrics of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import grpc
from parley.presence.v1 import admin_pb2, admin_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from deploy.embedded.record import StackRecord
from services.ops.credentials import DevelopmentAdmin
from services.runtime.grpc.channels import connect

_TIMEOUT_S = 5.0
_LOOK_EVERY_S = 0.1


class Replicas:
    """Asks all presence replicas of a stack."""

    def __init__(self, stubs: Mapping[str, admin_pb2_grpc.PresenceAdminServiceAsyncStub], gateways: int) -> None:
        self._stubs = stubs
        self._gateways = gateways

    async def describe(self, name: str) -> admin_pb2.DescribeReplicaResponse:
        """One replica's view of itself."""
        return await self._stubs[name].DescribeReplica(admin_pb2.DescribeReplicaRequest(), timeout=_TIMEOUT_S)

    async def until_settled(self, within_s: float) -> None:
        """Waits until each has its share of the partitions, and all gateways. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            # Another process's doing sets no event here.
            while not await self._is_settled():  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_EVERY_S)

    async def _is_settled(self) -> bool:
        try:
            views = await asyncio.gather(*(self.describe(name) for name in self._stubs))
        except grpc.aio.AioRpcError:
            return False
        shares = [len(view.partitions) for view in views]
        owned = [partition for view in views for partition in view.partitions]
        return (
            max(shares) - min(shares) <= 1
            and sorted(owned) == list(range(views[0].partition_count))
            and all(len(view.gateways) == self._gateways and not view.collecting for view in views)
        )


@asynccontextmanager
async def replicas_of(record: StackRecord) -> AsyncIterator[Replicas]:
    """The presence replicas of a stack."""
    tokens = DevelopmentAdmin(Path(record.admin_key_file), ["operator"])
    async with AsyncExitStack() as channels:
        stubs = {}
        for name in names_of(record, "presence"):
            channel = await channels.enter_async_context(connect(record.admin_addresses[name], tokens))
            stubs[name] = admin_pb2_grpc.PresenceAdminServiceStub(channel)
        yield Replicas(stubs, len(names_of(record, "gateway")))


def names_of(record: StackRecord, service: str) -> list[str]:
    """The process names of a service's replicas."""
    return [name for name in record.grpc_addresses if name.rpartition("-")[0] == service or name == service]


async def counters(record: StackRecord, service: str, counter: str, **labels: str) -> dict[str, int]:
    """A counter of each replica, summed over the labels that are not given."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S)) as session:
        return {
            name: await _counter(session, record.metrics_addresses[name], counter, labels)
            for name in names_of(record, service)
        }


async def _counter(session: aiohttp.ClientSession, address: str, counter: str, labels: Mapping[str, str]) -> int:
    async with session.get(f"http://{address}/metrics") as response:
        text = await response.text()
    return int(
        sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == f"{counter}_total" and labels.items() <= sample.labels.items()
        )
    )
