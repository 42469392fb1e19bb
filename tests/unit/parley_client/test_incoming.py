"""The loop of a bot: what others wrote and was not read, each once, in order, and marked read when it is done."""

from __future__ import annotations

import grpc
import pytest
from parley.gateway.v1 import messages_pb2 as events

from parley_client.client import AccessToken
from parley_client.entries import Entry
from parley_client.history import ConversationInfo, History
from parley_client.incoming import Fetch, HandOut, Incoming, Load, next_step
from parley_client.stream import StreamEndedError
from parley_client.user_client import ParleyClient
from tests.support.waiting import PATIENCE_S, within
from tests.unit.parley_client.fake_edge import CONVERSATION, FakeEdge, message

READY = events.Ready(heartbeat_s=5)


def entry(seq: int, sender_id: str = "bob", **more: object) -> Entry:
    return Entry(CONVERSATION, seq, f"m{seq}", sender_id, f"k{seq}", **more)  # type: ignore[arg-type]


def history(*entries: Entry, base: int = 0, visible_after_seq: int = 0, own_read_seq: int = 0) -> History:
    made = History(CONVERSATION, base=base, info=ConversationInfo(CONVERSATION, visible_after_seq=visible_after_seq))
    made.own_read_seq = own_read_seq
    for each in entries:
        made.add(each)
    return made


def seqs(step: object) -> list[int]:
    assert isinstance(step, HandOut)
    return [each.seq for each in step.entries]


# What is next.


def test_what_others_said_above_the_read_cursor_is_handed_out() -> None:
    step = next_step(history(entry(1), entry(2), entry(3, "alice"), entry(4), own_read_seq=1), 2, 0, "alice", 0.0)
    assert seqs(step) == [2, 4]
    assert next_step(history(entry(1), entry(2)), 2, 2, "alice", 0.0) is None


def test_what_was_taken_back_vanished_or_is_of_the_system_is_not_handed_out() -> None:
    gone = [entry(1, kind="unsent"), entry(2, kind="system"), entry(3, expires_at_s=5.0), entry(4, kind="voice")]
    assert seqs(next_step(history(*gone), 4, 0, "alice", 5.0)) == [4]


def test_what_one_may_not_see_is_not_asked_for() -> None:
    assert seqs(next_step(history(entry(8), base=7, visible_after_seq=7), 1, 0, "alice", 0.0)) == [8]


def test_what_is_not_on_the_device_is_fetched_a_page_at_a_time() -> None:
    held = history(entry(251), base=250, own_read_seq=20)
    assert next_step(held, 9, 0, "alice", 0.0) == Fetch(20, 120)
    assert next_step(held, 9, 220, "alice", 0.0) == Fetch(220, 250)
    assert seqs(next_step(held, 9, 250, "alice", 0.0)) == [251]


def test_nothing_is_fetched_of_what_was_all_read() -> None:
    assert seqs(next_step(history(entry(251), base=250), 0, 0, "alice", 0.0)) == [251]


def test_a_conversation_that_was_only_listed_is_loaded_when_something_is_unread() -> None:
    listed = history()
    listed.is_listed = True
    assert next_step(listed, 1, 0, "alice", 0.0) == Load()
    assert next_step(listed, 0, 0, "alice", 0.0) is None


def test_what_waits_behind_a_gap_is_not_handed_out() -> None:
    assert seqs(next_step(history(entry(1), entry(3)), 2, 0, "alice", 0.0)) == [1]


# The loop.


async def tokens() -> AccessToken:
    return AccessToken("token", 4e9)


async def started(edge: FakeEdge) -> ParleyClient:
    client = ParleyClient("alice", tokens=tokens, base_url=f"http://{edge.address}")
    edge.first = {"ready": READY}
    await client.start(PATIENCE_S)
    return client


async def next_seqs(incoming: Incoming, count: int) -> list[int]:
    return [(await within(anext(incoming), PATIENCE_S)).seq for _ in range(count)]


async def test_each_message_is_handed_out_once_and_marked_when_the_next_is_asked_for(edge: FakeEdge) -> None:
    edge.stored, edge.unread_count = [message(1), message(2)], 2
    client = await started(edge)
    try:
        incoming = client.messages()
        assert await next_seqs(incoming, 1) == [1]
        assert edge.marked == []
        assert await next_seqs(incoming, 1) == [2]
        assert edge.marked == [1]
        edge.stored.append(message(3))
        await edge.say(0, message=message(3))
        await edge.say(0, message=message(3))
        await edge.say(0, message=message(4))
        assert await next_seqs(incoming, 2) == [3, 4]
        assert edge.marked == [1, 2, 3]
    finally:
        await client.stop()


async def test_what_was_said_long_before_comes_first_and_in_order(edge: FakeEdge) -> None:
    edge.stored = [message(seq) for seq in range(1, 251)]
    edge.newest, edge.read_seq, edge.unread_count = 20, 5, 245
    client = await started(edge)
    try:
        assert await next_seqs(client.messages(mark_read=False), 245) == list(range(6, 251))
        assert edge.marked == []
    finally:
        await client.stop()


async def test_what_is_unread_beyond_the_newest_page_of_the_list_comes_too(edge: FakeEdge) -> None:
    edge.stored, edge.unread_count, edge.is_listed_only = [message(1)], 1, True
    client = await started(edge)
    try:
        assert await next_seqs(client.messages(), 1) == [1]
    finally:
        await client.stop()


async def test_a_read_cursor_that_could_not_be_moved_is_moved_with_the_next_message(edge: FakeEdge) -> None:
    edge.stored, edge.unread_count = [message(1), message(2)], 2
    client = await started(edge)
    try:
        incoming = client.messages()
        await next_seqs(incoming, 1)
        # For longer than the client waits.
        edge.failures = [(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", 3_600)]
        await next_seqs(incoming, 1)
        assert edge.marked == []
        await edge.say(0, message=message(3))
        await next_seqs(incoming, 1)
        assert edge.marked == [2]
    finally:
        await client.stop()


async def test_a_conversation_that_one_has_left_ends_nothing(edge: FakeEdge) -> None:
    edge.stored, edge.unread_count = [message(1), message(2)], 2
    client = await started(edge)
    try:
        incoming = client.messages()
        await next_seqs(incoming, 1)
        edge.failures = [(grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND")]
        assert await next_seqs(incoming, 1) == [2]
    finally:
        await client.stop()


async def test_the_loop_ends_when_another_device_has_the_place(edge: FakeEdge) -> None:
    client = await started(edge)
    try:
        edge.refusals = [(grpc.StatusCode.ABORTED, "REPLACED")]
        (await edge.stream(0)).put_nowait(None)
        with pytest.raises(StreamEndedError, match="REPLACED"):
            await within(anext(client.messages()), PATIENCE_S)
    finally:
        await client.stop()
