"""Names that hang hold up whoever asked for them, and nobody else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from threading import Event
from typing import Any

import pytest

from services.previews.clients.dns import LOOK_UPS_PER_USER, SystemResolver
from services.previews.core.errors import TooManyFetches
from services.previews.core.model import UserId
from services.previews.ports import Unreachable
from tests.support.waiting import until

ALICE, BOB = UserId("alice"), UserId("bob")
PUBLIC = ip_address("1.1.1.1")


class Names:
    """In place of the system's resolver. What begins with `hangs` is looked up until it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.addresses = [str(PUBLIC)]
        self.released = Event()

    def getaddrinfo(self, host: str, _port: None, **_: Any) -> list[tuple[object, ...]]:
        self.asked.append(host)
        if host.startswith("hangs"):
            self.released.wait()
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in self.addresses]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    yield names
    names.released.set()


async def test_look_ups_that_hang_hold_few_threads_of_one_user(names: Names) -> None:
    """Whoever asked for a name gave it up after some seconds, and its thread did not: one user held them all."""
    resolver = SystemResolver(LOOK_UPS_PER_USER + 1)
    asked = [asyncio.create_task(resolver.resolve(f"hangs{number}", ALICE)) for number in range(LOOK_UPS_PER_USER)]
    await until(lambda: len(names.asked) == LOOK_UPS_PER_USER)
    for task in asked:
        task.cancel()
    await asyncio.wait(asked)
    with pytest.raises(TooManyFetches):
        await resolver.resolve("page.example", ALICE)
    assert await resolver.resolve("page.example", BOB) == [PUBLIC]
    names.released.set()
    await until(lambda: not resolver._running)
    assert await resolver.resolve("page.example", ALICE) == [PUBLIC]
    await resolver.stop()


async def test_one_that_waits_for_a_thread_is_taken_back(names: Names) -> None:
    resolver = SystemResolver(1)
    first = asyncio.create_task(resolver.resolve("hangs", ALICE))
    await until(lambda: names.asked)
    second = asyncio.create_task(resolver.resolve("page.example", BOB))
    await until(lambda: BOB in resolver._running)
    second.cancel()
    await asyncio.wait([second])
    assert set(resolver._running) == {ALICE}
    names.released.set()
    with pytest.raises(Unreachable):
        await first
    assert names.asked == ["hangs."]
    await resolver.stop()


async def test_a_name_is_whole(names: Names) -> None:
    """The domains that a cluster searches are not put behind it."""
    resolver = SystemResolver(1)
    await resolver.resolve("page.example", ALICE)
    assert names.asked == ["page.example."]
    await resolver.stop()


async def test_a_name_that_leads_to_this_machine_leads_nowhere(names: Names) -> None:
    """Also by its public address, at which what listens is not behind a firewall for whoever is on the machine."""
    resolver = SystemResolver(1)
    names.addresses = [str(PUBLIC), own_address()]
    with pytest.raises(Unreachable):
        await resolver.resolve("page.example", ALICE)
    await resolver.stop()


def own_address() -> str:
    """As others have it; that of loops where there is no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect((str(PUBLIC), 9))
        return str(probe.getsockname()[0])
    return "127.0.0.1"
