from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parley.gateway.v1 import service_pb2 as api

from services.gateway import device_frames
from services.gateway.core.queue import DeviceQueue, QueueLimits

NOW = 100.0


def limits(frames_: int, bytes_: int = 1 << 20, replay: int = 4) -> QueueLimits:
    return QueueLimits(frames=frames_, bytes_=bytes_, replay_frames=replay, replay_bytes=1 << 16)


def durable(number: int) -> bytes:
    """A frame that a device could read."""
    response = api.SubscribeResponse()
    response.event.message.conversation_id = "c1"
    response.event.message.seq = number
    return response.SerializeToString()


def push_all(queue: DeviceQueue, numbers: Sequence[int]) -> list[bytes]:
    return [lost for number in numbers for lost in queue.push(durable(number), NOW)]


def drain(queue: DeviceQueue) -> list[tuple[int, int]]:
    """(position, seq) of what is written."""
    written = []
    while (frame := queue.pop()) is not None:
        response = api.SubscribeResponse.FromString(frame)
        written.append((response.position, response.event.message.seq))
    return written


def test_durable_frames_are_written_in_order_with_their_position() -> None:
    queue = DeviceQueue(limits(10))
    push_all(queue, [7, 8, 9])
    assert drain(queue) == [(1, 7), (2, 8), (3, 9)]


def test_of_ephemeral_frames_with_one_key_only_the_latest_is_written() -> None:
    queue = DeviceQueue(limits(10))
    for number in range(5):
        queue.push_latest("typing c1 bob", b"typing %d" % number)
    queue.push_latest("presence bob", b"online")
    assert [queue.pop(), queue.pop(), queue.pop()] == [b"typing 4", b"online", None]
    assert queue.dropped_ephemeral == 0


def test_a_full_queue_drops_ephemeral_frames_first() -> None:
    queue = DeviceQueue(limits(3))
    queue.push_latest("typing", b"typing")
    assert push_all(queue, [1, 2, 3]) == []
    queue.push_latest("presence", b"presence")
    assert queue.dropped_ephemeral == 2
    assert drain(queue) == [(1, 1), (2, 2), (3, 3)]


def test_what_is_about_the_stream_itself_goes_first() -> None:
    queue = DeviceQueue(limits(3))
    push_all(queue, [1])
    queue.push_control(b"ready")
    assert queue.pop() == b"ready"


def test_a_queue_is_bounded_in_bytes_too() -> None:
    size = len(durable(1))
    queue = DeviceQueue(limits(100, bytes_=2 * size))
    assert push_all(queue, [1, 2]) == []
    assert queue.bytes_waiting == 2 * size
    assert push_all(queue, [3]) == [durable(1), durable(2), durable(3)]
    assert queue.overflowed
    assert queue.bytes_waiting == 0


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=60), st.integers(1, 10))
def test_a_queue_loses_nothing_durable_without_saying_so(kinds: list[bool], limit: int) -> None:
    queue = DeviceQueue(limits(limit))
    lost: list[bytes] = []
    pushed = []
    for number, is_durable in enumerate(kinds, start=1):
        if is_durable:
            pushed.append(number)
            lost += queue.push(durable(number), NOW)
        else:
            queue.push_latest(str(number), device_frames.HEARTBEAT)
        assert len(queue) <= limit
    kept = [seq for position, seq in drain(queue) if position]
    assert [durable(seq) for seq in kept] + lost == [durable(number) for number in pushed]
    assert queue.overflowed == bool(lost)


def test_a_resume_repeats_exactly_what_did_not_arrive() -> None:
    queue = DeviceQueue(limits(10))
    push_all(queue, [1, 2, 3])
    drain(queue)
    queue.detach()
    push_all(queue, [4])
    assert queue.resume(2)
    assert drain(queue) == [(3, 3), (4, 4)]


def test_a_resume_with_a_current_position_repeats_nothing() -> None:
    queue = DeviceQueue(limits(10))
    push_all(queue, [1, 2])
    drain(queue)
    queue.detach()
    queue.push_latest("presence bob", b"online")
    assert queue.resume(2)
    assert queue.pop() is None


@settings(deadline=None)
@given(written=st.integers(0, 12), waiting=st.integers(0, 6), position=st.integers(0, 20), replay=st.integers(1, 8))
def test_a_resume_is_gapless_or_refused(written: int, waiting: int, position: int, replay: int) -> None:
    queue = DeviceQueue(limits(100, replay=replay))
    push_all(queue, range(1, written + 1))
    drain(queue)
    queue.detach()
    lost = push_all(queue, range(written + 1, written + waiting + 1))
    resumed = queue.resume(position)
    if resumed:
        again = [number for number, _ in drain(queue)]
        last = written + waiting if not lost else written
        assert again == list(range(position + 1, last + 1))
    elif position <= written:
        assert position < written - replay


def test_a_position_that_was_never_reached_is_refused() -> None:
    queue = DeviceQueue(limits(10))
    push_all(queue, [1])
    drain(queue)
    queue.detach()
    assert not queue.resume(2)


def test_while_the_device_is_away_little_is_kept_and_the_loss_is_told() -> None:
    queue = DeviceQueue(limits(100, replay=2))
    queue.detach()
    lost = push_all(queue, range(1, 6))
    assert len(lost) == 5
    assert queue.overflowed
    assert queue.resume(0)
    assert not queue.overflowed
    assert push_all(queue, [6]) == []
    assert drain(queue) == [(6, 6)]


def test_what_has_arrived_long_since_is_not_kept() -> None:
    queue = DeviceQueue(limits(10))
    push_all(queue, [1, 2])
    drain(queue)
    assert queue.kept == 2
    queue.forget_written(NOW + 1)
    assert queue.kept == 0
    assert queue.resume(2)
    assert not queue.resume(1)


@pytest.mark.parametrize("position", [1, 127, 128, 300, 1 << 40])
def test_the_position_is_part_of_the_message_whatever_its_size(position: int) -> None:
    queue = DeviceQueue(limits(1))
    queue.position = position - 1
    queue.push(durable(5), NOW)
    assert drain(queue) == [(position, 5)]


def test_lost_frames_name_their_conversations_unless_one_is_about_none() -> None:
    assert device_frames.conversations_of([durable(1), durable(2)]) == {"c1"}
    assert device_frames.conversations_of([durable(1), device_frames.ROUTE_MOVED]) == frozenset()
    assert device_frames.conversations_of([b"\xff\xff"]) == frozenset()


def test_typing_and_presence_coalesce_by_who_and_where() -> None:
    one, two = device_frames.typing("c1", "bob", True), device_frames.typing("c1", "bob", False)
    assert device_frames.coalescing_key(one) == device_frames.coalescing_key(two)
    assert device_frames.coalescing_key(one) != device_frames.coalescing_key(device_frames.typing("c2", "bob", True))
    assert device_frames.coalescing_key(device_frames.offline("bob")) == device_frames.presence_key("bob")
