"""Readiness, asked once: each probe returns an async function that says whether the process can do its work now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import asyncpg
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

Probe = Callable[[], Awaitable[bool]]
PROBE_TIMEOUT_S = 2.0


def tcp(host: str, port: int) -> Probe:
    """Something accepts connections there."""

    async def probe() -> bool:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    return probe


def http(url: str) -> Probe:
    """A GET of the address answers 200."""

    async def probe() -> bool:
        timeout = aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    return probe


# The name under which every service tells whether it can do its work (services/runtime/grpc/server.py).
READINESS = "readiness"


def grpc_ready(address: str) -> Probe:
    """The service says through gRPC health that it is ready."""

    async def probe() -> bool:
        async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            try:
                answer = await stub.Check(health_pb2.HealthCheckRequest(service=READINESS), timeout=PROBE_TIMEOUT_S)
            except grpc.aio.AioRpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    return probe


def postgres(dsn: str) -> Probe:
    """A query is answered, so recovery is over."""

    async def probe() -> bool:
        try:
            connection = await asyncpg.connect(dsn, timeout=PROBE_TIMEOUT_S)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        await connection.close()
        return True

    return probe
