import pytest
from aiokafka.partitioner import murmur2 as kafka_murmur2
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.core.errors import RouterUnavailable
from services.gateway.core.model import (
    BecameReady,
    Close,
    CloseReason,
    Detached,
    DeviceId,
    Register,
    Registered,
    ReplicaId,
    Route,
    RouteMoved,
    SendToPresence,
    Unregister,
    UserId,
    Watch,
)
from services.gateway.core.registry import Registry
from services.runtime.partitions import murmur2, partition_of

ALICE, BOB = UserId("alice"), UserId("bob")
PHONE, LAPTOP = DeviceId("phone-01"), DeviceId("laptop-01")
ONE, TWO = ReplicaId("one:1"), ReplicaId("two:1")
ALL = range(16)


@given(st.binary(max_size=100))
def test_murmur2_is_kafkas(data: bytes) -> None:
    assert murmur2(data) & 0x7FFFFFFF == kafka_murmur2(data) & 0x7FFFFFFF


def routed(*replicas: ReplicaId) -> Registry:
    registry = Registry(devices_per_user=3)
    for replica in replicas:
        registry.assigned(replica, 1, ALL, 16)
    return registry


def test_a_device_is_registered_with_the_replica_that_owns_its_user() -> None:
    registry = Registry(devices_per_user=3)
    owned = partition_of(ALICE, 16)
    registry.assigned(ONE, 1, [owned], 16)
    registry.assigned(TWO, 1, [number for number in ALL if number != owned], 16)
    session, effects = registry.open(ALICE, PHONE)
    assert effects == [SendToPresence(ONE, Register(1, (session,)))]


def test_a_device_is_ready_once_and_told_to_sync_when_its_route_moves() -> None:
    registry = routed(ONE)
    session, _ = registry.open(ALICE, PHONE)
    assert registry.acknowledged([session.session_id]) == [BecameReady(session.session_id)]
    assert registry.acknowledged([session.session_id]) == [RouteMoved(session.session_id)]


def test_a_device_that_came_before_any_replica_is_registered_later() -> None:
    registry = Registry(devices_per_user=3)
    session, effects = registry.open(ALICE, PHONE)
    assert effects == []
    assert registry.assigned(ONE, 3, ALL, 16) == [
        SendToPresence(ONE, Register(3, (session,))),
        SendToPresence(ONE, Registered(3)),
    ]


def test_a_newer_stream_of_a_device_closes_the_older() -> None:
    registry = routed(ONE)
    first, _ = registry.open(ALICE, PHONE)
    second, effects = registry.open(ALICE, PHONE)
    assert effects[0] == Close(first.session_id, CloseReason.REPLACED)
    registry.close(first.session_id)
    third, effects = registry.open(ALICE, PHONE)
    assert effects[0] == Close(second.session_id, CloseReason.REPLACED)
    assert third.session_id not in (first.session_id, second.session_id)


def test_two_devices_of_a_user_stand_side_by_side() -> None:
    registry = routed(ONE)
    registry.open(ALICE, PHONE)
    _, effects = registry.open(ALICE, LAPTOP)
    assert not any(isinstance(effect, Close) for effect in effects)


def test_a_closed_session_is_forgotten_by_the_owners_of_its_user_and_of_those_it_watched() -> None:
    registry = Registry(devices_per_user=3)
    mine, theirs = partition_of(ALICE, 16), partition_of(BOB, 16)
    assert mine != theirs
    registry.assigned(ONE, 1, [mine], 16)
    registry.assigned(TWO, 1, [theirs], 16)
    session, _ = registry.open(ALICE, PHONE)
    assert SendToPresence(TWO, Watch(1, session.session_id, (BOB,))) in registry.watch(session.session_id, [BOB])
    assert registry.close(session.session_id) == [
        SendToPresence(ONE, Unregister((session.session_id,))),
        SendToPresence(TWO, Unregister((session.session_id,))),
    ]
    assert registry.close(session.session_id) == []


def test_after_a_rebalance_the_new_owner_gets_the_devices_and_the_watches() -> None:
    registry = routed(ONE)
    session, _ = registry.open(ALICE, PHONE)
    registry.watch(session.session_id, [BOB])
    registry.assigned(ONE, 2, [], 16)
    assert registry.assigned(TWO, 1, ALL, 16) == [
        SendToPresence(TWO, Register(1, (session,))),
        SendToPresence(TWO, Watch(1, session.session_id, (BOB,))),
        SendToPresence(TWO, Registered(1)),
    ]


def test_an_ephemeral_event_goes_to_the_owner_of_its_user_only() -> None:
    registry = routed(ONE)
    assert registry.route(BOB, b"frame") == [SendToPresence(ONE, Route(BOB, b"frame"))]
    registry.forget_replica(ONE)
    with pytest.raises(RouterUnavailable):
        registry.route(BOB, b"frame")


def test_of_too_many_devices_of_a_user_the_oldest_is_closed() -> None:
    registry = routed(ONE)
    oldest, *_ = (registry.open(ALICE, DeviceId(f"device-{number}"))[0] for number in range(3))
    registry.open(BOB, PHONE)
    _, effects = registry.open(ALICE, LAPTOP)
    assert [effect for effect in effects if isinstance(effect, Close)] == [
        Close(oldest.session_id, CloseReason.DEVICE_LIMIT)
    ]


def test_a_device_that_comes_again_does_not_push_out_another() -> None:
    registry = routed(ONE)
    for number in range(3):
        registry.open(ALICE, DeviceId(f"device-{number}"))
    _, effects = registry.open(ALICE, DeviceId("device-2"))
    assert [effect.reason for effect in effects if isinstance(effect, Close)] == [CloseReason.REPLACED]


def test_a_detached_device_stays_registered_and_comes_back_with_its_watches() -> None:
    registry = routed(ONE)
    session, _ = registry.open(ALICE, PHONE)
    registry.watch(session.session_id, [BOB])
    assert registry.detach(session.session_id) == [SendToPresence(ONE, Detached((session.session_id,), True))]
    assert registry.detach(session.session_id) == []
    assert registry.resume(session.session_id) == [
        SendToPresence(ONE, Detached((session.session_id,), False)),
        SendToPresence(ONE, Watch(1, session.session_id, (BOB,))),
    ]


def test_a_new_owner_learns_who_is_detached_and_who_is_away() -> None:
    registry = routed(ONE)
    session, _ = registry.open(ALICE, PHONE)
    registry.detach(session.session_id)
    registry.set_away(session.session_id, True)
    effect = registry.assigned(TWO, 1, ALL, 16)[0]
    assert isinstance(effect, SendToPresence)
    assert isinstance(effect.frame, Register)
    (registered,) = effect.frame.sessions
    assert (registered.detached, registered.away) == (True, True)


def test_one_person_is_taken_out_of_a_watch_list_at_the_owner_of_that_person_alone() -> None:
    registry = Registry(devices_per_user=3)
    mine, theirs = partition_of(ALICE, 16), partition_of(BOB, 16)
    registry.assigned(ONE, 1, [mine], 16)
    registry.assigned(TWO, 1, [theirs], 16)
    session, _ = registry.open(ALICE, PHONE)
    registry.watch(session.session_id, [ALICE, BOB])
    assert registry.watch_person(session.session_id, BOB, may_see=False) == [
        SendToPresence(TWO, Watch(1, session.session_id, ()))
    ]
    assert registry.watched(session.session_id) == (ALICE,)
    assert registry.watch_person(session.session_id, BOB, may_see=True) == [
        SendToPresence(TWO, Watch(1, session.session_id, (BOB,)))
    ]
