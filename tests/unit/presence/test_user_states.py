"""Presence as people see it: one state, whatever the number of devices, and who is told of it when."""

import itertools

import pytest

from services.presence.core.model import (
    LoadLastSeen,
    Send,
    StateChanged,
    StatusCommand,
    UserId,
)
from services.presence.core.states import (
    STATUSES,
    CallActivity,
    OngoingCall,
    PresenceStatus,
    SessionState,
    UserState,
    status_of,
)
from services.presence.core.user_states import CALL_LIMIT_S, StoredState, UserStates
from tests.unit.presence.routers import (
    ALICE,
    AWAY,
    BOB,
    G1,
    G2,
    LAPTOP,
    OFFLINE,
    ONLINE,
    PHONE,
    new_router,
    router_with,
    sends,
    session,
    told,
)

IN_CALL = UserState(PresenceStatus.ONLINE, in_call=True)


def gone_at(time: float) -> UserState:
    return UserState(PresenceStatus.OFFLINE, last_seen=time)


@pytest.mark.parametrize("uses", list(itertools.product(SessionState, repeat=2)))
def test_many_devices_make_one_state(uses: tuple[SessionState, ...]) -> None:
    status = status_of(uses, PresenceStatus.OFFLINE, leaving=False)
    if SessionState.ACTIVE in uses:
        assert status is PresenceStatus.ONLINE
    elif SessionState.AWAY in uses:
        assert status is PresenceStatus.AWAY
    else:
        assert status is PresenceStatus.OFFLINE


@pytest.mark.parametrize("before", [PresenceStatus.ONLINE, PresenceStatus.AWAY])
def test_who_left_a_moment_ago_keeps_the_state_that_they_had(before: PresenceStatus) -> None:
    assert status_of([], before, leaving=True) is before
    assert status_of([SessionState.DETACHED], before, leaving=True) is before


def test_the_table_of_states_leaves_out_only_what_cannot_be() -> None:
    every = set(itertools.product([True, False], repeat=3))
    assert every - set(STATUSES) == {(True, True, True), (True, False, True), (False, True, True)}


def test_a_watcher_gets_a_snapshot_and_then_each_change() -> None:
    router = router_with(G1)
    assert router.watch(G1, 1, 7, [BOB]) == [LoadLastSeen((BOB,))]
    assert router.last_seen_loaded([BOB], {BOB: 50.0}) == [told(G1, 7, BOB, gone_at(50))]
    effects = router.register(G1, 1, [session(1, BOB)], now=100)
    assert sends(effects)[1:] == [told(G1, 7, BOB, ONLINE)]


def test_what_the_store_said_once_is_not_asked_again_and_what_it_could_not_say_is() -> None:
    router = router_with(G1)
    router.watch(G1, 1, 7, [ALICE, BOB])
    # It knew one of them; for the other one it was away.
    router.last_seen_loaded([ALICE], {ALICE: None})
    assert router.last_seen_loaded([BOB], {}) == [told(G1, 7, BOB, OFFLINE)]
    assert router.watch(G1, 1, 8, [ALICE, BOB]) == [told(G1, 8, ALICE, OFFLINE), LoadLastSeen((BOB,))]


def test_people_who_are_asked_for_together_are_looked_up_together() -> None:
    people = [UserId(f"user-{number}") for number in range(50)]
    assert router_with(G1).watch(G1, 1, 7, people) == [LoadLastSeen(tuple(people))]


def test_an_answer_of_the_store_does_not_hide_that_somebody_came_meanwhile() -> None:
    router = router_with(G1)
    router.watch(G1, 1, 7, [BOB])
    router.register(G1, 1, [session(1, BOB)], now=0)
    assert router.last_seen_loaded([BOB], {BOB: 50.0}) == [told(G1, 7, BOB, ONLINE)]


def test_only_those_who_watch_are_told() -> None:
    router = router_with(G1, G2)
    router.watch(G1, 1, 7, [ALICE])
    router.watch(G2, 1, 8, [BOB])
    router.watch(G2, 1, 8, [])
    assert sends(router.register(G1, 1, [session(1, BOB)], now=0))[1:] == []


def test_a_user_is_offline_only_after_the_delay_and_was_last_seen_when_the_device_left() -> None:
    router = router_with(G1)
    router.register(G1, 1, [session(1, BOB)], now=0)
    router.watch(G1, 1, 7, [BOB])
    assert router.unregister(G1, [1], now=100) == []
    assert router.tick(now=119.9) == []
    assert router.tick(now=120) == [told(G1, 7, BOB, gone_at(100)), StateChanged(BOB, 0, gone_at(100), None)]
    assert router.tick(now=121) == []


