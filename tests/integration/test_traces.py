"""Traces over the embedded stack, as a collector receives them: one of a message, one of a call."""

from __future__ import annotations

import secrets
import uuid
from pathlib import Path

import aiohttp
import pytest
from parley.calls.v1 import service_pb2 as calls
from parley.messaging.v1 import service_pb2 as messaging

from loadtests.observing.drill import Pair, pair
from parley_client.client import Edge
from tests.support.otlp import Collector, Received, kept_trace_id
from tests.support.stack import RunningStack
from tests.support.waiting import PATIENCE_S, eventually, until


def edge_of(stack: RunningStack) -> Edge:
    return Edge(stack.record.edge_address, stack.record.issuer_url)


def names(spans: list[Received]) -> set[tuple[str, str]]:
    return {(span.service.removeprefix("parley-"), span.name) for span in spans}


def ancestors(spans: list[Received], span: Received) -> list[str]:
    """The names from the span up to the first one of its trace."""
    by_id = {one.span_id: one for one in spans}
    found = []
    while span.parent_id in by_id:
        span = by_id[span.parent_id]
        found.append(span.name)
    return found


async def spans_of(collector: Collector, trace_id: str, wanted: set[tuple[str, str]]) -> list[Received]:
    """The trace, once all of the wanted spans have come."""
    try:
        await until(lambda: wanted <= names(collector.trace(trace_id)))
    except AssertionError:
        assert not wanted - names(collector.trace(trace_id)), f"came: {names(collector.trace(trace_id))}"
    return collector.trace(trace_id)


async def send(people: Pair, trace_id: str) -> None:
    request = messaging.SendMessageRequest(conversation_id=people.conversation_id, client_message_id=uuid.uuid4().hex)
    request.text.text = "traced"
    header = ("traceparent", f"00-{trace_id}-{secrets.token_hex(8)}-01")
    await people.caller.device.messaging.SendMessage(request, metadata=(header,))


async def test_one_trace_goes_from_the_send_over_the_outbox_and_kafka_to_the_delivery_to_each_device(
    stack: RunningStack, collector: Collector
) -> None:
    trace_id = kept_trace_id()
    async with pair(edge_of(stack)) as people:
        await send(people, trace_id)
        wanted = {
            ("messaging", "parley.messaging.v1.MessagingService/SendMessage"),
            ("messaging", "publish messaging.events.v1"),
            ("messaging", "publish delivery.v1"),
            ("presence", "process delivery.v1"),
            ("gateway", "deliver"),
        }
        await spans_of(collector, trace_id, wanted)

        def delivered() -> list[Received]:
            return [span for span in collector.trace(trace_id) if span.name == "deliver"]

        # The sender's device gets it too.
        await until(lambda: len(delivered()) == 2, what="a span for each device")
    spans = collector.trace(trace_id)
    send_message = "parley.messaging.v1.MessagingService/SendMessage"
    # By whichever way it came first.
    directly, by_kafka = [send_message], ["process delivery.v1", "publish delivery.v1", send_message]
    for span in delivered():
        assert ancestors(spans, span) in (directly, by_kafka)
    (process, *_) = (span for span in spans if span.name == "process delivery.v1")
    assert ancestors(spans, process) == by_kafka[1:]
    assert all(span.began_ns <= span.ended_ns and not span.failed for span in spans)


async def test_one_trace_goes_from_start_call_to_the_first_media_of_both_sides(
    stack: RunningStack, collector: Collector
) -> None:
    trace_id = kept_trace_id()
    async with pair(edge_of(stack)) as people:
        phone, other = people.caller.phone, people.callee.phone
        request = calls.StartCallRequest(
            conversation_id=people.conversation_id,
            video=True,
            device_id=people.caller.device.device_id,
            client_call_id=(client_call_id := str(uuid.uuid4())),
        )
        header = ("traceparent", f"00-{trace_id}-{secrets.token_hex(8)}-01")
        await people.caller.device.calls.StartCall(request, metadata=(header,))
        # The same call again, for the phone to have its grant: StartCall is idempotent.
        await phone.start(people.conversation_id, client_call_id=client_call_id)
        ring = await other.until_ring(PATIENCE_S, people.conversation_id)
        await phone.join_media()
        await other.accept(ring.call_id)
        await other.join_media()
        for one in (phone, other):
            await one.media.until_media(PATIENCE_S)
        wanted = {
            ("signaling", "parley.calls.v1.CallsService/StartCall"),
            ("signaling", "join media"),
            ("sfu", "parley.sfu.v1.SfuService/Join"),
            ("sfu", "first media"),
            ("presence", "process delivery.v1"),
            ("gateway", "deliver"),
        }
        spans = await spans_of(collector, trace_id, wanted)
        await people.hang_up()
    (media, *_) = (span for span in spans if span.name == "first media")
    assert ancestors(spans, media) == [
        "parley.sfu.v1.SfuService/Join",
        "join media",
        "parley.calls.v1.CallsService/StartCall",
    ]


async def test_a_refused_call_is_a_failed_span_of_its_trace(stack: RunningStack, collector: Collector) -> None:
    trace_id = kept_trace_id()
    async with pair(edge_of(stack)) as people:
        with pytest.raises(Exception, match="NOT_FOUND"):
            await people.caller.device.calls.AcceptCall(
                calls.AcceptCallRequest(call_id=str(uuid.uuid4()), device_id="some-device"),
                metadata=(("traceparent", f"00-{trace_id}-{secrets.token_hex(8)}-01"),),
            )
        (span,) = await spans_of(collector, trace_id, {("signaling", "parley.calls.v1.CallsService/AcceptCall")})
    assert span.failed
    log = Path(stack.record.log_folder) / "signaling.log"
    await until(lambda: f"trace_id={trace_id}" in log.read_text(), what="the trace's id in the log")


async def test_the_metrics_samples_name_a_trace_that_was_kept(stack: RunningStack, collector: Collector) -> None:
    trace_id = kept_trace_id()
    async with pair(edge_of(stack)) as people:
        await send(people, trace_id)
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        for process in ("messaging", "presence"):
            url = f"http://{stack.record.metrics_addresses[process]}/metrics"
            async with aiohttp.ClientSession() as session:

                async def names_it(url: str = url, session: aiohttp.ClientSession = session) -> bool:
                    async with session.get(url, headers=accept) as response:
                        return f'# {{trace_id="{trace_id}"}}' in await response.text()

                await eventually(names_it)
