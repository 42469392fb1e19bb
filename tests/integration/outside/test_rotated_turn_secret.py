"""The relay's secret and its certificate are replaced while clients ask for relayed addresses, at a real coturn."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
from aioice.stun import TransactionFailed
from aioice.turn import create_turn_endpoint

from deploy.k8s.objects import find, load_base
from services.runtime.clock import SystemClock
from services.signaling.core.grants import IceServer
from services.signaling.turn import HmacTurnServers
from tests.support.coturn import HOST, Coturn, run_coturn
from tests.support.rotation import Serving, load
from tests.support.tls import Authority, Pem
from tests.support.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.coturn
OLD, NEW = "the old secret", "the new secret"
LIFE_S = 3600


def credentials(secret: str) -> IceServer:
    """As a grant has them."""
    (server,) = HmacTurnServers(("turn:",), secret.encode(), LIFE_S).servers_for("alice", SystemClock().now())
    return server


class Allocation(asyncio.DatagramProtocol):
    """Knows when its relayed address was given back."""

    def __init__(self) -> None:
        self.is_lost = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost.set()


async def allocate(relay: Coturn, by: IceServer, tls: ssl.SSLContext | None = None) -> None:
    """A relayed address, which is given back. Raises TransactionFailed when the relay refuses."""
    transport, allocation = await create_turn_endpoint(
        Allocation,
        (HOST, relay.tls_port if tls else relay.port),
        username=by.username,
        password=by.credential,
        ssl=tls,
        transport="tcp",
    )
    transport.close()
    # A relay that is stopped before never answers.
    await allocation.is_lost.wait()


async def is_refused(relay: Coturn, by: IceServer) -> bool:
    try:
        await allocate(relay, by)
    except TransactionFailed as failure:
        return bool(failure.response.attributes["ERROR-CODE"][0] == 401)
    return False


async def test_the_relay_knows_both_secrets_before_signaling_signs_by_the_new_one(tmp_path: Path) -> None:
    with ExitStack() as stack:

        def start(name: str, *shared: str) -> Coturn:
            (tmp_path / name).mkdir()
            return stack.enter_context(run_coturn(tmp_path / name, *shared))

        serving = Serving(await asyncio.to_thread(start, "old", OLD))
        signing = OLD

        async def ask() -> None:
            with serving.one() as relay:
                await allocate(relay, credentials(signing))

        async with load(ask) as calls:
            assert await is_refused(serving.current, credentials(NEW))
            (await serving.replace(await asyncio.to_thread(start, "both", NEW, OLD))).stop()
            await calls.goes_on("a relay that knows both")
            given_before = credentials(OLD)
            signing = NEW
            await calls.goes_on("credentials by the new secret")
            await allocate(serving.current, given_before)
            # Their life is over.
            (await serving.replace(await asyncio.to_thread(start, "new", NEW))).stop()
            await calls.goes_on("a relay that knows the new secret alone")
            assert await is_refused(serving.current, given_before)


async def shows(relay: Coturn, tls: ssl.SSLContext, pem: Pem) -> bool:
    """Whether a new connection gets this certificate."""
    _, writer = await asyncio.open_connection(HOST, relay.tls_port, ssl=tls)
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    text = await asyncio.to_thread(pem.certificate.read_text)
    return bool(certificate == ssl.PEM_cert_to_DER_cert(text))


@contextmanager
def sidecar(folder: Path, relay: Coturn) -> Iterator[None]:
    """The manifest's container beside coturn, as it stands there, with this test's files in place of the pod's."""
    deployment = find(load_base(), "Deployment", "parley-media", "coturn")
    assert deployment is not None
    (container,) = deployment["spec"]["template"]["spec"]["initContainers"]
    shell, option, script = container["command"]
    for theirs, ours in {
        "/etc/tls/tls.crt": relay.certificate,
        "/run/turn/turnserver.pid": folder / "coturn.pid",
        "/run/turn/": f"{folder}/",
    }.items():
        script = script.replace(theirs, str(ours))
    process = subprocess.Popen([shell, option, script], env={**os.environ, "LOOK_EVERY_S": "0.1"})
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


async def test_the_relay_shows_a_renewed_certificate_of_which_its_pod_tells_it(tmp_path: Path) -> None:
    """It does not look by itself: without a signal or a start it would show the first one past its end."""
    relay, authority = Coturn(tmp_path, OLD), Authority(tmp_path)
    tls = ssl.create_default_context(cafile=authority.ca)
    before, renewed = authority.issue("before"), authority.issue("renewed")

    def put(pem: Pem) -> None:
        # The certificate last and at once: it is what tells that both are new. A pod's files change together.
        shutil.copy(pem.key, tmp_path / "relay.key")
        shutil.copy(pem.certificate, tmp_path / "next.crt")
        (tmp_path / "next.crt").replace(relay.certificate)

    put(before)
    await asyncio.to_thread(relay.start)
    try:
        async with load(lambda: allocate(relay, credentials(OLD), tls)) as calls:
            put(renewed)
            assert await shows(relay, tls, before)
            with sidecar(tmp_path, relay):
                for after in (renewed, authority.issue("renewed again")):
                    put(after)
                    await eventually(partial(shows, relay, tls, after), what="the renewed certificate")
                    await calls.goes_on("the renewed certificate")
    finally:
        relay.stop()
