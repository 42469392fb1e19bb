"""Pages are fetched from a real host on real sockets, and hosts that mean no good get nothing from it."""

from __future__ import annotations

import asyncio
import resource
import socket

import aiohttp
import pytest

from services.previews.clients.web import MAX_HEADER_BYTES, AiohttpWeb
from services.previews.core.addresses import parse_address
from services.previews.core.errors import AddressNotAllowed, NoPreview, TooManyFetches
from services.previews.core.model import Preview, UserId
from services.previews.core.pages import MAX_PAGE_BYTES
from services.previews.fetching import FETCHES_PER_HOST, THE_INTERNET
from services.previews.ports import Unreachable
from services.runtime.limits.concurrency import Turns
from tests.integration.previews.conftest import ALICE, BOB, LOOPBACK, PAGE, TIMEOUT_S, Town, bomb
from tests.support.waiting import until

FOUND = Preview("Found")
OK = b"HTTP/1.1 200 OK\r\n"
HTML = OK + b"content-type: text/html\r\n"
CAROL = UserId("carol")
CHUNK = b"10000\r\n" + b" " * 0x10000 + b"\r\n"


async def test_a_page_is_found(town: Town) -> None:
    town.host.page("/a?b=c")
    assert await town.previews.get(ALICE, town.url("/a?b=c#d")) == FOUND
    (request,) = town.host.asked
    line, *headers = request.strip().split("\r\n")
    assert line == "GET /a?b=c HTTP/1.1"
    assert sorted(headers) == [
        "Accept-Encoding: gzip",
        "Accept: text/html,application/xhtml+xml",
        "Connection: close",
        f"Host: page.example:{town.host.port}",
        "User-Agent: ParleyLinkPreviews/1.0",
    ]


async def test_the_page_behind_three_redirections_is_found(town: Town) -> None:
    town.names.addresses["other.example"] = [["127.0.0.1"]]
    town.host.leads("/1", "/2")
    town.host.leads("/2", town.url("/3", "other.example"))
    town.host.leads("/3", "4")
    town.host.page("/4")
    assert await town.previews.get(ALICE, town.url("/1")) == FOUND
    assert town.names.asked == ["page.example", "page.example", "other.example", "other.example"]


async def test_cookies_of_a_host_are_not_brought_back(town: Town) -> None:
    town.host.answers("/1", "302 Found|location: /2|set-cookie: id=1")
    town.host.page("/2")
    await town.previews.get(ALICE, town.url("/1"))
    assert "cookie" not in town.host.asked[1].lower()


