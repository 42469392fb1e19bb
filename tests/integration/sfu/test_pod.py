"""A pod of two workers as processes, on a real broker: one of them is killed, then all are told to stop."""

import asyncio
import os
import signal
import socket
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from aiokafka import AIOKafkaConsumer
from aiortc import RTCSessionDescription
from grpc_health.v1 import health_pb2, health_pb2_grpc
from parley.sfu.v1 import events_pb2, service_pb2, service_pb2_grpc

from deploy import native
from services.runtime.grpc.channels import connect
from services.runtime.identity.auth import ServiceTokens
from tests.integration.sfu.conftest import Client, environment, join_token
from tests.support.identities import tokens_of
from tests.support.waiting import PATIENCE_S, until, within


def free_ports(count: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """The first of so many free ports in a row, below those that the kernel gives out."""
    for first in range(20_000 + os.getpid() % 9_000, 32_000, count):
        taken = []
        try:
            for port in range(first, first + count):
                sock = socket.socket(socket.AF_INET, kind)
                taken.append(sock)
                sock.bind(("127.0.0.1", port))
        except OSError:
            continue
        else:
            return first
        finally:
            for sock in taken:
                sock.close()
    raise AssertionError("no ports are free")


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@dataclass
class RunningPod:
    """The pod's process, and what its workers said on sfu.nodes.v1; None is a tombstone."""

    process: asyncio.subprocess.Process
    name: str
    address: str
    metrics_port: int
    tokens: ServiceTokens
    said: list[tuple[str, events_pb2.NodeAnnouncement | None]] = field(default_factory=list)

    def last(self, index: int) -> events_pb2.NodeAnnouncement | None:
        words = [word for worker, word in self.said if worker == f"{self.name}-{index}"]
        return words[-1] if words else None

    def gone(self, index: int) -> bool:
        return (f"{self.name}-{index}", None) in self.said

    async def join(self, client: Client, index: int) -> str:
        """Join by the address that the worker announced; gives the answer."""
        node = self.last(index)
        assert node is not None
        token = join_token(client.user, call=f"call-{index}", worker=node.worker_id)
        async with connect(node.grpc_address, self.tokens) as channel:
            stub = service_pb2_grpc.SfuServiceStub(channel)
            request = service_pb2.JoinRequest(join_token=token, sdp_offer=await client.offer())
            response: service_pb2.JoinResponse = await stub.Join(request, timeout=PATIENCE_S)
        await client.play(RTCSessionDescription(response.sdp_answer, "answer"))
        return response.sdp_answer

    def pid_of(self, index: int) -> int:
        """The worker's process, by its name in its environment."""
        mark = f"PARLEY_SFU_WORKER_ID={self.name}-{index}\0".encode()
        children = children_of(self.process.pid)
        return next(pid for pid in children if mark in Path(f"/proc/{pid}/environ").read_bytes())

    async def metrics(self) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.metrics_port)
        writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = (await reader.read()).decode()
        writer.close()
        return text

    async def listen(self, broker: str) -> None:
        consumer = AIOKafkaConsumer("sfu.nodes.v1", bootstrap_servers=broker, auto_offset_reset="earliest")
        await consumer.start()
        try:
            async for record in consumer:
                worker = (record.key or b"").decode()
                word = events_pb2.NodeAnnouncement.FromString(record.value) if record.value else None
                self.said.append((worker, word))
        finally:
            await consumer.stop()


@pytest.fixture
async def pod(broker: str) -> AsyncIterator[RunningPod]:
    name = f"pod-{uuid.uuid4().hex[:8]}"
    first = free_ports(8)
    env = environment(
        PARLEY_SFU_WORKERS="2",
        PARLEY_SFU_WORKER_ID=name,
        PARLEY_SFU_UDP_ADDRESS=f"127.0.0.1:{free_ports(2, socket.SOCK_DGRAM)}",
        PARLEY_SFU_TCP_ADDRESS=f"127.0.0.1:{first + 6}",
        PARLEY_GRPC_ADDRESS=f"127.0.0.1:{first}",
        PARLEY_SFU_GRPC_ADVERTISED=f"127.0.0.1:{first}",
        PARLEY_METRICS_ADDRESS=f"127.0.0.1:{first + 3}",
        PARLEY_KAFKA_BOOTSTRAP=broker,
        PARLEY_KAFKA_IDEMPOTENT="false",
        PARLEY_SFU_DRAIN_S="1",
    )
    command = (sys.executable, "-m", "services.sfu")
    process = await asyncio.create_subprocess_exec(*command, env=os.environ | env, cwd=native.home("sfu"))
    tokens = tokens_of("signaling")
    running = RunningPod(process, name, f"127.0.0.1:{first}", first + 3, tokens)
    listening = asyncio.create_task(running.listen(broker))
    try:
        await until(lambda: running.last(0) and running.last(1), what="both are announced")
        yield running
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_pod_replaces_a_worker_that_died_and_the_other_goes_on(pod: RunningPod) -> None:
    clients = [Client("ann", grey=60), Client("bob", grey=200), Client("cid", grey=60), Client("dan", grey=200)]
    ann, bob, cid, dan = clients
    answers = [await pod.join(client, index) for client, index in ((ann, 0), (bob, 0), (cid, 1), (dan, 1))]
    assert port_of(answers[0]) == port_of(answers[1]) != port_of(answers[2])
    await until(lambda: ann.sees(200) and cid.sees(200), what="both calls run")
    await until_readiness(pod)
    metrics = await pod.metrics()
    assert 'sfu_participants{worker="0"} 2.0' in metrics
    assert 'sfu_participants{worker="1"} 2.0' in metrics

    before, first_life = cid.frames(), pod.last(0)
    assert first_life is not None
    os.kill(pod.pid_of(0), signal.SIGKILL)
    await until(lambda: pod.gone(0), what="its tombstone is there")
    await until(lambda: is_new_life(pod.last(0), first_life), what="another one took its place")
    await until(lambda: cid.frames() > before + 20, what="the other call goes on")
    assert not pod.gone(1)
    await pod.join(Client("eve"), 0)
    assert 'sfu_worker_restarts_total{worker="pod"} 1.0' in await pod.metrics()

    children = children_of(pod.process.pid)
    pod.process.send_signal(signal.SIGTERM)
    assert await within(pod.process.wait(), PATIENCE_S) == 0
    assert not any(map(runs, children))
    await until(lambda: pod.gone(1), what="the other left in order")
    await asyncio.gather(*(client.close() for client in clients))


async def test_workers_end_when_their_pod_is_killed(pod: RunningPod) -> None:
    children = children_of(pod.process.pid)
    pod.process.kill()
    await pod.process.wait()
    await until(lambda: pod.gone(0) and pod.gone(1), what="both left in order")
    await until(lambda: not any(map(runs, children)), what="they ended")


def is_new_life(now: events_pb2.NodeAnnouncement | None, before: events_pb2.NodeAnnouncement) -> bool:
    return now is not None and now.start_time.ToNanoseconds() > before.start_time.ToNanoseconds()


def port_of(answer: str) -> str:
    return next(line.split()[5] for line in answer.splitlines() if line.startswith("a=candidate:"))


async def until_readiness(pod: RunningPod) -> None:
    async with grpc.aio.insecure_channel(pod.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="readiness"))
        async with asyncio.timeout(PATIENCE_S):
            async for answer in watch:
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
