"""What the services of an embedded stack are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.embedded import postgres
from deploy.embedded.addresses import Addresses, allocate
from deploy.embedded.environments import Environments
from deploy.embedded.files import Files
from deploy.embedded.ports import Ports
from deploy.embedded.settings import StackSettings

# A stack of the machine may have the ports that people use.
ANY_PORTS = {"PARLEY_PORT_EDGE": "0", "PARLEY_PORT_MEDIA": "0"}


@pytest.fixture
def addresses(tmp_path: Path) -> Addresses:
    return allocate(settings(tmp_path, ""), Ports(ANY_PORTS))


def settings(folder: Path, host: str) -> StackSettings:
    return StackSettings(folder, folder / "logs", broker="tansu", tls="off", postgres_host=host)


@pytest.mark.parametrize("host", ["", "10.1.2.3"])
@pytest.mark.parametrize("database", postgres.DATABASES)
def test_each_database_is_reached_where_postgresql_listens(
    tmp_path: Path, addresses: Addresses, database: str, host: str
) -> None:
    files = Files.within(tmp_path)
    files.write(is_tls=False)
    made = Environments(settings(tmp_path, host), addresses, files, resume_key="", objects_secret="")
    service = database.removeprefix("parley_")
    assert made.of(service, service)["PARLEY_DATABASE_URL"] == postgres.url(files.postgres, database, host)
