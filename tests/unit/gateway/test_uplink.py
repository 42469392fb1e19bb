"""The streams to the presence replicas that are found behind a name, over real connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from parley.presence.v1 import messages_pb2, service_pb2_grpc
from parley.presence.v1 import service_pb2 as api

from services.gateway.uplink import PresenceUplinks
from services.runtime.grpc.discovery import look_up
from tests.support.waiting import until

NAME = "presence:7000"


class Replica(service_pb2_grpc.RouterServiceServicer):
    """Takes gateways, says that it owns a partition, and counts who is attached."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self.attached = 0
        self.member_id = f"member-{partition}"
        self.called_dead: list[str] = []
        self._ending = asyncio.Event()
        self._server = grpc.aio.server()
        service_pb2_grpc.add_RouterServiceServicer_to_server(self, self._server)

    async def start(self, address: str = "127.0.0.1:0") -> str:
        port = self._server.add_insecure_port(address)
        await self._server.start()
        return f"127.0.0.1:{port}"

    async def stop(self) -> None:
        await self._server.stop(0)

    def end_streams(self) -> None:
        """The connections stay."""
        self._ending.set()
        self._ending = asyncio.Event()

    async def Attach(self, requests: AsyncIterator[api.AttachRequest], context: Any) -> AsyncIterator[Any]:
        self.attached += 1
        reading = asyncio.create_task(self._read(requests))
        try:
            assignment = messages_pb2.Assignment(
                epoch=1, partitions=[self._partition], partition_count=4, member_id=self.member_id
            )
            yield api.AttachResponse(assignment=assignment)
            await self._ending.wait()
        finally:
            reading.cancel()
            self.attached -= 1

    async def _read(self, requests: AsyncIterator[api.AttachRequest]) -> None:
        async for request in requests:
            if request.HasField("gone"):
                self.called_dead.append(request.gone.member_id)


class Gateway:
    """A gateway without devices, and its registry."""

    def __init__(self) -> None:
        self.assigned_to: dict[str, list[int]] = {}
        self.registry = self.streams = self

    def assigned(self, replica: str, epoch: int, partitions: Any, partition_count: int) -> list[object]:
        self.assigned_to[replica] = list(partitions)
        return []

    def apply(self, effects: list[object]) -> None:
        assert effects == []

    def forget_replica(self, replica: str) -> None:
        self.assigned_to.pop(replica, None)


class World:
    """A name server by hand, and a gateway's uplinks that ask it."""

    def __init__(self) -> None:
        self.addresses: list[str] | None = []
        self.asked = 0
        self.gateway = Gateway()
        self.uplinks = PresenceUplinks([NAME], "gateway-1", grpc.aio.insecure_channel, self._look_up)

    async def _look_up(self, address: str) -> list[str]:
        assert address == NAME
        self.asked += 1
        if self.addresses is None:
            raise OSError("no answer")
        return self.addresses

    async def asked_again(self) -> None:
        """Return when the answer that is given now has been acted upon."""
        before = self.asked
        await until(lambda: self.asked >= before + 2)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    running = asyncio.create_task(world.uplinks.run(world.gateway))  # type: ignore[arg-type]
    yield world
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


@pytest.fixture
async def replicas() -> AsyncIterator[list[Replica]]:
    replicas = [Replica(0), Replica(1)]
    yield replicas
    for replica in replicas:
        await replica.stop()


async def test_each_address_behind_the_name_is_attached_to(world: World, replicas: list[Replica]) -> None:
    world.addresses = [await replica.start() for replica in replicas]
    await until(lambda: len(world.gateway.assigned_to) == 2)
    assert sorted(world.gateway.assigned_to.values()) == [[0], [1]]


async def test_a_replica_that_comes_later_is_found_and_the_others_are_left_alone(
    world: World, replicas: list[Replica]
) -> None:
    first = await replicas[0].start()
    world.addresses = [first]
    await until(lambda: first in world.gateway.assigned_to)
    world.addresses = [first, await replicas[1].start()]
    await until(lambda: len(world.gateway.assigned_to) == 2)
    assert [replica.attached for replica in replicas] == [1, 1]


async def test_a_stream_that_works_outlives_a_name_server_that_leaves_it_out_or_is_away(
    world: World, replicas: list[Replica]
) -> None:
    address = await replicas[0].start()
    world.addresses = [address]
    await until(lambda: replicas[0].attached == 1)
    world.addresses = []
    await world.asked_again()
    world.addresses = None
    await world.asked_again()
    assert world.gateway.assigned_to == {address: [0]}
    assert replicas[0].attached == 1


async def test_a_replica_that_is_gone_for_good_is_tried_no_more_and_one_that_returns_is(
    world: World, replicas: list[Replica]
) -> None:
    address = await replicas[0].start()
    world.addresses = [address]
    await until(lambda: replicas[0].attached == 1)
    world.addresses = []
    await world.asked_again()
    await replicas[0].stop()
    await until(lambda: not world.gateway.assigned_to)
    await replicas[1].start(address)
    await world.asked_again()
    assert replicas[1].attached == 0
    world.addresses = [address]
    await until(lambda: world.gateway.assigned_to == {address: [1]})


async def test_an_address_is_found_behind_itself_and_a_name_behind_its_family() -> None:
    assert await look_up("127.0.0.1:7000") == ["127.0.0.1:7000"]
    assert await look_up("[::1]:7000") == ["[::1]:7000"]
    assert len(await look_up("localhost:7000")) == 1


async def test_a_replica_that_died_is_told_to_the_others_and_one_that_takes_a_new_stream_is_not(
    world: World, replicas: list[Replica]
) -> None:
    first, second = [await replica.start() for replica in replicas]
    world.addresses = [first, second]
    await until(lambda: len(world.gateway.assigned_to) == 2)
    replicas[1].end_streams()
    await until(lambda: second not in world.gateway.assigned_to)
    await until(lambda: second in world.gateway.assigned_to)
    await replicas[1].stop()
    await until(lambda: replicas[0].called_dead)
    assert replicas[0].called_dead == ["member-1"]


async def test_a_replica_that_died_and_came_back_before_it_was_missed_is_told_too(
    world: World, replicas: list[Replica]
) -> None:
    world.addresses = [await replica.start() for replica in replicas]
    await until(lambda: len(world.gateway.assigned_to) == 2)
    replicas[1].member_id = "member-2"
    replicas[1].end_streams()
    await until(lambda: replicas[0].called_dead)
    assert replicas[0].called_dead == ["member-1"]


async def test_a_replica_that_was_never_there_is_not_called_dead(world: World, replicas: list[Replica]) -> None:
    address = await replicas[1].start()
    await replicas[1].stop()
    world.addresses = [await replicas[0].start(), address]
    await until(lambda: len(world.gateway.assigned_to) == 1)
    await world.asked_again()
    assert not replicas[0].called_dead