@pytest.mark.parametrize("unix", [1_000_000.0, 1_003_600.0, 996_400.0])
def test_the_delay_is_by_the_monotonic_clock_and_the_time_by_the_wall(unix: float) -> None:
    router = router_with(G1)
    router.register(G1, 1, [session(1, BOB)], now=0)
    router.watch(G1, 1, 7, [BOB])
    router.unregister(G1, [1], now=100)
    assert router.tick(now=119, unix=unix) == []
    assert router.tick(now=125, unix=unix)[-1] == StateChanged(BOB, 0, gone_at(unix - 25), None)


def test_a_user_who_returns_within_the_delay_was_never_away() -> None:
    router = router_with(G1)
    router.register(G1, 1, [session(1, BOB)], now=0)
    router.watch(G1, 1, 7, [BOB])
    router.unregister(G1, [1], now=100)
    assert sends(router.register(G1, 1, [session(2, BOB)], now=110))[1:] == []
    assert router.tick(now=1000) == []


def test_the_first_device_brings_a_user_online_and_a_second_changes_nothing() -> None:
    router = router_with(G1, G2)
    assert StateChanged(BOB, 0, ONLINE, None) in router.register(G1, 1, [session(1, BOB)], now=0)
    assert len(router.register(G2, 1, [session(1, BOB, LAPTOP)], now=0)) == 1
    assert router.unregister(G1, [1], now=0) == []
    assert router.tick(now=1000) == []


def test_a_user_is_away_when_all_devices_say_so_and_back_when_one_does() -> None:
    router = router_with(G1, G2)
    router.register(G1, 1, [session(1, BOB)], now=0)
    router.register(G2, 1, [session(4, BOB, LAPTOP)], now=0)
    router.watch(G2, 1, 7, [BOB])
    assert router.set_status(BOB, PHONE, True, now=1) == [Send(G1, StatusCommand(1, away=True))]
    assert router.set_status(BOB, LAPTOP, True, now=2) == [
        Send(G2, StatusCommand(4, away=True)),
        told(G2, 7, BOB, AWAY),
        StateChanged(BOB, 0, AWAY, None),
    ]
    assert told(G2, 7, BOB, ONLINE) in router.set_status(BOB, PHONE, False, now=3)


def test_away_survives_a_rebalance_because_the_gateway_repeats_it() -> None:
    router = router_with(G1)
    router.assign(range(16), 16)
    router.watch(G1, 2, 7, [BOB])
    router.register(G1, 2, [session(1, BOB, away=True)], now=0)
    assert router.registered(G1, 2) == [told(G1, 7, BOB, AWAY)]


def test_a_device_of_nobody_here_cannot_be_away() -> None:
    assert router_with(G1).set_status(BOB, PHONE, True, now=0) == []


def test_a_broken_stream_that_may_be_resumed_gets_events_on_and_makes_nobody_online() -> None:
    router = router_with(G1)
    router.register(G1, 1, [session(1, BOB)], now=0)
    router.watch(G1, 1, 7, [BOB])
    assert router.detached(G1, [1], True, now=100) == []
    assert router.tick(now=120) == [told(G1, 7, BOB, gone_at(100)), StateChanged(BOB, 0, gone_at(100), None)]
    assert len(router.deliver(BOB, b"message", durable=True)) == 1
    assert told(G1, 7, BOB, ONLINE) in router.detached(G1, [1], False, now=130)


def test_nobody_is_called_offline_while_registrations_are_collected() -> None:
    router = new_router()
    router.attach(G1)
    router.attach(G2)
    router.assign(range(16), 16)
    assert router.watch(G1, 1, 7, [BOB]) == []
    router.register(G2, 1, [session(1, BOB)], now=0)
    router.registered(G1, 1)
    assert router.registered(G2, 1) == [told(G1, 7, BOB, ONLINE)]


def test_a_gateway_that_is_gone_takes_its_devices_and_watches_with_it() -> None:
    router = router_with(G1, G2)
    router.register(G1, 1, [session(1, BOB)], now=0)
    router.watch(G2, 1, 7, [BOB])
    router.watch(G1, 1, 1, [ALICE])
    router.detach(G1, now=0)
    assert router.deliver(BOB, b"x", durable=True) == []
    assert sends(router.tick(now=20)) == [told(G2, 7, BOB, gone_at(0))]
    assert len(sends(router.register(G2, 1, [session(2, ALICE)], now=0))) == 1


def test_a_call_shows_while_it_lasts_and_never_of_somebody_who_is_offline() -> None:
    router = router_with(G1)
    router.watch(G1, 1, 7, [BOB])
    assert router.note_call(BOB, CallActivity("call-1", 3, in_call=True), now=0) == []
    assert told(G1, 7, BOB, IN_CALL) in router.register(G1, 1, [session(1, BOB)], now=1)
    ended = router.note_call(BOB, CallActivity("call-1", 4, in_call=False), now=2)
    assert ended == [told(G1, 7, BOB, ONLINE), StateChanged(BOB, 0, ONLINE, None)]


