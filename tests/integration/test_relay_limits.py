"""What credentials of the relay are good for: some allocations a person, to the media workers only, for an hour."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aioice import stun
from aioice.turn import create_turn_endpoint

from services.runtime.clock import SystemClock
from services.signaling.core.grants import IceServer, turn_user_id
from services.signaling.core.model import UserId
from services.signaling.turn import HmacTurnServers
from tests.support.coturn import HOST, Coturn, production_limits, run_coturn

pytestmark = pytest.mark.coturn
QUOTA_REACHED, FORBIDDEN, UNAUTHORIZED = 486, 403, 401


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn]:
    folder: Path = tmp_path_factory.mktemp("relay")
    with run_coturn(folder) as running:
        yield running


def grant(relay: Coturn, user: str, age_s: float = 0.0) -> IceServer:
    """As signaling gives it, so long ago."""
    servers = HmacTurnServers(("turn:",), relay.secret.encode(), 3600)
    now = SystemClock().now() - timedelta(seconds=age_s)
    return servers.servers_for(turn_user_id(UserId(user)), now)[0]


async def allocate(relay: Coturn, by: IceServer) -> Any:
    transport, _ = await create_turn_endpoint(
        asyncio.DatagramProtocol, (HOST, relay.port), username=by.username, password=by.credential, transport="udp"
    )
    return transport


def code(failure: stun.TransactionFailed) -> int:
    return int(failure.response.attributes["ERROR-CODE"][0])


async def test_a_persons_allocations_are_counted_over_all_of_its_grants(relay: Coturn) -> None:
    quota = next(int(each.partition("=")[2]) for each in production_limits() if each.startswith("--user-quota"))
    held = []
    try:
        for number in range(quota):
            # Another grant each time: its credentials differ, its person does not.
            held.append(await allocate(relay, grant(relay, "mallory", age_s=float(number))))
        with pytest.raises(stun.TransactionFailed) as refused:
            await allocate(relay, grant(relay, "mallory", age_s=float(quota)))
        assert code(refused.value) == QUOTA_REACHED
        held.append(await allocate(relay, grant(relay, "ann")))
    finally:
        for transport in held:
            transport.close()


@pytest.mark.parametrize("peer", ["10.0.0.1", "192.168.1.1", "169.254.169.254", "127.0.0.2", "8.8.8.8"])
async def test_nobody_but_a_worker_is_relayed_to(relay: Coturn, peer: str) -> None:
    transport = await allocate(relay, grant(relay, "bob"))
    try:
        request = stun.Message(stun.Method.CREATE_PERMISSION, stun.Class.REQUEST)
        request.attributes["XOR-PEER-ADDRESS"] = (peer, 80)
        inner = transport._TurnTransport__inner_protocol
        with pytest.raises(stun.TransactionFailed) as refused:
            await inner.request_with_retry(request)
        assert code(refused.value) == FORBIDDEN
    finally:
        transport.close()


async def test_credentials_are_of_no_use_after_an_hour(relay: Coturn) -> None:
    with pytest.raises(stun.TransactionFailed) as refused:
        await allocate(relay, grant(relay, "cid", age_s=3605.0))
    assert code(refused.value) == UNAUTHORIZED
