"""ICE-TCP: a call over it, and what it does with strangers, garbage and those who do not read."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from services.sfu.core.wire.framing import frame
from services.sfu.metrics import PrometheusMetrics
from services.sfu.tcp import TcpLimits, TcpPort, holder_of
from tests.integration.sfu.conftest import Client, RunningWorker, dropped
from tests.integration.sfu.framed import FramedPath
from tests.support.waiting import until, within


async def join_by_tcp(worker: RunningWorker, client: Client) -> FramedPath:
    path = FramedPath(("127.0.0.1", worker.services.tcp.port))
    await client.join(worker, relay=path)
    return path


async def test_a_call_runs_over_tcp_alone(worker: RunningWorker) -> None:
    ann, bob = Client("ann", grey=60), Client("bob", grey=200)
    paths = [await join_by_tcp(worker, client) for client in (ann, bob)]
    await until(lambda: ann.sees(200) and bob.sees(60), what="both see each other")
    await until(lambda: ann.hears() and bob.hears(), what="both hear each other")
    await until(lambda: ann.maps and bob.maps, what="the data channel is open")
    for client, path in zip((ann, bob), paths, strict=True):
        await until(lambda path=path: path.received > 100, what="much has come by TCP")  # type: ignore[misc]
        await client.close()
        path.close()
    await until(lambda: worker.services.tcp.connection_count == 0, what="the connections are gone")


async def test_one_by_tcp_and_one_by_udp_are_in_one_call(worker: RunningWorker) -> None:
    ann, bob = Client("ann", grey=60), Client("bob", grey=200)
    path = await join_by_tcp(worker, ann)
    await bob.join(worker)
    await until(lambda: ann.sees(200) and bob.sees(60), what="both see each other")
    for client in (ann, bob):
        await client.close()
    path.close()


@dataclass
class Port:
    """A TCP port whose worker is this test."""

    tcp: TcpPort
    worker: socket.socket

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.tcp.port)

    async def prove(self, writer: asyncio.StreamWriter, reader: asyncio.StreamReader) -> tuple[str, int]:
        """Has a check answered, as for a participant; gives the connection's address at the worker."""
        writer.write(frame(b"check"))
        loop = asyncio.get_running_loop()
        data, source = await within(loop.sock_recvfrom(self.worker, 2048))
        assert data == b"check"
        self.worker.sendto(b"answer", source)
        assert await within(reader.readexactly(8)) == frame(b"answer")
        host, port = source
        return host, port


async def open_port(limits: TcpLimits) -> Port:
    worker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    worker.setblocking(False)
    worker.bind(("127.0.0.1", 0))
    tcp = TcpPort(("127.0.0.1", 0), lambda: worker.getsockname(), PrometheusMetrics(), limits)
    await tcp.start()
    return Port(tcp, worker)


@pytest.fixture
async def ports() -> AsyncIterator[list[Port]]:
    opened: list[Port] = []
    yield opened
    for port in opened:
        await port.tcp.stop()
        port.worker.close()


async def test_a_stranger_that_the_worker_does_not_answer_is_closed(ports: list[Port]) -> None:
    port = await open_port(TcpLimits(unproven_s=0.2))
    ports.append(port)
    before = dropped("tcp_unproven")
    reader, writer = await port.connect()
    writer.write(frame(b"nobody knows me"))
    assert await within(read_to_the_end(reader)) == b""
    assert dropped("tcp_unproven") == before + 1


async def test_a_broken_frame_closes_its_connection_and_no_other(ports: list[Port]) -> None:
    port = await open_port(TcpLimits())
    ports.append(port)
    before = dropped("tcp_framing")
    good_reader, good = await port.connect()
    await port.prove(good, good_reader)
    reader, writer = await port.connect()
    writer.write(b"\xff\xffGET / HTTP/1.1\r\n")
    assert await within(read_to_the_end(reader)) == b""
    assert dropped("tcp_framing") == before + 1
    await port.prove(good, good_reader)
    good.close()


