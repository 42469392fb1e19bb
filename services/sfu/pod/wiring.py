"""Where a pod's objects are built."""

import asyncio
import sys
from contextlib import suppress
from functools import partial

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from services.runtime.clock import SystemClock
from services.runtime.errors import BusUnavailable
from services.runtime.grpc.channels import connect
from services.runtime.grpc.server import RpcServer
from services.runtime.grpc.tls import Peer
from services.runtime.identity.auth import ServiceTokens
from services.runtime.identity.service_keys import ServiceKeys
from services.runtime.kafka.bus import Outgoing, Publisher
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.lifecycle import App
from services.sfu.core.ids import WorkerId
from services.sfu.pod.config import PodConfig, WorkerSpec
from services.sfu.pod.exposition import WorkerCollector
from services.sfu.pod.supervisor import Pod, WorkerProcess
from services.sfu.publisher import FLUSH_TIMEOUT_S, NODES_TOPIC

# How long a worker may take to answer a health check. Raising it finds a worker that hangs later; lowering it takes a
# busy worker for dead.
CHECK_TIMEOUT_S = 2.0


def build_pod(config: PodConfig) -> App:
    """The service with a process for each worker, not started."""
    clock = SystemClock()
    kafka = KafkaPublisher(config.kafka)
    tokens = ServiceTokens(ServiceKeys.of("sfu", config.server.identity), clock)
    pod = Pod(
        config.workers,
        launch,
        partial(is_serving, peer=Peer.of(config.server.tls, "sfu")),
        lambda worker_id: announce_gone(kafka, worker_id),
        clock,
        config.stop_timeout_s,
    )
    return App([kafka, pod], RpcServer(config.server, [], {}, tokens))


def build_registry(config: PodConfig) -> CollectorRegistry:
    """The metrics that the pod serves."""
    registry = CollectorRegistry()
    registry.register(WorkerCollector(config.workers))
    return registry


async def launch(spec: WorkerSpec) -> WorkerProcess:
    """Start a worker, which ends by itself when this process does: its standard input ends then."""
    command = (sys.executable, "-m", "services.sfu")
    return await asyncio.create_subprocess_exec(*command, env=spec.env, stdin=asyncio.subprocess.PIPE)


async def is_serving(spec: WorkerSpec, service: str, peer: Peer | None = None) -> bool:
    """Whether the worker says so by gRPC health."""
    async with connect(spec.grpc_address, None, peer) as channel:
        check = health_pb2.HealthCheckRequest(service=service)
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(check, timeout=CHECK_TIMEOUT_S)
        except grpc.aio.AioRpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def announce_gone(publisher: Publisher, worker_id: WorkerId) -> None:
    """The tombstone that the worker cannot leave any more: signaling moves its calls at once. Gives up soon."""
    with suppress(TimeoutError, BusUnavailable):
        record = Outgoing(NODES_TOPIC, worker_id.encode(), None)
        async with asyncio.timeout(FLUSH_TIMEOUT_S):
            await publisher.publish([record])