async def test_a_proxy_of_the_environment_is_not_asked(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    town.host.page("/")
    assert await town.previews.get(ALICE, town.url("/")) == FOUND


async def test_a_name_that_changes_its_address_changes_nothing(town: Town) -> None:
    """DNS rebinding: what was checked is what is connected to, since nobody looks the name up again."""
    town.names.addresses["page.example"] = [["127.0.0.1"], ["169.254.169.254"]]
    town.host.page("/")
    assert await town.previews.get(ALICE, town.url("/")) == FOUND
    assert town.names.asked == ["page.example"]


@pytest.mark.parametrize("addresses", [["127.0.0.2"], ["127.0.0.1", "10.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], []])
async def test_a_name_that_leads_elsewhere_too_is_not_connected_to(town: Town, addresses: list[str]) -> None:
    town.names.addresses["page.example"] = [addresses]
    town.host.page("/")
    await expect_nothing(town, "/")
    assert town.host.connections == 0


async def test_a_redirection_to_a_name_that_leads_inside_is_not_followed(town: Town) -> None:
    town.names.addresses["inside.example"] = [["127.0.0.2"]]
    town.host.leads("/", town.url("/", "inside.example"))
    await expect_nothing(town, "/")
    assert town.host.connections == 1


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:{port}/2", "http://localhost:{port}/2", "http://[::1]/", "", "\\2"]
)
async def test_a_redirection_inside_is_not_followed(town: Town, location: str) -> None:
    town.host.leads("/1", location.format(port=town.host.port))
    town.host.page("/2")
    await expect_nothing(town, "/1")
    assert set(town.host.paths_asked) == {"/1"}


async def test_redirections_have_an_end(town: Town) -> None:
    town.host.leads("/", "/")
    await expect_nothing(town, "/")
    assert town.host.connections == 4


async def test_the_internet_is_not_this_machine(town: Town) -> None:
    """What production runs with. The address is a forbidden one already; so is what the name leads to."""
    assert not THE_INTERNET.allows(LOOPBACK)
    with pytest.raises(AddressNotAllowed):
        parse_address(town.url("/"), THE_INTERNET.ports)


async def test_a_socket_is_made_for_no_other_address(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the library were to look names up by itself."""
    web, address = town.previews._fetcher._web, parse_address(town.url("/"), town.reach.ports)  # type: ignore[attr-defined]
    town.host.page("/")

    async def resolve(*_: object, **__: object) -> list[dict[str, object]]:
        return [
            {
                "hostname": "x",
                "host": "127.0.0.1",
                "port": town.host.port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": 0,
            }
        ]

    monkeypatch.setattr("services.previews.clients.web._Checked.resolve", resolve)
    assert (await web.get(address, [LOOPBACK])).body == PAGE
    with pytest.raises(Unreachable):
        await web.get(address, [])
    assert town.host.connections == 1


@pytest.mark.parametrize(
    "head",
    [
        *("404 Not Found|content-type: text/html", "500 Oh|content-type: text/html", "204 No|content-type: text/html"),
        *("200 OK", "200 OK|content-type: text/plain", "200 OK|content-type: image/png", "302 Found"),
        *(
            "200 OK|content-type: text/html|content-encoding: br",
            "200 OK|content-type: text/html|content-encoding: gzip",
        ),
        *("101 Switching|upgrade: x", "999 X", "-1 X", "200 OK|content-type: text/html|content-length: x"),
    ],
)
async def test_what_is_no_page_is_told_like_all_else(town: Town, head: str) -> None:
    town.host.answers("/", head, PAGE)
    await expect_nothing(town, "/")


async def test_no_caller_learns_what_is_behind_an_address(town: Town) -> None:
    """Refused, silent, no HTTP, no page, no name, a name that leads inside: one error, word for word."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        refused = f"http://page.example:{closed.getsockname()[1]}/"
        town.previews._reach = town.previews._fetcher._reach = type(town.reach)(  # type: ignore[misc]
            town.reach.allows, frozenset({town.host.port, closed.getsockname()[1]})
        )
        town.names.addresses["inside.example"] = [["10.0.0.1"]]
        town.host.answers("/json", "200 OK|content-type: application/json", b"{}")
        town.host.sends_for_ever("/silent", b"", b"", 0.05)
        town.host.sends_for_ever("/ssh", b"SSH-2.0-OpenSSH_9.6\r\n", b"", 0.05)
        urls = [refused, *(town.url(path) for path in ("/json", "/silent", "/ssh"))]
        urls += [town.url("/", "nobody.example"), town.url("/", "inside.example")]
        told = {await told_of(town, url) for url in urls}
    assert len(told) == 1


async def told_of(town: Town, url: str) -> tuple[type, tuple[object, ...]]:
    with pytest.raises(NoPreview) as raised:
        await town.previews.get(ALICE, url)
    return type(raised.value), raised.value.args


async def test_a_slow_drip_ends_in_time(town: Town) -> None:
    town.host.sends_for_ever("/head", OK, b"a", 0.02)
    town.host.sends_for_ever("/body", HTML + b"\r\n", b" ", 0.02)
    await asyncio.gather(expect_nothing(town, "/head"), expect_nothing(town, "/body"))


async def test_endless_headers_are_given_up(town: Town) -> None:
    town.host.sends_for_ever("/many", HTML, b"x-a: b\r\n" * 1_000)
    town.host.sends_for_ever("/long", HTML + b"x-a: ", b"b" * 10_000)
    town.host.sends_for_ever("/early", b"", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", 0.01)
    town.host.page("/large", headers="content-type: text/html|" + "|".join(f"x-{i}: {'a' * 8_000}" for i in range(5)))
    for path in ("/many", "/long", "/early", "/large"):
        await expect_nothing(town, path)
    assert MAX_HEADER_BYTES < 5 * 8_000


EARLY = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"


async def test_what_comes_before_an_answer_is_not_kept_for_ever(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library keeps every early answer: a host that sent nothing else took 200 MiB, and the loop for seconds."""
    kept = 0
    keep = aiohttp.DataQueue.feed_data

    def count(queue: aiohttp.DataQueue[object], data: object, size: int = 0) -> None:
        nonlocal kept
        kept += 1
        keep(queue, data, size)

    monkeypatch.setattr(aiohttp.DataQueue, "feed_data", count)
    town.host.sends_for_ever("/", b"", EARLY * 5_000)
    await expect_too_much(town, "/")
    assert kept < 200


async def test_a_few_early_answers_are_passed_over(town: Town) -> None:
    town.host.sends_for_ever("/", 3 * EARLY + HTML + b"content-length: 20\r\n\r\n" + PAGE, b"", 0.01)
    assert len(PAGE) == 20
    assert await town.previews.get(ALICE, town.url("/")) == FOUND


async def test_what_is_sent_around_a_page_without_an_end_is_given_up(town: Town) -> None:
    chunked = HTML + b"transfer-encoding: chunked\r\n\r\n"
    town.host.sends_for_ever("/lines", b"", b"\r\n" * 50_000)
    town.host.sends_for_ever("/extension", chunked + b"1;", b"a" * 100_000)
    town.host.sends_for_ever("/extensions", chunked, (b"1;" + b"a" * 4_000 + b"\r\n \r\n") * 50)
    for path in ("/lines", "/extension", "/extensions"):
        await expect_too_much(town, path)


async def expect_too_much(town: Town, path: str) -> None:
    """By what was sent, and not by the time that it took."""
    web = AiohttpWeb("ParleyLinkPreviews/1.0", 60)
    with pytest.raises(Unreachable, match="Client"):
        await web.get(parse_address(town.url(path), town.reach.ports), [LOOPBACK])


async def test_a_page_without_an_end_is_cut(town: Town) -> None:
    town.host.sends_for_ever("/plain", HTML + b"\r\n" + PAGE, b" " * 65_536)
    town.host.sends_for_ever("/chunked", HTML + b"transfer-encoding: chunked\r\n\r\n14\r\n" + PAGE + b"\r\n", CHUNK)
    town.host.sends_for_ever("/gigabyte", HTML + b"content-length: 1073741824\r\n\r\n" + PAGE, b" " * 65_536)
    for path in ("/plain", "/chunked", "/gigabyte"):
        assert await town.previews.get(ALICE, town.url(path)) == FOUND


async def test_a_bomb_is_cut_as_it_grows(town: Town) -> None:
    packed = bomb(64)
    assert len(packed) < MAX_PAGE_BYTES
    town.host.page("/", packed, "content-type: text/html|content-encoding: gzip")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert await town.previews.get(ALICE, town.url("/")) == FOUND
    # In KiB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024


async def test_a_page_in_another_encoding_than_it_says_is_read_as_it_can_be(town: Town) -> None:
    town.host.page("/", "<title>日本 a</title>".encode("shift_jis"), "content-type: text/html; charset=utf-8")
    assert (await town.previews.get(ALICE, town.url("/"))).title.endswith(" a")


async def test_what_breaks_off_is_no_preview(town: Town) -> None:
    town.host.page("/", PAGE, "content-type: text/html|content-length: 1000")
    await expect_nothing(town, "/")


async def test_one_host_is_asked_little_at_once(town: Town) -> None:
    for number in range(6):
        town.host.page(f"/{number}", pause_s=0.02)
    asking = ((user, town.url(f"/{number}")) for number, user in enumerate([ALICE, BOB, CAROL] * 2))
    found = await asyncio.gather(*(town.previews.get(user, url) for user, url in asking))
    assert found == [FOUND] * 6
    assert town.host.most_at_once == FETCHES_PER_HOST


async def test_one_user_leaves_a_turn_to_others_by_no_redirection(town: Town) -> None:
    for number in range(3):
        town.names.addresses[f"way{number}.example"] = [["127.0.0.1"]]
        town.host.leads(f"/way{number}", town.url(f"/slow{number}"))
        town.host.sends_for_ever(f"/slow{number}", b"", b"", 0.02)
    town.host.page("/")
    ways = [town.url(f"/way{number}", f"way{number}.example") for number in range(3)]
    asked = [asyncio.create_task(town.previews.get(ALICE, way)) for way in ways]
    await until(lambda: any(path.startswith("/slow") for path in town.host.paths_asked))
    assert await town.previews.get(BOB, town.url("/")) == FOUND
    assert len([path for path in town.host.paths_asked if path.startswith("/slow")]) == 1
    for task in asked:
        task.cancel()


async def test_those_who_ask_the_same_share_one_fetch(town: Town) -> None:
    town.host.page("/", pause_s=0.05)
    found = await asyncio.gather(*(town.previews.get(ALICE, town.url("/")) for _ in range(20)))
    assert found == [FOUND] * 20
    assert town.host.connections == 1


async def test_who_gives_up_takes_nothing_from_the_others(town: Town) -> None:
    town.host.page("/", pause_s=0.1)
    first = asyncio.create_task(town.previews.get(ALICE, town.url("/")))
    second = asyncio.create_task(town.previews.get(ALICE, town.url("/")))
    await asyncio.sleep(0.02)
    first.cancel()
    assert await second == FOUND
    assert town.host.connections == 1


async def test_when_all_have_given_up_the_host_is_left(town: Town) -> None:
    """The work ends with the call, whose time is shorter than that of a fetch or is over."""
    town.host.sends_for_ever("/", HTML + b"\r\n", b" ", 0.01)
    both = [asyncio.create_task(town.previews.get(user, town.url("/"))) for user in (ALICE, BOB)]
    await until(lambda: town.host.at_once == 1)
    for task in both:
        task.cancel()
    # Of the fetch itself, so that no limit of time ends it.
    await until(lambda: not town.previews._running, within_s=TIMEOUT_S / 2)
    await until(lambda: town.host.at_once == 0)


async def expect_nothing(town: Town, path: str) -> None:
    with pytest.raises(NoPreview):
        await town.previews.get(ALICE, town.url(path))


async def test_when_too_many_wait_for_a_host_it_is_not_said_that_there_is_no_preview(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(town.previews._fetcher, "_hosts", Turns(at_once=1, waiting=0))
    town.host.page("/1", pause_s=0.1)
    town.host.page("/2")
    first = asyncio.create_task(town.previews.get(ALICE, town.url("/1")))
    await until(lambda: town.host.at_once == 1)
    with pytest.raises(TooManyFetches):
        await town.previews.get(BOB, town.url("/2"))
    assert await first == FOUND
    # That was not kept.
    assert await town.previews.get(BOB, town.url("/2")) == FOUND