def test_what_is_older_or_of_another_call_does_not_end_a_call() -> None:
    router = router_with(G1)
    router.register(G1, 1, [session(1, BOB)], now=0)
    started = router.note_call(BOB, CallActivity("call-1", 3, in_call=True), now=0)
    assert started == [StateChanged(BOB, 0, IN_CALL, OngoingCall("call-1", 3))]
    assert router.note_call(BOB, CallActivity("call-1", 2, in_call=False), now=0) == []
    # Somebody rang meanwhile and heard that he is busy.
    assert router.note_call(BOB, CallActivity("call-2", 9, in_call=False), now=0) == []
    assert router.note_call(BOB, CallActivity("call-1", 3, in_call=True), now=0) == []


def test_a_call_whose_end_was_lost_does_not_last_for_ever() -> None:
    router = router_with(G1)
    router.register(G1, 1, [session(1, BOB)], now=0)
    router.note_call(BOB, CallActivity("call-1", 3, in_call=True), now=0)
    assert router.tick(now=CALL_LIMIT_S) == [StateChanged(BOB, 0, ONLINE, None)]


def test_the_new_owner_takes_calls_up_from_the_store_and_tells_of_what_changed_meanwhile() -> None:
    router = router_with(G1)
    carol = UserId("carol")
    router.register(G1, 1, [session(1, ALICE), session(2, BOB), session(3, carol)], now=0)
    stored = [
        StoredState(ALICE, PresenceStatus.ONLINE, None),
        StoredState(BOB, PresenceStatus.AWAY, OngoingCall("call-1", 3)),
        StoredState(UserId("gone"), PresenceStatus.ONLINE, None),
    ]
    effects = router.restore(1, stored, now=100)
    assert effects == [
        StateChanged(BOB, 0, IN_CALL, OngoingCall("call-1", 3)),
        StateChanged(carol, 0, ONLINE, None),
    ]
    assert router.tick(now=120) == [StateChanged(UserId("gone"), 0, gone_at(100), None)]


def test_what_came_to_be_known_since_is_newer_than_what_the_store_has() -> None:
    """The store is read while people come and go, or long after, when it was away."""
    router = router_with(G1)
    router.register(G1, 1, [session(1, ALICE), session(2, BOB)], now=0)
    router.watch(G1, 1, 2, [ALICE])
    router.unregister(G1, [1], now=1)
    assert told(G1, 2, ALICE, gone_at(1)) in router.tick(now=30, unix=30)
    router.restore(
        1, [StoredState(ALICE, PresenceStatus.ONLINE, None), StoredState(BOB, PresenceStatus.ONLINE, None)], now=30
    )
    came = router.register(G1, 1, [session(3, ALICE)], now=31)
    assert StateChanged(ALICE, 0, ONLINE, None) in came
    assert told(G1, 2, ALICE, ONLINE) in came


@pytest.mark.parametrize(("ended", "shown"), [(4, ONLINE), (3, ONLINE), (2, IN_CALL)])
def test_a_call_that_ended_before_the_store_was_read_is_over(ended: int, shown: UserState) -> None:
    """Unless what was told is older than what the store has."""
    router = router_with(G1)
    router.register(G1, 1, [session(1, BOB)], now=0)
    router.note_call(BOB, CallActivity("call-1", ended, in_call=False), now=0)
    router.restore(1, [StoredState(BOB, PresenceStatus.ONLINE, OngoingCall("call-1", 3))], now=1)
    assert router.watch(G1, 1, 1, [BOB]) == [told(G1, 1, BOB, shown)]


def test_an_account_that_went_before_the_store_was_read_is_not_taken_up() -> None:
    router = router_with(G1)
    router.delete_user(BOB)
    assert router.restore(1, [StoredState(BOB, PresenceStatus.ONLINE, OngoingCall("call-1", 3))], now=1) == []
    assert router.tick(now=1000) == []


def test_what_the_store_has_of_another_assignment_or_of_others_users_is_passed_over() -> None:
    router = router_with(G1, partitions=[3])
    gone = [StoredState(UserId("p3-gone"), PresenceStatus.ONLINE, None)]
    assert router.restore(0, gone, now=0) == []
    assert router.restore(1, [StoredState(UserId("p4-gone"), PresenceStatus.ONLINE, None)], now=0) == []
    assert router.tick(now=1000) == []
    router.restore(1, gone, now=1000)
    assert len(router.tick(now=1020)) == 1


def test_a_detached_device_that_is_registered_anew_leaves_its_user_to_the_delay() -> None:
    router = router_with(G1)
    router.register(G1, 1, [session(1, BOB, detached=True)], now=0)
    assert router.restore(1, [StoredState(BOB, PresenceStatus.ONLINE, None)], now=0) == []
    assert router.tick(now=20) == [StateChanged(BOB, 0, gone_at(0), None)]


def test_only_so_many_last_seen_times_are_remembered() -> None:
    people = UserStates(offline_delay_s=1)
    people.note_last_seen({UserId(f"user-{number}"): 1.0 for number in range(200_001)})
    assert not people.is_known(UserId("user-0"))
    assert people.is_known(UserId("user-200000"))
