"""Who is given what, and how often hosts are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest
from prometheus_client import REGISTRY

from services.previews.core.addresses import Address
from services.previews.core.answers import Answer, Head
from services.previews.core.cache import FOUND_S, MISSED_S
from services.previews.core.errors import AddressNotAllowed, NoPreview, PreviewsOff, TooManyFetches
from services.previews.core.model import Preview, UserId
from services.previews.core.networks import IpAddress
from services.previews.fetching import MAX_ADDRESSES, THE_INTERNET, Fetcher
from services.previews.ports import Unreachable
from services.previews.service import FETCHES_PER_USER, Previews
from tests.support.clock import ManualClock
from tests.support.waiting import until

URL = "https://page.example/"
ALICE, BOB, CAROL = UserId("alice"), UserId("bob"), UserId("carol")


class World:
    """A web of pages that answers when it is let, and names that all lead to one public host."""

    def __init__(self, *, is_on: bool = True, parallel: int = 4, timeout_s: float = 5.0) -> None:
        self.asked: list[str] = []
        self.tried: list[IpAddress] = []
        self.answer: Answer | None = page("T")
        self.ips: list[IpAddress] = [ip_address("1.1.1.1")]
        self.open = asyncio.Event()
        self.open.set()
        self.clock = ManualClock()
        fetcher = Fetcher(self, self, THE_INTERNET, timeout_s)
        self.previews = Previews(fetcher, THE_INTERNET, self.clock, is_on=is_on, parallel=parallel)

    async def resolve(self, host: str, user_id: UserId) -> Sequence[IpAddress]:
        """See ports.Resolver."""
        return self.ips

    async def get(self, address: Address, ips: Sequence[IpAddress]) -> Answer:
        """See ports.Web."""
        self.tried = list(ips)
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
    assert await world.previews.get(ALICE, URL) == Preview("T")
    # However it is written.
    assert await world.previews.get(ALICE, "HTTPS://Page.Example:443#a") == Preview("T")
    assert len(world.asked) == 1
    assert counted("found", "cache") == before + 1
    world.clock.advance(FOUND_S)
    world.answer = page("New")
    assert await world.previews.get(ALICE, URL) == Preview("New")


async def test_that_there_is_none_is_known_for_a_minute() -> None:
    world = World()
    world.answer = None
    for _ in range(2):
        with pytest.raises(NoPreview):
            await world.previews.get(ALICE, URL)
    assert len(world.asked) == 1
    world.clock.advance(MISSED_S)
    world.answer = page("Back")
    assert await world.previews.get(ALICE, URL) == Preview("Back")


@pytest.mark.parametrize("ip", ["127.0.0.1", "169.254.169.254", "10.1.2.3", "::1", "fd00::1", "::ffff:1.1.1.1"])
async def test_a_host_that_is_not_public_is_never_asked(ip: str) -> None:
    world = World()
    world.ips = [ip_address("1.1.1.1"), ip_address(ip)]
    with pytest.raises(NoPreview):
        await world.previews.get(ALICE, URL)
    assert world.asked == []


async def test_a_host_in_a_network_of_ones_own_is_never_asked() -> None:
    reach = THE_INTERNET.without([ip_network("1.1.1.0/24"), ip_network("2600:1f00::/40")])
    assert [reach.allows(ip_address(ip)) for ip in ("1.1.1.1", "2600:1f00::1", "127.0.0.1")] == [False] * 3
    assert [reach.allows(ip_address(ip)) for ip in ("1.1.2.1", "2600:2000::1")] == [True] * 2
    assert reach.ports == THE_INTERNET.ports


async def test_an_address_that_is_not_allowed_says_which_field_it_was() -> None:
    world = World()
    with pytest.raises(AddressNotAllowed) as refused:
        await world.previews.get(ALICE, "http://127.0.0.1/")
    assert refused.value.field == "url"
    assert world.asked == []


async def test_a_host_that_takes_too_long_has_no_preview() -> None:
    world = World(timeout_s=0.01)
    world.open.clear()
    with pytest.raises(NoPreview):
        await world.previews.get(ALICE, URL)


async def test_no_more_hosts_are_asked_at_once_than_may_be() -> None:
    world = World(parallel=2)
    world.open.clear()
    first = [asyncio.create_task(world.previews.get(ALICE, f"https://{name}.example/")) for name in ("a", "b")]
    await asyncio.sleep(0)
    with pytest.raises(TooManyFetches):
        await world.previews.get(ALICE, "https://c.example/")
    # One that is asked for already is no other.
    shared = asyncio.create_task(world.previews.get(ALICE, "https://a.example/"))
    await asyncio.sleep(0)
    world.open.set()
    assert [await each for each in (*first, shared)] == [Preview("T")] * 3
    assert await world.previews.get(ALICE, "https://c.example/") == Preview("T")


async def test_an_installation_may_make_none() -> None:
    world = World(is_on=False)
    with pytest.raises(PreviewsOff):
        await world.previews.get(ALICE, URL)
    assert world.asked == []


async def test_what_is_under_way_ends_with_the_service() -> None:
    world = World()
    world.open.clear()
    asked = asyncio.create_task(world.previews.get(ALICE, URL))
    await asyncio.sleep(0)
    await world.previews.stop()
    with pytest.raises(asyncio.CancelledError):
        await asked


# Hostile users, hosts and networks.


async def give_up(world: World, *asked: asyncio.Task[Preview]) -> None:
    """As by a call that is cancelled, or whose time is over."""
    await until(lambda: len(world.asked) >= len(asked))
    for task in asked:
        task.cancel()
    await asyncio.wait(asked)


def ask(world: World, user_id: UserId, *hosts: str) -> list[asyncio.Task[Preview]]:
    return [asyncio.create_task(world.previews.get(user_id, f"https://{host}.example/")) for host in hosts]


async def test_what_nobody_waits_for_any_more_holds_no_place() -> None:
    """One user who asked and gave up, again and again, held all the places there were, for the whole of their time."""
    world = World(parallel=2)
    world.open.clear()
    await give_up(world, *ask(world, ALICE, "a", "b"))
    world.open.set()
    assert await world.previews.get(BOB, URL) == Preview("T")


async def test_whoever_comes_after_the_last_one_gave_up_is_asked_for_anew() -> None:
    world = World()
    world.open.clear()
    (first,) = ask(world, ALICE, "page")
    await until(lambda: world.asked == [URL])
    first.cancel()
    # What was given up has not ended yet.
    (second,) = ask(world, BOB, "page")
    world.open.set()
    assert await second == Preview("T")
    assert world.asked == [URL, URL]


async def test_one_user_holds_few_places() -> None:
    world = World(parallel=FETCHES_PER_USER + 1)
    world.open.clear()
    asked = ask(world, ALICE, *(f"slow{number}" for number in range(FETCHES_PER_USER)))
    await until(lambda: len(world.asked) == FETCHES_PER_USER)
    with pytest.raises(TooManyFetches):
        await world.previews.get(ALICE, URL)
    (bobs,) = ask(world, BOB, "page")
    await until(lambda: URL in world.asked)
    world.open.set()
    assert await asyncio.gather(*asked, bobs) == [Preview("T")] * (FETCHES_PER_USER + 1)
    assert await world.previews.get(ALICE, "https://more.example/") == Preview("T")


async def test_one_user_leaves_a_turn_at_each_host_to_others() -> None:
    """Two slow pages of one host were all that the host was asked for."""
    world = World(parallel=FETCHES_PER_USER)
    world.open.clear()
    slow = [asyncio.create_task(world.previews.get(ALICE, f"{URL}{number}")) for number in range(3)]
    await until(lambda: len(world.asked) == 1)
    bobs = asyncio.create_task(world.previews.get(BOB, URL))
    await until(lambda: world.asked[1:] == [URL])
    world.open.set()
    assert await asyncio.gather(*slow, bobs) == [Preview("T")] * 4


async def test_what_a_user_waits_for_at_a_host_holds_up_nobody_else() -> None:
    world = World(parallel=FETCHES_PER_USER)
    world.open.clear()
    alices = [asyncio.create_task(world.previews.get(ALICE, f"{URL}{page}")) for page in ("slow", "popular")]
    await until(lambda: world.asked == [f"{URL}slow"])
    bobs = asyncio.create_task(world.previews.get(BOB, f"{URL}popular"))
    await until(lambda: world.asked == [f"{URL}slow", f"{URL}popular"])
    world.open.set()
    assert await asyncio.gather(*alices, bobs) == [Preview("T")] * 3
    # For her, what was found for him.
    assert len(world.asked) == 2


async def test_that_a_host_was_busy_is_not_kept_as_if_it_had_no_preview() -> None:
    """Two slow pages of a host, and whatever else was asked of it meanwhile had no preview for a minute."""
    world = World()
    world.open.clear()
    slow = [asyncio.create_task(world.previews.get(user, f"{URL}{user}")) for user in (ALICE, BOB)]
    await until(lambda: len(world.asked) == 2)
    with pytest.MonkeyPatch.context() as patched:
        # As if their time were longer: the turns stay taken.
        patched.setattr(world.previews._fetcher, "_timeout_s", 0.01)
        with pytest.raises(TooManyFetches):
            await world.previews.get(CAROL, URL)
    world.open.set()
    await asyncio.wait(slow)
    assert await world.previews.get(CAROL, URL) == Preview("T")


async def test_of_many_addresses_few_are_tried() -> None:
    """One name with hundreds of addresses had each of them connected to."""
    world = World()
    v4, v6 = ([ip_address(f"{start}{number}") for number in range(1, 21)] for start in ("1.1.1.", "2606:4700::"))
    world.ips = [*v6, *v4]
    assert await world.previews.get(ALICE, URL) == Preview("T")
    assert world.tried == [*v6[:2], *v4[:2]]


async def test_a_name_with_more_addresses_than_any_host_has_is_not_asked() -> None:
    """Thousands fit into one answer, and each is looked at."""
    world = World()
    world.ips = [ip_address(f"1.1.1.{number}") for number in range(MAX_ADDRESSES + 1)]
    with pytest.raises(NoPreview):
        await world.previews.get(ALICE, URL)
    assert world.asked == []


async def test_that_too_many_names_are_looked_up_is_not_kept() -> None:
    world = World()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(world, "resolve", refuse)
        with pytest.raises(TooManyFetches):
            await world.previews.get(ALICE, URL)
    assert await world.previews.get(ALICE, URL) == Preview("T")


async def refuse(host: str, user_id: UserId) -> Sequence[IpAddress]:
    raise TooManyFetches("as many names are looked up as may be")
