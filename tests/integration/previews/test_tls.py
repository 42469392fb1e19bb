"""Over https a host has to show that it is who its name says, at the address that was checked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.certificates import Authority
from services.previews.clients.web import AiohttpWeb
from services.previews.core.addresses import Address
from services.previews.core.pages import MAX_PAGE_BYTES
from services.previews.ports import Unreachable
from tests.integration.previews.conftest import LOOPBACK, PAGE, TIMEOUT_S, Host


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def tickets() -> int:
    """To resume by, which a host sends behind its handshake."""
    return 2


@pytest.fixture
async def secured(authority: Authority, tickets: int) -> AsyncIterator[tuple[Host, list[str | None]]]:
    """A host of the name page.example, and the names that it was asked for (SNI)."""
    pem, host = authority.issue("page", ("page.example",)), Host()
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = tickets
    context.load_cert_chain(pem.certificate, pem.key)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0, ssl=context)
    host.port = server.sockets[0].getsockname()[1]
    host.page("/")
    yield host, asked
    server.close()


def web(ca: Path | None) -> AiohttpWeb:
    return AiohttpWeb("ParleyLinkPreviews/1.0", TIMEOUT_S, ca)


async def test_the_name_is_asked_for_and_proved(secured: tuple[Host, list[str | None]], authority: Authority) -> None:
    host, asked = secured
    answer = await web(authority.ca).get(Address("https", "page.example", host.port, "/"), [LOOPBACK])
    assert answer.body == PAGE
    assert asked == ["page.example"]


async def test_a_host_of_another_name_is_not_believed(
    secured: tuple[Host, list[str | None]], authority: Authority
) -> None:
    host, _ = secured
    with pytest.raises(Unreachable):
        await web(authority.ca).get(Address("https", "other.example", host.port, "/"), [LOOPBACK])
    assert host.asked == []


async def test_whom_no_known_authority_vouches_for_is_not_believed(secured: tuple[Host, list[str | None]]) -> None:
    host, _ = secured
    with pytest.raises(Unreachable):
        await web(None).get(Address("https", "page.example", host.port, "/"), [LOOPBACK])
    assert host.asked == []


async def test_a_large_page_is_read(secured: tuple[Host, list[str | None]], authority: Authority) -> None:
    host, _ = secured
    host.page("/", PAGE + b" " * 2 * MAX_PAGE_BYTES)
    answer = await web(authority.ca).get(Address("https", "page.example", host.port, "/"), [LOOPBACK])
    assert len(answer.body) == MAX_PAGE_BYTES


@pytest.mark.parametrize("tickets", [20_000])
async def test_what_is_sent_beneath_the_page_counts_too(
    secured: tuple[Host, list[str | None]], authority: Authority
) -> None:
    """Tickets without end, none of which the protocol above hears of, kept the loop at work for the whole time."""
    host, _ = secured
    long = AiohttpWeb("ParleyLinkPreviews/1.0", 60, authority.ca)
    with pytest.raises(Unreachable):
        await long.get(Address("https", "page.example", host.port, "/"), [LOOPBACK])
