"""Pages are asked for over HTTP/1.1, at addresses that were checked before, up to bounds that the hosts do not set."""

import asyncio
import socket
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from services.previews.clients.tls import BoundedTls
from services.previews.core.addresses import DEFAULT_PORTS, Address
from services.previews.core.answers import Answer, Head
from services.previews.core.networks import IpAddress
from services.previews.core.pages import MAX_PAGE_BYTES
from services.previews.ports import Unreachable

# Of one answer, in all. Raising it reads more of what nobody asked for; lowering it misses pages with many cookies.
MAX_HEADER_BYTES = 32 * 1024
MAX_HEADERS = 128
# Before the answer itself, such as 103 Early Hints. Raising it reads more of what nobody asked for; lowering it misses
# pages that announce much.
MAX_EARLY_ANSWERS = 8
# On one connection: what is sent around a page is no part of it, such as blank lines and extensions of chunks. Raising
# it reads more of what nobody asked for; lowering it gives up hosts that send small chunks.
MAX_TAKEN_BYTES = 2 * MAX_PAGE_BYTES
# The same over TLS, with what that takes itself: certificates, and some bytes a record.
MAX_TLS_BYTES = MAX_TAKEN_BYTES + 256 * 1024
# Of what has come, read at once. Raising it reads more of what is given up then; lowering it takes more calls.
_PIECE_BYTES = 4 * 1024
# Of what the system keeps for us until we read, and so of what one step of the loop reads: a host that sends each byte
# in a chunk of its own makes that dear. Raising it holds the loop for longer; lowering it makes far hosts slow.
_UNREAD_BYTES = 64 * 1024
# One address may be down while the others are not. Raising it lets a dead one take more of the time that there is.
CONNECT_S = 2.0
_CHUNK_BYTES = 16 * 1024


class AiohttpWeb:
    """See ports.Web. `ca_file`: authorities in place of those that the system knows. It sends no cookies and nobody's
    credentials, keeps no connection, and takes no proxy from the environment."""

    def __init__(self, user_agent: str, timeout_s: float, ca_file: Path | None = None) -> None:
        self._headers = {
            "User-Agent": user_agent,
            "Accept": "text/html,application/xhtml+xml",
            "Accept-Encoding": "gzip",
        }
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_S)
        self._tls = BoundedTls.of(MAX_TLS_BYTES, ca_file)

    async def get(self, address: Address, ips: Sequence[IpAddress]) -> Answer:
        port = "" if address.port == DEFAULT_PORTS[address.scheme] else f":{address.port}"
        url = URL(f"{address.scheme}://{address.host}{port}{address.target}", encoded=True)
        try:
            async with (
                self._session(ips) as session,
                session.get(url, headers=self._headers, allow_redirects=False) as response,
            ):
                head = _head(response)
                return Answer(head, await _body(response, head) if head.is_page else b"")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, zlib.error) as error:
            raise Unreachable(type(error).__name__) from error

    def _session(self, ips: Sequence[IpAddress]) -> aiohttp.ClientSession:
        """For one request: its names lead to these addresses, and a socket is made for no other."""
        allowed = frozenset(map(str, ips))

        def make_socket(info: Any) -> socket.socket:
            family, kind, proto, _, sockaddr = info
            if str(sockaddr[0]) not in allowed:
                raise PermissionError("not an address that was checked")
            made = socket.socket(family, kind, proto)
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UNREAD_BYTES)
            return made

        connector = aiohttp.TCPConnector(
            resolver=_Checked(ips),
            use_dns_cache=False,
            force_close=True,
            ssl=self._tls,
            socket_factory=make_socket,
        )
        # The library asks nobody for this one; without it, the test of endless early answers fails.
        made: type[ResponseHandler] = _Bounded
        connector._factory = partial(made, loop=asyncio.get_running_loop())
        return aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            # Here, up to a bound of what comes out: see _body.
            auto_decompress=False,
            read_bufsize=_CHUNK_BYTES,
            max_headers=MAX_HEADERS,
        )


class _Checked(AbstractResolver):
    """Looks nothing up: the addresses are known."""

    def __init__(self, ips: Sequence[IpAddress]) -> None:
        self._ips = ips

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:  # noqa: ARG002
        return [
            ResolveResult(
                hostname=host,
                host=str(ip),
                port=port,
                family=socket.AF_INET if ip.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for ip in self._ips
        ]

    async def close(self) -> None: ...


class _Bounded(ResponseHandler):
    """Gives a host up that sends one answer after another, all of which the library would keep, or too much around
    a page, of which the library tells nothing."""

    _taken = 0

    def data_received(self, data: bytes) -> None:
        self._taken += len(data)
        # Nothing is a piece, too: with it the library asks itself for what it has put by.
        for at in range(0, max(1, len(data)), _PIECE_BYTES):
            super().data_received(data[at : at + _PIECE_BYTES])
            if len(self) > MAX_EARLY_ANSWERS or self._taken > MAX_TAKEN_BYTES:
                self._give_up()
                return

    def _give_up(self) -> None:
        # Whoever waits for the head, or for the body, hears of it.
        self.set_exception(aiohttp.ClientPayloadError("sends too much"))
        if self.transport:
            self.transport.abort()


def _head(response: aiohttp.ClientResponse) -> Head:
    # What aiohttp bounds is each header and their number.
    if sum(len(name) + len(value) for name, value in response.raw_headers) > MAX_HEADER_BYTES:
        raise ValueError("too many headers")
    return Head(response.status, {name.lower(): value for name, value in response.headers.items()})


async def _body(response: aiohttp.ClientResponse, head: Head) -> bytes:
    """At most MAX_PAGE_BYTES, decompressed, and no more than that is ever taken from the host: the rest of a larger
    page, or of a bomb, is never asked for."""
    is_packed = head.headers.get("content-encoding", "").strip().lower() == "gzip"
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if is_packed else None
    body, taken = bytearray(), 0
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        taken += len(chunk)
        body += unpack.decompress(chunk, MAX_PAGE_BYTES - len(body)) if unpack else chunk
        # A length of 0 would be none for zlib.
        if len(body) >= MAX_PAGE_BYTES or taken >= MAX_PAGE_BYTES or (unpack and unpack.eof):
            break
    response.close()
    return bytes(body[:MAX_PAGE_BYTES])
