"""Who is given what, and how often hosts are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address

import pytest
from prometheus_client import REGISTRY

from services.previews.core.addresses import Address
from services.previews.core.answers import Answer, Head
from services.previews.core.cache import FOUND_S, MISSED_S
from services.previews.core.errors import AddressNotAllowed, NoPreview, PreviewsOff, TooManyFetches
from services.previews.core.model import Preview
from services.previews.core.networks import IpAddress
from services.previews.fetching import THE_INTERNET, Fetcher
from services.previews.ports import Unreachable
from services.previews.service import Previews
from tests.support.clock import ManualClock

URL = "https://page.example/"


class World:
    """A web of pages that answers when it is let, and names that all lead to one public host."""

    def __init__(self, *, is_on: bool = True, parallel: int = 4, timeout_s: float = 5.0) -> None:
        self.asked: list[str] = []
        self.answer: Answer | None = page("T")
        self.ips = [ip_address("1.1.1.1")]
        self.open = asyncio.Event()
        self.open.set()
        self.clock = ManualClock()
        fetcher = Fetcher(self, self, THE_INTERNET)
        self.previews = Previews(fetcher, THE_INTERNET, self.clock, is_on=is_on, parallel=parallel, timeout_s=timeout_s)

    async def resolve(self, host: str) -> Sequence[IpAddress]:
        """See ports.Resolver."""
        return self.ips

    async def get(self, address: Address, ips: Sequence[IpAddress]) -> Answer:
        """See ports.Web."""
        assert ips == self.ips
        self.asked.append(address.url)
        await self.open.wait()
        if self.answer is None:
            raise Unreachable
        return self.answer


def page(title: str) -> Answer:
    return Answer(Head(200, {"content-type": "text/html"}), f"<title>{title}</title>".encode())


def counted(result: str, source: str) -> float:
    return REGISTRY.get_sample_value("previews_requests_total", {"result": result, "source": source}) or 0.0


async def test_a_page_is_asked_for_once_in_ten_minutes() -> None:
    world = World()
    before = counted("found", "cache")
    assert await world.previews.get(URL) == Preview("T")
    # However it is written.
    assert await world.previews.get("HTTPS://Page.Example:443#a") == Preview("T")
    assert len(world.asked) == 1
    assert counted("found", "cache") == before + 1
    world.clock.advance(FOUND_S)
    world.answer = page("New")
    assert await world.previews.get(URL) == Preview("New")


async def test_that_there_is_none_is_known_for_a_minute() -> None:
    world = World()
    world.answer = None
    for _ in range(2):
        with pytest.raises(NoPreview):
            await world.previews.get(URL)
    assert len(world.asked) == 1
    world.clock.advance(MISSED_S)
    world.answer = page("Back")
    assert await world.previews.get(URL) == Preview("Back")


@pytest.mark.parametrize("ip", ["127.0.0.1", "169.254.169.254", "10.1.2.3", "::1", "fd00::1", "::ffff:1.1.1.1"])
async def test_a_host_that_is_not_public_is_never_asked(ip: str) -> None:
    world = World()
    world.ips = [ip_address("1.1.1.1"), ip_address(ip)]
    with pytest.raises(NoPreview):
        await world.previews.get(URL)
    assert world.asked == []


async def test_an_address_that_is_not_allowed_says_which_field_it_was() -> None:
    world = World()
    with pytest.raises(AddressNotAllowed) as refused:
        await world.previews.get("http://127.0.0.1/")
    assert refused.value.field == "url"
    assert world.asked == []


async def test_a_host_that_takes_too_long_has_no_preview() -> None:
    world = World(timeout_s=0.01)
    world.open.clear()
    with pytest.raises(NoPreview):
        await world.previews.get(URL)


async def test_no_more_hosts_are_asked_at_once_than_may_be() -> None:
    world = World(parallel=2)
    world.open.clear()
    first = [asyncio.create_task(world.previews.get(f"https://{name}.example/")) for name in ("a", "b")]
    await asyncio.sleep(0)
    with pytest.raises(TooManyFetches):
        await world.previews.get("https://c.example/")
    # One that is asked for already is no other.
    shared = asyncio.create_task(world.previews.get("https://a.example/"))
    await asyncio.sleep(0)
    world.open.set()
    assert [await each for each in (*first, shared)] == [Preview("T")] * 3
    assert await world.previews.get("https://c.example/") == Preview("T")


async def test_an_installation_may_make_none() -> None:
    world = World(is_on=False)
    with pytest.raises(PreviewsOff):
        await world.previews.get(URL)
    assert world.asked == []


async def test_what_is_under_way_ends_with_the_service() -> None:
    world = World()
    world.open.clear()
    asked = asyncio.create_task(world.previews.get(URL))
    await asyncio.sleep(0)
    await world.previews.stop()
    with pytest.raises(asyncio.CancelledError):
        await asked