async def test_connections_beyond_the_limit_are_closed(ports: list[Port]) -> None:
    port = await open_port(TcpLimits(connections=1))
    ports.append(port)
    first_reader, first = await port.connect()
    await port.prove(first, first_reader)
    reader, _ = await port.connect()
    assert await within(read_to_the_end(reader)) == b""
    await port.prove(first, first_reader)
    assert port.tcp.connection_count == 1
    first.close()


async def is_open(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: Port) -> bool:
    """Whether the worker's answer to a check still comes."""
    try:
        await port.prove(writer, reader)
    except (ConnectionError, asyncio.IncompleteReadError):
        return False
    return True


async def test_one_address_has_few_slots_before_the_worker_answers_and_some_after(ports: list[Port]) -> None:
    port = await open_port(TcpLimits(per_address=4, unproven_per_address=2))
    ports.append(port)
    before = dropped("tcp_full")
    proven = []
    for _ in range(4):
        reader, writer = await port.connect()
        proven.append(writer)
        await port.prove(writer, reader)
    reader, writer = await port.connect()
    assert await within(read_to_the_end(reader)) == b""
    assert dropped("tcp_full") == before + 1
    for writer in proven:
        writer.close()
    await until(lambda: port.tcp.connection_count == 0, what="the slots are free again")
    waiting = [await port.connect() for _ in range(2)]
    reader, writer = await port.connect()
    assert await within(read_to_the_end(reader)) == b""
    assert dropped("tcp_full") == before + 2
    assert await is_open(*waiting[0], port)
    await port.connect()
    await until(lambda: port.tcp.connection_count == 3, what="who has proven itself leaves its slot to another")


@pytest.mark.parametrize("piece", [frame(bytes(1400)), b"\0\0" * 500, frame(b"x"), b"\x05"])
async def test_who_talks_much_before_the_worker_answers_is_closed(ports: list[Port], piece: bytes) -> None:
    port = await open_port(TcpLimits(unproven_bytes=4096))
    ports.append(port)
    before = dropped("tcp_unproven")
    reader, writer = await port.connect()
    writer.write(piece * (8192 // len(piece)))
    assert await within(read_to_the_end(reader)) == b""
    assert dropped("tcp_unproven") == before + 1


async def test_who_never_ends_a_frame_is_closed_as_who_says_nothing(ports: list[Port]) -> None:
    port = await open_port(TcpLimits(unproven_s=0.3))
    ports.append(port)
    before = dropped("tcp_unproven")
    reader, writer = await port.connect()
    writer.write(frame(bytes(1400))[:-1])
    assert await within(read_to_the_end(reader)) == b""
    assert dropped("tcp_unproven") == before + 1


@pytest.mark.parametrize(
    ("peer", "holder"),
    [
        (("192.0.2.1", 1), "192.0.2.1"),
        (("::ffff:192.0.2.1", 1, 0, 0), "192.0.2.1"),
        (("2001:db8:1:2:3::4", 1, 0, 0), "2001:db8:1:2::/64"),
        (("2001:db8:1:2:ffff::4", 1, 0, 0), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1, 0, 2), "fe80::/64"),
        (None, ""),
    ],
)
def test_slots_are_counted_by_what_one_party_can_have(peer: tuple[str, int] | None, holder: str) -> None:
    assert holder_of(peer) == holder


async def test_who_does_not_read_is_dropped_and_holds_no_more_than_the_limit(ports: list[Port]) -> None:
    port = await open_port(TcpLimits(backlog_bytes=64 * 1024, slow_s=0.2))
    ports.append(port)
    before = dropped("tcp_backlog"), dropped("tcp_slow")
    good_reader, good = await port.connect()
    await port.prove(good, good_reader)
    reader, writer = await port.connect()
    source = await port.prove(writer, reader)
    writer.transport.pause_reading()  # type: ignore[attr-defined]

    def flooded() -> bool:
        for _ in range(200):
            try:
                port.worker.sendto(bytes(1200), source)
            except BlockingIOError:
                break
        return dropped("tcp_slow") > before[1]

    await until(flooded, what="the slow reader is closed")
    assert dropped("tcp_backlog") > before[0]
    await port.prove(good, good_reader)
    await until(lambda: port.tcp.connection_count == 1, what="only the other is left")
    good.close()
    writer.close()


async def read_to_the_end(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
