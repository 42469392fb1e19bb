"""The worker as a process of its own: gRPC in front, SIGTERM at the end, and no broker anywhere."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import grpc
import pytest
from aiortc import RTCSessionDescription
from grpc_health.v1 import health_pb2, health_pb2_grpc
from parley.sfu.v1 import service_pb2, service_pb2_grpc

from deploy import native
from services.runtime.errors import reason_of
from services.runtime.grpc.channels import connect
from tests.integration.sfu.conftest import Client, environment, join_token
from tests.support.identities import tokens_of
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_S, until, within


@dataclass
class Process:
    """A running worker, and a channel to it with signaling's credentials."""

    process: asyncio.subprocess.Process
    address: str
    metrics_port: int
    channel: grpc.aio.Channel

    async def join(self, token: str, offer: str) -> str:
        stub = service_pb2_grpc.SfuServiceStub(self.channel)
        request = service_pb2.JoinRequest(join_token=token, sdp_offer=offer)
        response: service_pb2.JoinResponse = await stub.Join(request, timeout=PATIENCE_S)
        return response.sdp_answer


@pytest.fixture
async def process() -> AsyncIterator[Process]:
    address, metrics_port = f"127.0.0.1:{free_port()}", free_port()
    env = environment(
        PARLEY_GRPC_ADDRESS=address,
        PARLEY_METRICS_ADDRESS=f"127.0.0.1:{metrics_port}",
        PARLEY_KAFKA_BOOTSTRAP=f"127.0.0.1:{free_port()}",
        PARLEY_SFU_DRAIN_S="1",
    )
    command = (sys.executable, "-m", "services.sfu")
    running = await asyncio.create_subprocess_exec(*command, env=os.environ | env, cwd=native.home("sfu"))
    tokens = tokens_of("signaling")
    channel = connect(address, tokens)
    health = health_pb2_grpc.HealthStub(channel)
    check = health_pb2.HealthCheckRequest(service="liveness")
    answer = await health.Check(check, timeout=PATIENCE_S, wait_for_ready=True)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    yield Process(running, address, metrics_port, channel)
    await channel.close()
    if running.returncode is None:
        running.kill()
        await running.wait()


async def test_calls_run_without_a_broker_and_the_process_ends_in_order(process: Process) -> None:
    clients = [Client("ann", grey=60), Client("bob", grey=200)]
    for client in clients:
        answer = await process.join(join_token(client.user), await client.offer())
        await client.play(RTCSessionDescription(answer, "answer"))
    ann, bob = clients
    await until(lambda: ann.sees(200) and bob.sees(60), what="both see the other's picture")
    reader, writer = await asyncio.open_connection("127.0.0.1", process.metrics_port)
    writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
    metrics = (await reader.read()).decode()
    writer.close()
    assert 'sfu_joins_total{outcome="ok"} 2.0' in metrics
    assert "sfu_participants 2.0" in metrics
    process.process.send_signal(signal.SIGTERM)
    assert await within(process.process.wait()) == 0
    await until(lambda: ann.pc.connectionState == "closed", what="ann is told")
    await asyncio.gather(*(client.close() for client in clients))


@pytest.mark.parametrize(
    # Tokens are made when the test runs: a long session would outlive them.
    ("make_token", "code", "reason"),
    [
        (lambda: join_token("ann", iat=1, exp=2), grpc.StatusCode.FAILED_PRECONDITION, "JOIN_TOKEN_EXPIRED"),
        (lambda: join_token("ann", worker="other"), grpc.StatusCode.PERMISSION_DENIED, "JOIN_TOKEN_INVALID"),
        (lambda: "x" * 300, grpc.StatusCode.PERMISSION_DENIED, "JOIN_TOKEN_INVALID"),
        (lambda: join_token("ann"), grpc.StatusCode.INVALID_ARGUMENT, "SDP_INVALID"),
    ],
)
async def test_refusals_have_codes_and_reasons(
    process: Process, make_token: Callable[[], str], code: grpc.StatusCode, reason: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await process.join(make_token(), "nonsense")
    assert caught.value.code() == code
    assert reason_of(caught.value) == reason


async def test_caller_without_a_service_token_is_refused(process: Process) -> None:
    async with grpc.aio.insecure_channel(process.address) as channel:
        stub = service_pb2_grpc.SfuServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.EndCall(service_pb2.EndCallRequest(call_id="c"), timeout=PATIENCE_S)
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_taken_media_port_ends_the_process_with_one_line() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        env = environment(
            PARLEY_SFU_UDP_ADDRESS=f"127.0.0.1:{taken.getsockname()[1]}",
            PARLEY_METRICS_ADDRESS=f"127.0.0.1:{free_port()}",
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.sfu", env=os.environ | env, stderr=asyncio.subprocess.PIPE
        )
        _, errors = await within(process.communicate())
    assert process.returncode == 1
    assert b"Address already in use" in errors
    assert b"Traceback" not in errors
