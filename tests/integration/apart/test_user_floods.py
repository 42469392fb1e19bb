"""All services that users call, two replicas of each: a user floods each RPC through the edge, and another does not
notice.

The requests are empty, so that most are refused for what stands in them; that costs as much as to serve them.
"""

from __future__ import annotations

from collections.abc import Iterator

import aiohttp
import grpc
import pytest

from deploy.embedded.record import StackRecord
from services.runtime.errors import reason_of
from services.runtime.limits.costs import COSTS
from tests.support.client_rpcs import client_rpcs
from tests.support.stack import run_stack
from tests.support.waiting import PATIENCE_S

BURST = 100
# What each RPC costs is tried on one server (runtime/test_user_limits.py). Here it is the way to a replica that counts:
# of each service the dearest RPC, and all whose flood is short.
MANY_CALLS = 50


def _flooded() -> list[str]:
    rpcs = [rpc for rpc, method in client_rpcs().items() if not method.server_streaming]
    dearest: dict[str, str] = {}
    for rpc in sorted(rpcs, key=lambda rpc: COSTS[rpc].units):
        dearest[rpc.partition("/")[0]] = rpc
    return [rpc for rpc in rpcs if rpc in dearest.values() or BURST / COSTS[rpc].units <= MANY_CALLS]


RPCS = _flooded()


@pytest.fixture(scope="module")
def stack() -> Iterator[StackRecord]:
    # A budget that does not come back while the test runs.
    env = {"PARLEY_USER_BURST_UNITS": str(BURST), "PARLEY_USER_UNITS_PER_S": "0.1"}
    parts = (
        "postgres",
        "broker",
        "issuer",
        "messaging",
        "presence",
        "gateway",
        "signaling",
        "push",
        "previews",
        "edge",
    )
    replicas = {"messaging": 2, "signaling": 2, "gateway": 2}
    with run_stack("user-floods", parts=parts, env=env, replicas=replicas) as running:
        yield running.record


async def login(stack: StackRecord, user: str) -> list[tuple[str, str]]:
    url = f"{stack.web_url}dev/login"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json={"user_id": user, "device_id": "device-0001"}) as answer,
    ):
        return [("authorization", f"Bearer {(await answer.json())['token']}")]


async def reason(channel: grpc.aio.Channel, rpc: str, metadata: list[tuple[str, str]]) -> str:
    """Why the call was refused; empty when it was not."""
    try:
        await channel.unary_unary(f"/{rpc}")(b"", metadata=metadata, timeout=PATIENCE_S)
    except grpc.aio.AioRpcError as error:
        return reason_of(error) or error.code().name
    return ""


@pytest.mark.parametrize("rpc", RPCS)
async def test_one_user_has_one_budget_and_another_has_their_own(stack: StackRecord, rpc: str) -> None:
    method = rpc.partition("/")[2]
    flooding, honest = await login(stack, f"flooding-{method}"), await login(stack, f"honest-{method}")
    fits = int(BURST / COSTS[rpc].units)
    async with grpc.aio.insecure_channel(stack.edge_address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        told = [await reason(channel, rpc, flooding) for _ in range(2 * fits)]
        # The budget of one replica. What comes back meanwhile is far less than half of it, on a slow machine too.
        assert fits <= len(told) - told.count("RATE_LIMITED") < 1.5 * fits
        for _ in range(min(fits, 20)):
            assert await reason(channel, rpc, honest) not in {"RATE_LIMITED", "RESOURCE_EXHAUSTED", "UNAVAILABLE"}
