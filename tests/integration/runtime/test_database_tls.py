"""A PostgreSQL that is reached over TLS, with the URL's options as the manifests have them (`sslmode=verify-full`)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from deploy.embedded.ports import Ports
from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.postgres.database import Database
from tests.support.db import connected
from tests.support.tls import HOST, Authority, postgres_front


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def port(database_url: str, authority: Authority) -> AsyncIterator[int]:
    folder = parse_qs(urlsplit(database_url).query)["host"][0]
    port = Ports({}).tcp("postgres-front")
    async with postgres_front(port, Path(folder) / ".s.PGSQL.5432", authority.issue("postgres")):
        yield port


def over_tls(database_url: str, host: str, port: int, ca: Path) -> Database:
    url = urlsplit(database_url)
    address = f"postgresql://{url.username}@{host}:{port}{url.path}?sslmode=verify-full&sslrootcert={ca}"
    return Database(DatabaseConfig(address, pool_size=2), MIGRATIONS)


async def test_a_server_of_our_authority_is_spoken_to_over_tls(
    database_url: str, port: int, authority: Authority
) -> None:
    async with connected(over_tls(database_url, HOST, port, authority.ca)) as database:
        assert await database.ready()


@pytest.mark.parametrize("fault", ["another authority", "another name", "no such file"])
async def test_a_server_that_cannot_be_trusted_is_waited_for(
    database_url: str, port: int, authority: Authority, tmp_path: Path, fault: str
) -> None:
    host, ca = {
        "another authority": (HOST, Authority(tmp_path, "other").ca),
        # The certificate is for the address alone.
        "another name": ("localhost", authority.ca),
        "no such file": (HOST, tmp_path / "missing.pem"),
    }[fault]
    distrusting = over_tls(database_url, host, port, ca)
    await distrusting.start()
    try:
        # By then the other had its chance too, and goes on trying.
        async with connected(over_tls(database_url, HOST, port, authority.ca)) as database:
            assert await database.ready()
            assert not await distrusting.ready()
    finally:
        await distrusting.stop()
