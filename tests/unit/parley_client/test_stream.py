"""The event stream against an edge in this process: sync when it must, and come back whatever happens."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest
from parley.calls.v1 import messages_pb2 as calls
from parley.gateway.v1 import messages_pb2 as events

from parley_client.client import AccessToken, Device, Edge, TokenSource
from parley_client.stream import BackOff, EventStream
from tests.support.waiting import until
from tests.unit.parley_client.fake_edge import CONVERSATION, FakeEdge, message

DEADLINE_S = 10.0
READY = events.Ready(heartbeat_s=5)
AT_ONCE = BackOff(first_s=0.001, most_s=0.01)


@pytest.fixture
async def stream(edge: FakeEdge) -> AsyncIterator[EventStream]:
    logins = 0

    async def login(user_id: str) -> AccessToken:
        nonlocal logins
        logins += 1
        return AccessToken(f"{user_id}-{logins}", expires_at_s=4e9)

    device = Device(Edge(edge.address, ""), "alice", "alice-phone", TokenSource("alice", login))
    async with EventStream(device, AT_ONCE, chance=lambda: 0.5) as running:
        yield running
    await device.close()


def seqs(stream: EventStream) -> list[int]:
    return [entry.seq for entry in stream.inbox.conversations.history(CONVERSATION).shown]


async def test_after_ready_the_device_syncs_all_pages(edge: FakeEdge, stream: EventStream) -> None:
    edge.stored = [message(seq) for seq in range(1, 6)]
    await edge.say(0, ready=READY)
    await stream.until_current(DEADLINE_S)
    assert seqs(stream) == [1, 2, 3, 4, 5]


async def test_live_messages_are_shown_and_stamped(edge: FakeEdge, stream: EventStream) -> None:
    await edge.say(0, ready=READY)
    await stream.until_current(DEADLINE_S)
    await edge.say(0, message=message(1))
    await stream.until(lambda: seqs(stream) == [1], DEADLINE_S, "message 1")
    assert (CONVERSATION, 1) in stream.inbox.message_arrived_s


async def test_a_gap_makes_the_device_sync(edge: FakeEdge, stream: EventStream) -> None:
    await edge.say(0, ready=READY)
    await stream.until_current(DEADLINE_S)
    edge.stored = [message(1), message(2), message(3)]
    await edge.say(0, message=message(1))
    await edge.say(0, message=message(3))
    await stream.until(lambda: seqs(stream) == [1, 2, 3], DEADLINE_S, "the gap filled")
    assert edge.syncs >= 2


async def test_a_resync_makes_the_device_sync(edge: FakeEdge, stream: EventStream) -> None:
    await edge.say(0, ready=READY)
    await stream.until_current(DEADLINE_S)
    edge.stored = [message(1)]
    await edge.say(0, resync=events.Resync(reason=events.RESYNC_REASON_ROUTE_MOVED))
    await stream.until(lambda: seqs(stream) == [1], DEADLINE_S, "what was missed")
    assert stream.inbox.resyncs == [events.RESYNC_REASON_ROUTE_MOVED]


async def test_a_broken_stream_is_opened_again_and_what_was_missed_comes(edge: FakeEdge, stream: EventStream) -> None:
    await edge.say(0, ready=READY)
    await stream.until_current(DEADLINE_S)
    edge.stored = [message(1), message(2)]
    (await edge.stream(0)).put_nowait(None)
    await edge.say(1, ready=READY)
    await stream.until(lambda: seqs(stream) == [1, 2], DEADLINE_S, "what was missed")


async def test_a_stream_goes_on_where_it_broke_without_a_sync(edge: FakeEdge, stream: EventStream) -> None:
    edge.stored = [message(1)]
    await edge.say(0, ready=events.Ready(heartbeat_s=5, resume_token="first"))
    await stream.until_current(DEADLINE_S)
    await edge.say(0, position=1, message=message(2))
    await stream.until(lambda: seqs(stream) == [1, 2], DEADLINE_S, "message 2")
    syncs = edge.syncs
    (await edge.stream(0)).put_nowait(None)
    await edge.say(1, ready=events.Ready(heartbeat_s=5, resume_token="second", resumed=True))
    await edge.say(1, position=2, message=message(3))
    await stream.until(lambda: seqs(stream) == [1, 2, 3], DEADLINE_S, "message 3")
    assert edge.resumes == [("", 0), ("first", 1)]
    assert (edge.syncs, stream.inbox.resumes) == (syncs, 1)
    (await edge.stream(1)).put_nowait(None)
    await edge.stream(2)
    assert edge.resumes[2] == ("second", 2)


async def test_a_stream_that_has_yet_to_sync_starts_afresh(edge: FakeEdge, stream: EventStream) -> None:
    edge.failing_syncs = 10_000
    await edge.say(0, ready=events.Ready(heartbeat_s=5, resume_token="first"))
    await until(lambda: edge.syncs > 0, what="a Sync that failed")
    (await edge.stream(0)).put_nowait(None)
    await edge.stream(1)
    assert edge.resumes[1] == ("", 0)


async def test_a_sync_that_fails_is_tried_again(edge: FakeEdge, stream: EventStream) -> None:
    edge.failing_syncs = 2
    edge.stored = [message(1)]
    await edge.say(0, ready=READY)
    await stream.until_current(DEADLINE_S)
    assert seqs(stream) == [1]
    assert edge.syncs >= 3


async def test_a_refused_token_is_replaced(edge: FakeEdge, stream: EventStream) -> None:
    edge.refusals = [(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")]
    await edge.say(0, ready=READY)
    await stream.until_current(DEADLINE_S)
    assert edge.tokens == ["Bearer alice-1", "Bearer alice-2"]


@pytest.mark.parametrize("reason", ["REPLACED", "DEVICE_LIMIT", "ACCOUNT_DELETED"])
async def test_a_stream_that_had_to_give_way_does_not_fight_for_its_place(
    edge: FakeEdge, stream: EventStream, reason: str
) -> None:
    edge.refusals = [(grpc.StatusCode.ABORTED, reason)]
    await stream.until(lambda: stream.is_ended, DEADLINE_S, "the end")
    assert edge.streams == []


async def test_presence_is_watched_again_after_each_reconnect(edge: FakeEdge, stream: EventStream) -> None:
    await edge.say(0, ready=READY)
    await stream.until_current(DEADLINE_S)
    await stream.watch(["bob"])
    (await edge.stream(0)).put_nowait(None)
    await edge.say(1, ready=READY)
    await stream.until(lambda: stream.inbox.readies == 2 and stream.is_current, DEADLINE_S, "current again")
    assert edge.watched == [["bob"], ["bob"]]


async def test_calls_that_ring_already_are_found_after_ready(edge: FakeEdge, stream: EventStream) -> None:
    edge.active_calls = [calls.Call(call_id="call-1", state=calls.CALL_STATE_RINGING, version=1)]
    await edge.say(0, ready=READY)
    await stream.until_current(DEADLINE_S)
    assert stream.inbox.calls["call-1"].state == calls.CALL_STATE_RINGING


async def test_an_older_copy_of_a_call_changes_nothing(edge: FakeEdge, stream: EventStream) -> None:
    await edge.say(0, ready=READY)
    await edge.say(0, call=calls.Call(call_id="call-1", state=calls.CALL_STATE_ENDED, version=3))
    await edge.say(0, call=calls.Call(call_id="call-1", state=calls.CALL_STATE_RINGING, version=1))
    await stream.until(lambda: len(stream.inbox.call_arrived_s) == 2, DEADLINE_S, "both copies")
    assert stream.inbox.calls["call-1"].state == calls.CALL_STATE_ENDED


@pytest.mark.parametrize(
    ("attempt", "chance", "asked_s", "delay_s"),
    [(0, 0.0, 0.0, 0.1), (0, 1.0, 0.0, 0.2), (3, 1.0, 0.0, 1.6), (30, 1.0, 0.0, 10.0), (0, 0.5, 4.0, 4.0)],
)
def test_the_back_off_doubles_has_a_limit_and_honours_what_was_asked(
    attempt: int, chance: float, asked_s: float, delay_s: float
) -> None:
    assert BackOff(first_s=0.2, most_s=10.0).delay_s(attempt, chance, asked_s) == pytest.approx(delay_s)
