"""The edge's certificate is replaced under load, as Kubernetes replaces a mounted Secret."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509

from deploy.embedded import envoy
from deploy.embedded.logs import LogSink
from deploy.embedded.ports import Ports
from deploy.embedded.process import ManagedProcess
from deploy.envoy.values import EdgeValues
from tests.support.mounted import MountedSecret
from tests.support.rotation import load
from tests.support.tls import HOST, Authority, Pem
from tests.support.waiting import eventually


def files(pem: Pem) -> dict[str, Path]:
    return {"tls.crt": pem.certificate, "tls.key": pem.key}


class Connection:
    """One of a client, for one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._turn = asyncio.Lock()

    @property
    def serial(self) -> int:
        """Of the certificate that was shown."""
        shown = self._writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(shown).serial_number

    async def get(self) -> None:
        """Raises what went wrong."""
        async with self._turn:
            self._writer.write(b"GET / HTTP/1.1\r\nhost: edge\r\n\r\n")
            head = await self._reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            assert await self._reader.readexactly(2) == b"ok"

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


class Edge:
    """Where it listens, and what its clients trust."""

    def __init__(self, values: EdgeValues, ca: Path) -> None:
        self._port = values.listen_port
        self._admin = f"http://{HOST}:{values.admin_port}"
        self._context = ssl.create_default_context(cafile=ca)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A new one."""
        made = Connection(*await asyncio.open_connection(HOST, self._port, ssl=self._context))
        try:
            yield made
        finally:
            await made.close()

    async def shows(self, certificate: Path) -> bool:
        """Whether a new connection gets this one."""
        wanted = x509.load_pem_x509_certificate(await asyncio.to_thread(certificate.read_bytes)).serial_number
        async with self.connection() as made:
            return made.serial == wanted

    async def has_refused_a_certificate(self) -> bool:
        """Whether it counts one that it could not take."""
        url = f"{self._admin}/stats?filter=key_rotation_failed"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return not (await answer.text()).strip().endswith(" 0")


@pytest.fixture
async def web_port() -> AsyncIterator[int]:
    """Who serves the pages behind the edge, and the issuer's keys."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_get("/{any:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def secret(tmp_path: Path, authority: Authority) -> MountedSecret:
    return MountedSecret(tmp_path / "tls", files(authority.issue("first")))


@pytest.fixture
async def edge(tmp_path: Path, web_port: int, authority: Authority, secret: MountedSecret) -> AsyncIterator[Edge]:
    ports = Ports({})
    nobody = f"{HOST}:{ports.tcp('nobody')}"
    values = EdgeValues(
        gateway=nobody,
        messaging=nobody,
        signaling=nobody,
        web=f"{HOST}:{web_port}",
        jwks_url=f"http://{HOST}:{web_port}/jwks.json",
        jwt_issuer="https://login.example.com/",
        listen_host=HOST,
        listen_port=ports.tcp("edge"),
        admin_port=ports.tcp("admin"),
        tls_certificate_file=str(secret.folder / "tls.crt"),
        tls_key_file=str(secret.folder / "tls.key"),
        health_interval_s=1,
    )
    sink = LogSink(tmp_path / "logs", None)
    process = ManagedProcess(envoy.spec(values, tmp_path / "edge"), sink)
    await process.start()
    try:
        yield Edge(values, authority.ca)
    finally:
        await process.stop()
        sink.close()


async def succeeds(ask: Callable[[], Awaitable[None]]) -> bool:
    try:
        await ask()
    except AssertionError:
        return False
    return True


async def test_new_connections_get_the_new_certificate_and_open_ones_go_on(
    edge: Edge, secret: MountedSecret, authority: Authority
) -> None:
    async with edge.connection() as kept:
        before = kept.serial

        async def ask() -> None:
            async with edge.connection() as fresh:
                await fresh.get()
            await kept.get()

        await eventually(lambda: succeeds(ask), what="the edge's first answer")
        async with load(ask) as pages:
            for name in ("second", "third"):
                renewed = authority.issue(name)
                secret.replace(files(renewed))
                await eventually(lambda shown=renewed: edge.shows(shown.certificate), what=f"the {name} certificate")
                await pages.goes_on(f"the {name} certificate")
        assert kept.serial == before


@pytest.mark.parametrize("damage", ["another key", "half written"])
async def test_files_that_are_no_help_leave_the_certificate_before_until_the_next(
    edge: Edge, secret: MountedSecret, authority: Authority, tmp_path: Path, damage: str
) -> None:
    async def ask() -> None:
        async with edge.connection() as fresh:
            await fresh.get()

    first, faulty = tmp_path / "first.crt", authority.issue("faulty")
    if damage == "another key":
        faulty.key.write_bytes(authority.issue("somebody").key.read_bytes())
    else:
        faulty.certificate.write_bytes(faulty.certificate.read_bytes()[:100])
    await eventually(lambda: succeeds(ask), what="the edge's first answer")
    async with load(ask) as pages:
        secret.replace(files(faulty))
        await eventually(edge.has_refused_a_certificate, what="the edge's word on the faulty files")
        await pages.goes_on("the faulty files")
        assert await edge.shows(first)
        renewed = authority.issue("second")
        secret.replace(files(renewed))
        await eventually(lambda: edge.shows(renewed.certificate), what="the second certificate")
