"""Who stands where the edge's services should be, and is not one of them: the edge says nothing to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from deploy.certificates import Authority
from deploy.embedded import envoy
from deploy.embedded.logs import LogSink
from deploy.embedded.ports import Ports
from deploy.embedded.process import ManagedProcess
from deploy.envoy.values import EdgeValues
from services.runtime.config import TlsConfig
from services.runtime.grpc.tls import server_credentials
from tests.support.tls import HOST, overheard
from tests.support.waiting import eventually


@asynccontextmanager
async def upstream(credentials: grpc.ServerCredentials | None) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that says it is ready, its address, and the calls that reached it."""
    told = health.aio.HealthServicer()
    await told.set("readiness", health_pb2.HealthCheckResponse.SERVING)
    async with overheard(credentials, partial(health_pb2_grpc.add_HealthServicer_to_server, told)) as listening:
        yield listening


@asynccontextmanager
async def edge(folder: Path, ours: TlsConfig, **upstreams: str) -> AsyncIterator[Callable[[str], Any]]:
    """An edge with these upstreams; gives a function that asks whether a counter of it has moved."""
    ports = Ports({})
    nobody = f"{HOST}:{ports.tcp('nobody')}"
    values = EdgeValues(
        **upstreams,
        web=nobody,
        jwks_url=f"http://{nobody}/jwks.json",
        jwt_issuer="https://login.example.com/",
        listen_host=HOST,
        listen_port=ports.tcp("edge"),
        admin_port=ports.tcp("admin"),
        upstream_certificate_file=ours.certificate_file,
        upstream_key_file=ours.key_file,
        upstream_ca_file=ours.ca_file,
        health_interval_s=1,
    )

    async def has_counted(name: str) -> bool:
        url = f"http://{HOST}:{values.admin_port}/stats?usedonly&filter=^{name}$"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return bool((await answer.text()).strip())

    sink = LogSink(folder / "logs", None)
    process = ManagedProcess(envoy.spec(values, folder / "edge"), sink)
    await process.start()
    try:
        yield has_counted
    finally:
        await process.stop()
        sink.close()


# What stands at messaging's address; and what the edge counts then.
IMPOSTORS: dict[str, tuple[Callable[[Authority, Path], grpc.ServerCredentials | None], str]] = {
    "another service": (lambda ours, _: server_credentials(ours.issue_to("presence")), "ssl.fail_verify_san"),
    "another authority": (
        lambda _, folder: server_credentials(Authority(folder).issue_to("messaging")),
        "ssl.fail_verify_error",
    ),
    "clear text": (lambda _, __: None, "ssl.connection_error"),
}


@pytest.mark.parametrize("kind", IMPOSTORS)
async def test_the_edge_speaks_to_its_services_and_to_nobody_in_their_place(kind: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ours")
    credentials, counter = IMPOSTORS[kind]
    async with (
        upstream(server_credentials(authority.issue_to("gateway"))) as (gateway, asked),
        upstream(credentials(authority, tmp_path / "theirs")) as (impostor, heard),
        edge(
            tmp_path, authority.issue_to("edge"), gateway=gateway, signaling=gateway, messaging=impostor
        ) as has_counted,
    ):
        await eventually(lambda: has_counted("cluster.gateway.health_check.success"), what="the good upstream")
        await eventually(lambda: has_counted(f"cluster.messaging.{counter}"), what=f"the impostor's {counter}")
        await eventually(lambda: has_counted("cluster.messaging.health_check.failure"), what="the impostor's health")
        assert set(asked) == {"/grpc.health.v1.Health/Check"}
        assert heard == []
        # Of the same authority, at the wrong place: a service is not taken for another.
        await eventually(lambda: has_counted("cluster.signaling.ssl.fail_verify_san"), what="gateway as signaling")
