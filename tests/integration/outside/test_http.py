"""What we ask over HTTP (keys, objects, the scanner, the push provider) is reached and is no help."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from services.messaging.attachments.clients import S3Objects
from services.messaging.attachments.scanner import WebhookScanner
from services.messaging.config import ObjectsConfig
from services.messaging.kernel.errors import ObjectsUnavailable
from services.messaging.kernel.model import UserId
from services.runtime.clock import SystemClock
from services.runtime.config import TelemetryConfig
from services.runtime.errors import KeysUnavailable
from services.runtime.identity.jwks import JWKS_MAX_BYTES, JwksKeys, http_jwks
from services.runtime.observability.telemetry import QUEUE, OtlpRecorder
from services.runtime.observability.tracing import Kind, Span, TraceContext
from services.signaling.push import ATTEMPTS, PushRequest, WebhookPusher
from tests.support.attachments import announced
from tests.support.clock import ManualClock
from tests.support.faulty import Fault, FaultyServer, faulty_server
from tests.unit.runtime.test_auth import Network

# Of one try, so that a server that hangs is soon given up.
TIMEOUT_S = 0.3
# What was meant to end does so far within this, on any machine.
PATIENCE_S = 60
# What the kernels of both sides hold, that nobody has read.
BUFFERS = 32 * 1024 * 1024


@pytest.fixture(params=list(Fault), ids=[fault.value for fault in Fault])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[FaultyServer]:
    async with faulty_server(request.param) as served:
        yield served


async def test_keys_that_cannot_be_fetched_are_nobodys_fault(server: FaultyServer) -> None:
    keys = JwksKeys(http_jwks(f"http://{server.address}/jwks.json", TIMEOUT_S), SystemClock())
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(KeysUnavailable):
            await keys.find("one")
    # An aiohttp client asks once more where a connection broke.
    assert server.connections <= 2
    assert server.most_taken < JWKS_MAX_BYTES + BUFFERS


async def test_known_keys_serve_on_whatever_the_address_does(server: FaultyServer) -> None:
    network, clock = Network(), ManualClock()
    answers = [network.fetch, http_jwks(f"http://{server.address}/jwks.json", TIMEOUT_S)]
    keys = JwksKeys(lambda: answers.pop(0)(), clock)
    known = await keys.find("one")
    clock.advance(86_400)
    async with asyncio.timeout(PATIENCE_S):
        assert await keys.find("one") is known
    assert answers == []


async def test_an_object_store_that_is_no_help_is_unavailable(server: FaultyServer) -> None:
    objects = S3Objects(
        ObjectsConfig(f"http://{server.address}", f"http://{server.address}", "b", "r", "id", "secret"),
        SystemClock(),
        TIMEOUT_S,
    )
    await objects.start()
    try:
        async with asyncio.timeout(PATIENCE_S):
            if server.fault in (Fault.WRONG, Fault.HUGE):
                # The status says that it was done; of the body nothing is read.
                await objects.put("uploads/x", b"x", "text/plain")
                with pytest.raises(ObjectsUnavailable):
                    await objects.look_at("uploads/x")
                assert server.most_taken < BUFFERS
                return
            for work in (
                objects.size_of("k"),
                objects.look_at("k"),
                objects.put("k", b"x", "text/plain"),
                objects.delete("k"),
            ):
                with pytest.raises(ObjectsUnavailable):
                    await work
            assert not await objects.ready()
    finally:
        await objects.stop()


async def test_a_push_provider_that_is_no_help_is_given_up(server: FaultyServer) -> None:
    pusher = WebhookPusher(f"http://{server.address}/ring", b"k" * 32, SystemClock(), backoff_s=0, timeout_s=TIMEOUT_S)
    await pusher.start()
    try:
        ring = PushRequest("event", b"{}", (datetime.now(UTC) + timedelta(hours=1)).replace(tzinfo=None))
        async with asyncio.timeout(PATIENCE_S):
            await pusher.deliver(ring)
    finally:
        await pusher.stop()
    took = server.fault in (Fault.WRONG, Fault.HUGE)
    assert server.connections == (1 if took else ATTEMPTS)
    assert server.most_taken < BUFFERS


async def test_a_scanner_that_is_no_help_gives_no_word(server: FaultyServer) -> None:
    scanner = WebhookScanner(f"http://{server.address}/scan", [b"k" * 32], SystemClock(), TIMEOUT_S)
    await scanner.start()
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert await scanner.scan(announced(datetime.now(UTC), UserId("alice")), "http://store/x") is None
    finally:
        await scanner.stop()
    assert server.most_taken < BUFFERS


async def test_a_collector_of_traces_that_is_no_help_costs_spans_and_no_time(server: FaultyServer) -> None:
    config = TelemetryConfig(server.address, tls=False, ratio=1.0, interval_ms=100)
    recorder = OtlpRecorder(config, "messaging", TIMEOUT_S)
    context = TraceContext("1" * 32, "2" * 16)
    before = threading.active_count()
    for _ in range(2 * QUEUE):
        recorder.record(Span("a span", Kind.SERVER, context, "", 1, 2))
    # A process that ends waits for no more than this.
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.to_thread(recorder.close)
    # The thread that sends has ended with it; one more is that of the line above.
    assert threading.active_count() <= before + 1
