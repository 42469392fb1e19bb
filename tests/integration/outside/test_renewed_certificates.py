"""Certificates that are renewed under the same names, while a client lives on with its context."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.runtime.config import KafkaTls
from services.runtime.kafka.connection import followed
from tests.support.tls import HOST, Authority, Pem


class Front:
    """A TLS server that keeps the serial number of each client's certificate."""

    def __init__(self, server: Pem, *authorities: Authority) -> None:
        self.serials: list[str] = []
        self.port = 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(server.certificate, server.key)
        for authority in authorities:
            self.context.load_verify_locations(authority.ca)
        self.context.verify_mode = ssl.CERT_REQUIRED

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serials.append(writer.get_extra_info("peercert")["serialNumber"])
        writer.write(b"x")
        await writer.drain()
        writer.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def front(authority: Authority) -> AsyncIterator[Front]:
    made = Front(authority.issue("broker"), authority)
    listener = await asyncio.start_server(made.serve, HOST, 0, ssl=made.context)
    made.port = listener.sockets[0].getsockname()[1]
    yield made
    listener.close()


async def reach(front: Front, context: ssl.SSLContext) -> None:
    reader, writer = await asyncio.open_connection(HOST, front.port, ssl=context)
    assert await reader.read(1) == b"x"
    writer.close()


async def test_a_renewed_certificate_is_shown_at_the_next_connection(authority: Authority, front: Front) -> None:
    ours = authority.issue("parley")
    context = followed(KafkaTls(True, str(authority.ca), str(ours.certificate), str(ours.key)))
    await reach(front, context)
    authority.issue("parley")
    await reach(front, context)
    await reach(front, context)
    first, second, third = front.serials
    assert first != second == third


@pytest.mark.parametrize("damage", ["half written", "gone", "another key"])
async def test_files_that_cannot_be_read_leave_the_ones_before_until_they_can(
    authority: Authority, front: Front, damage: str
) -> None:
    ours = authority.issue("parley")
    context = followed(KafkaTls(True, str(authority.ca), str(ours.certificate), str(ours.key)))
    match damage:
        case "half written":
            ours.certificate.write_bytes(ours.certificate.read_bytes()[:100])
        case "gone":
            ours.certificate.unlink()
        case _:
            ours.key.write_bytes(authority.issue("somebody").key.read_bytes())
    await reach(front, context)
    await reach(front, context)
    authority.issue("parley")
    await reach(front, context)
    first, second, third = front.serials
    assert first == second != third


async def test_an_authority_that_was_replaced_is_trusted_no_longer(
    authority: Authority, front: Front, tmp_path: Path
) -> None:
    ours = authority.issue("parley")
    context = followed(KafkaTls(True, str(authority.ca), str(ours.certificate), str(ours.key)))
    await reach(front, context)
    authority.ca.write_bytes(Authority(tmp_path, "other").ca.read_bytes())
    with pytest.raises(ssl.SSLError):
        await reach(front, context)
