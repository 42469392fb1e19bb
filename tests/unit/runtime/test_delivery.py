"""To whom deliveries are handed directly, and what happens when there is no room."""

from hypothesis import given
from hypothesis import strategies as st

from services.runtime.delivery.owners import Owner, Owners
from services.runtime.delivery.queue import BATCH, BATCH_BYTES, DeliveryQueue, Handed
from services.runtime.partitions import partition_of

USER = "alice"
AT = partition_of(USER, 16)
ELSEWHERE = (AT + 1) % 16


def test_a_user_is_the_one_replicas_that_owns_the_partition() -> None:
    owners = Owners()
    owners.assigned("a:1", 1, [ELSEWHERE], 16)
    owners.assigned("b:1", 7, [AT], 16)
    assert owners.owner_of(USER) == Owner("b:1", 7)


def test_nobody_owns_anything_before_a_replica_says_so() -> None:
    owners = Owners()
    assert owners.owner_of(USER) is None
    owners.assigned("a:1", 1, [], 0)
    assert owners.owner_of(USER) is None


def test_of_two_that_claim_a_partition_the_one_that_said_so_last_is_believed() -> None:
    owners = Owners()
    owners.assigned("a:1", 1, [AT], 16)
    owners.assigned("b:1", 1, [AT], 16)
    assert owners.owner_of(USER) == Owner("b:1", 1)
    owners.assigned("a:1", 2, [AT], 16)
    assert owners.owner_of(USER) == Owner("a:1", 2)


def test_a_claim_that_is_taken_back_leaves_the_other_one() -> None:
    owners = Owners()
    owners.assigned("a:1", 1, [AT], 16)
    owners.assigned("b:1", 1, [AT], 16)
    owners.detached("b:1")
    assert owners.owner_of(USER) == Owner("a:1", 1)
    owners.assigned("a:1", 2, [], 0)
    assert owners.owner_of(USER) is None


def test_a_topic_with_more_partitions_is_believed_over_who_does_not_know_it_yet() -> None:
    owners = Owners()
    owners.assigned("a:1", 2, range(32), 32)
    owners.assigned("b:1", 1, range(16), 16)
    assert owners.owner_of(USER) == Owner("a:1", 2)


def test_what_finds_no_room_is_refused_and_the_rest_stays() -> None:
    queue = DeliveryQueue(limit=2, bytes_limit=10)
    assert queue.push(Handed(1, b"1234"))
    assert not queue.push(Handed(1, b"1234567"))
    assert queue.push(Handed(1, b"5678"))
    assert not queue.push(Handed(1, b""))
    assert [handed.value for handed in queue.take()] == [b"1234", b"5678"]
    assert queue.push(Handed(1, b"1234567890"))


def test_a_frame_has_one_epoch_and_a_bounded_size() -> None:
    queue = DeliveryQueue()
    for epoch in (1, 1, 2):
        queue.push(Handed(epoch, b"x"))
    assert [handed.epoch for handed in queue.take()] == [1, 1]
    assert [handed.epoch for handed in queue.take()] == [2]
    for _ in range(BATCH + 1):
        queue.push(Handed(3, b"x"))
    assert (len(queue.take()), len(queue.take())) == (BATCH, 1)
    for _ in range(2):
        queue.push(Handed(3, b"x" * BATCH_BYTES))
    assert (len(queue.take()), len(queue.take()), len(queue.take())) == (1, 1, 0)


@given(st.lists(st.one_of(st.none(), st.binary(max_size=40)), max_size=60))
def test_what_was_taken_comes_out_in_order_and_the_bounds_hold(steps: list[bytes | None]) -> None:
    queue = DeliveryQueue(limit=5, bytes_limit=100)
    expected: list[bytes] = []
    came: list[bytes] = []
    for value in steps:
        if value is None:
            came += [handed.value for handed in queue.take()]
        elif queue.push(Handed(1, value)):
            expected.append(value)
        waiting = expected[len(came) :]
        assert len(queue) == len(waiting) <= 5
        assert sum(map(len, waiting)) <= 100
    came += [handed.value for handed in queue.take()]
    assert came == expected
