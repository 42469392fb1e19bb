"""A host of the web that means no good, on this machine: the only place that the fetches of these tests may reach."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address

import pytest

from services.previews.clients.web import AiohttpWeb
from services.previews.core.model import UserId
from services.previews.core.networks import IpAddress
from services.previews.fetching import Fetcher, Reach
from services.previews.ports import Unreachable
from services.previews.service import Previews
from tests.support.clock import ManualClock
from tests.support.waiting import until

TIMEOUT_S = 0.8
ALICE, BOB = UserId("alice"), UserId("bob")
LOOPBACK = ip_address("127.0.0.1")
PAGE = b"<title>Found</title>"
Serve = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Host:
    """By path, what it does; and what it was asked."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[str] = []
        self.connections = 0
        self.at_once = 0
        self.most_at_once = 0
        self.paths: dict[str, Serve] = {}
        self.is_over = False

    @property
    def paths_asked(self) -> list[str]:
        return [request.split(" ")[1] for request in self.asked]

    def answers(self, path: str, head: str, body: bytes = b"", *, pause_s: float = 0.0) -> None:
        """An answer with these lines at its head, as `200 OK|content-type: text/html`."""
        status, *lines = head.split("|")

        async def serve(writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(pause_s)
            headers = "".join(f"{line}\r\n" for line in lines)
            writer.write(f"HTTP/1.1 {status}\r\n{headers}connection: close\r\n\r\n".encode() + body)

        self.paths[path] = serve

    def page(self, path: str, body: bytes = PAGE, headers: str = "content-type: text/html", pause_s: float = 0) -> None:
        """A page."""
        self.answers(path, f"200 OK|{headers}", body, pause_s=pause_s)

    def leads(self, path: str, location: str) -> None:
        """A redirection."""
        self.answers(path, f"302 Found|location: {location}")

    def sends_for_ever(self, path: str, before: bytes, again: bytes, pause_s: float = 0.0) -> None:
        """An answer without an end."""

        async def serve(writer: asyncio.StreamWriter) -> None:
            writer.write(before)
            while not self.is_over:
                writer.write(again)
                await writer.drain()
                await asyncio.sleep(pause_s)

        self.paths[path] = serve

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        with suppress(OSError, asyncio.IncompleteReadError):
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.asked.append(request)
            await self.paths[request.split(" ")[1]](writer)
            await writer.drain()
        self.at_once -= 1
        writer.close()


class Names:
    """A resolver that says what a test says, the last of it again and again."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[Sequence[str]]] = {}
        self.asked: list[str] = []

    async def resolve(self, host: str, user_id: UserId) -> Sequence[IpAddress]:
        self.asked.append(host)
        answers = self.addresses.get(host)
        if not answers:
            raise Unreachable("no such name")
        return [ip_address(each) for each in (answers.pop(0) if len(answers) > 1 else answers[0])]


class Town:
    """The host, what names lead to, and the service's own objects."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.names = Names()
        self.names.addresses["page.example"] = [["127.0.0.1"]]
        self.clock = ManualClock()
        self.reach = Reach(lambda ip: ip == LOOPBACK, frozenset({host.port}))
        web = AiohttpWeb("ParleyLinkPreviews/1.0", TIMEOUT_S)
        fetcher = Fetcher(self.names, web, self.reach, TIMEOUT_S)
        self.previews = Previews(fetcher, self.reach, self.clock, is_on=True, parallel=8)

    def url(self, path: str, host: str = "page.example") -> str:
        """The address of a path at the host."""
        return f"http://{host}:{self.host.port}{path}"


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    host = Host()
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
    host.port = server.sockets[0].getsockname()[1]
    town = Town(host)
    yield town
    await town.previews.stop()
    host.is_over = True
    server.close()
    await until(lambda: host.at_once == 0)


def bomb(mebibytes: int) -> bytes:
    """A page that grows a thousandfold, packed without ever being whole."""
    packing = zlib.compressobj(1, wbits=zlib.MAX_WBITS | 16)
    blank = b" " * 1024 * 1024
    return packing.compress(PAGE) + b"".join(packing.compress(blank) for _ in range(mebibytes)) + packing.flush()
