"""A worker that listens on both families: callers over IPv6 and over IPv4 in one call."""

import socket
from collections.abc import AsyncIterator

import aioice.ice
import pytest

from tests.integration.sfu.conftest import Client, RunningWorker, run_worker
from tests.integration.sfu.framed import FramedPath
from tests.support.waiting import until


def loopback_has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not loopback_has_ipv6(), reason="this machine has no ::1")


@pytest.fixture
async def worker() -> AsyncIterator[RunningWorker]:
    both = {"PARLEY_SFU_UDP_ADDRESS": "[::]:0", "PARLEY_SFU_TCP_ADDRESS": "[::]:0", "PARLEY_SFU_PUBLIC_IP6": "::1"}
    async with run_worker(**both) as running:
        yield running


def live_on(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """The clients that join from now on have this address and no other."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [address])


async def test_a_call_over_ipv6_and_ipv4_runs_by_one_socket(
    worker: RunningWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = Client("ann", grey=60), Client("bob", grey=200)
    live_on(monkeypatch, "::1")
    answer = await ann.join(worker)
    live_on(monkeypatch, "127.0.0.1")
    await bob.join(worker)
    await until(lambda: ann.sees(200) and bob.sees(60), what="both see each other")
    await until(lambda: ann.hears() and bob.hears(), what="both hear each other")
    hosts = [line.split()[4] for line in answer.splitlines() if line.startswith("a=candidate:")]
    assert set(hosts) == {"127.0.0.1", "::1"}
    for client in (ann, bob):
        await client.close()


async def test_tcp_serves_both_families_too(worker: RunningWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = Client("ann", grey=60), Client("bob", grey=200)
    paths = []
    for client, host in ((ann, "::1"), (bob, "127.0.0.1")):
        paths.append(FramedPath((host, worker.services.tcp.port)))
        await client.join(worker, relay=paths[-1])
    await until(lambda: ann.sees(200) and bob.sees(60), what="both see each other")
    for client in (ann, bob):
        await client.close()
    for path in paths:
        path.close()
