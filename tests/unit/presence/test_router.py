"""Which gateway is told what: routing, rebalances, and what a gateway may not say."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.presence.core.model import (
    Assignment,
    CutOff,
    Deliver,
    DeviceId,
    DeviceStream,
    LoadLastSeen,
    RecheckWatches,
    Refusal,
    Refused,
    RegisterAck,
    Send,
    StateChanged,
    StreamId,
    UserDeleted,
    UserId,
    WatchCommand,
)
from services.presence.core.states import PresenceStatus
from tests.unit.presence.routers import (
    ALICE,
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


def test_an_event_goes_once_to_each_gateway_that_holds_a_device_of_the_user_and_to_no_other() -> None:
    router = router_with(G1, G2, StreamId(3))
    router.register(G1, 1, [session(1, ALICE), session(2, ALICE, LAPTOP), session(3, BOB)], now=0)
    router.register(G2, 1, [session(1, ALICE, DeviceId("tablet-1"))], now=0)
    assert router.deliver(ALICE, b"frame", durable=True) == [
        Send(G1, Deliver((1, 2), b"frame", durable=True)),
        Send(G2, Deliver((1,), b"frame", durable=True)),
    ]


def test_an_event_for_one_device_goes_to_that_device_alone() -> None:
    router = router_with(G1, G2)
    router.register(G1, 1, [session(1, ALICE), session(2, ALICE, LAPTOP), session(3, BOB, LAPTOP)], now=0)
    router.register(G2, 1, [session(1, ALICE)], now=0)
    assert router.deliver(ALICE, b"frame", durable=True, device_id=LAPTOP) == [
        Send(G1, Deliver((2,), b"frame", durable=True)),
    ]
    assert router.deliver(ALICE, b"frame", durable=True, device_id=DeviceId("tablet-1")) == []


def test_an_event_for_a_user_without_devices_goes_nowhere() -> None:
    assert router_with(G1).deliver(ALICE, b"frame", durable=True) == []


def test_registering_is_acknowledged_and_idempotent() -> None:
    router = router_with(G1)
    for _ in range(2):
        effects = router.register(G1, 1, [session(1, ALICE)], now=0)
        assert effects[0] == Send(G1, RegisterAck((1,)))
    assert router.session_count == 1


def test_what_follows_an_older_assignment_or_one_to_come_is_passed_over() -> None:
    router = router_with(G1)
    router.assign(range(8), 16)
    for epoch in (0, 1, 3, 2**63):
        assert router.register(G1, epoch, [session(1, ALICE)], now=0) == [Refused(G1, Refusal.STALE_EPOCH, 1)]
        assert router.watch(G1, epoch, 1, [BOB]) == [Refused(G1, Refusal.STALE_EPOCH, 1)]
        assert router.registered(G1, epoch) == []
    assert router.session_count == 0
    assert router.collecting


def test_a_new_assignment_is_told_to_all_gateways_with_its_partitions_and_epoch_and_awaits_each() -> None:
    router = router_with(G1, G2)
    effects = router.assign([3], 16)
    assert effects == [Send(stream, Assignment(2, frozenset({3}), 16)) for stream in (G1, G2)]
    assert router.collecting
    router.registered(G1, 2)
    assert router.collecting
    router.detach(G2, now=0)
    assert not router.collecting


def test_a_gateway_that_attaches_is_told_partitions_and_epoch_first() -> None:
    router = router_with(G1, partitions=[2, 5])
    assert router.attach(G2) == [Send(G2, Assignment(1, frozenset({2, 5}), 16))]


def test_the_new_owner_knows_only_what_the_gateways_register() -> None:
    router = router_with(G1, G2)
    router.register(G1, 1, [session(1, ALICE)], now=0)
    router.register(G2, 1, [session(1, BOB)], now=0)
    router.assign(range(16), 16)
    assert router.deliver(ALICE, b"frame", durable=True) == []
    router.register(G1, 2, [session(1, ALICE)], now=0)
    assert router.deliver(ALICE, b"frame", durable=True) == [Send(G1, Deliver((1,), b"frame", durable=True))]
    assert router.session_count == 1


def test_a_replica_that_owns_nothing_holds_nothing() -> None:
    router = router_with(G1)
    router.register(G1, 1, [session(1, ALICE)], now=0)
    router.assign((), 0)
    assert (router.session_count, router.collecting) == (0, False)
    assert router.register(G1, 2, [session(1, ALICE)], now=0)[0] == Refused(G1, Refusal.FOREIGN_USER, 1)


def test_users_of_other_partitions_are_refused_and_the_others_of_the_batch_are_taken() -> None:
    own, foreign = UserId("p3-own"), UserId("p4-foreign")
    router = router_with(G1, partitions=[3])
    assert router.register(G1, 1, [session(1, own), session(2, foreign)], now=0)[:2] == [
        Refused(G1, Refusal.FOREIGN_USER, 1),
        Send(G1, RegisterAck((1,))),
    ]
    assert router.deliver(foreign, b"frame", durable=True) == []
    assert Refused(G1, Refusal.FOREIGN_USER, 1) in router.watch(G1, 1, 1, [own, foreign])
    assert router.route(G1, foreign, b"typing") == [Refused(G1, Refusal.FOREIGN_USER, 1)]


def test_a_gateway_cannot_take_or_end_the_sessions_of_another() -> None:
    router = router_with(G1, G2)
    router.register(G1, 1, [session(1, ALICE)], now=0)
    assert router.unregister(G2, [1], now=0) == []
    assert router.detached(G2, [1], True, now=0) == []
    router.register(G2, 1, [session(1, BOB)], now=0)
    assert router.deliver(ALICE, b"frame", durable=True) == [Send(G1, Deliver((1,), b"frame", durable=True))]


def test_a_devices_stream_is_known_to_be_open_or_for_how_long_it_has_been_broken() -> None:
    router = router_with(G1, G2)
    assert router.stream_of(ALICE, PHONE, now=0) is None
    router.register(G1, 1, [session(1, ALICE)], now=0)
    assert router.stream_of(ALICE, PHONE, now=1) == DeviceStream(None)
    for now in (2, 3):
        router.detached(G1, [1], True, now=now)
    assert router.stream_of(ALICE, PHONE, now=5) == DeviceStream(3)
    assert router.stream_of(ALICE, LAPTOP, now=5) is None
    # Its page was loaded again, at whichever gateway.
    router.register(G2, 1, [session(7, ALICE)], now=6)
    assert router.stream_of(ALICE, PHONE, now=7) == DeviceStream(None)
    router.unregister(G1, [1], now=8)
    router.detached(G2, [7], True, now=9)
    assert router.stream_of(ALICE, PHONE, now=10) == DeviceStream(1)
    router.detached(G2, [7], False, now=11)
    assert router.stream_of(ALICE, PHONE, now=12) == DeviceStream(None)
    router.unregister(G2, [7], now=13)
    assert router.stream_of(ALICE, PHONE, now=14) is None


def test_of_a_stream_that_was_broken_before_a_rebalance_the_time_since_then_is_known() -> None:
    router = router_with(G1)
    router.assign(range(16), 16)
    router.register(G1, 2, [session(1, ALICE, detached=True)], now=20)
    assert router.stream_of(ALICE, PHONE, now=21) is None
    router.registered(G1, 2)
    assert router.stream_of(ALICE, PHONE, now=25) == DeviceStream(5)


def test_a_session_that_is_registered_for_somebody_else_gets_nothing_of_its_first_user_any_more() -> None:
    router = router_with(G1)
    router.register(G1, 1, [session(1, ALICE)], now=0)
    router.register(G1, 1, [session(1, BOB)], now=0)
    assert router.deliver(ALICE, b"for alice", durable=True) == []
    assert router.session_count == 1


def test_a_gateway_that_claims_too_many_sessions_is_cut_off() -> None:
    router = new_router(gateway_sessions=10)
    router.attach(G1)
    router.assign(range(16), 16)
    many = [session(number, UserId(f"user-{number}")) for number in range(11)]
    assert router.register(G1, 1, many, now=0) == [CutOff(G1)]
    assert router.session_count == 0
    for number in range(10):
        assert CutOff(G1) not in router.watch(G1, 1, number, [ALICE])
    assert CutOff(G1) in router.watch(G1, 1, 10, [ALICE])


def test_a_gateway_that_is_not_attached_is_not_heard() -> None:
    router = router_with()
    assert router.register(G1, 1, [session(1, ALICE)], now=0) == []
    assert router.watch(G1, 1, 1, [BOB]) == []
    assert router.unregister(G1, [1], now=0) == []
    assert router.detach(G1, now=0) == []


def test_a_watch_list_is_sent_to_the_gateway_of_the_device() -> None:
    router = router_with(G1, G2)
    router.register(G1, 1, [session(1, ALICE)], now=0)
    router.register(G2, 1, [session(5, ALICE, LAPTOP)], now=0)
    assert router.route_watch_list(ALICE, LAPTOP, [BOB]) == [Send(G2, WatchCommand(5, (BOB,)))]


def test_changed_relations_are_told_to_the_users_devices_and_to_those_who_watch_and_nobody_watches_meanwhile() -> None:
    router = router_with(G1, G2)
    router.register(G1, 1, [session(1, ALICE)], now=0)
    router.watch(G2, 1, 7, [ALICE, BOB])
    router.watch(G2, 1, 8, [ALICE])
    assert router.relations_changed(ALICE) == [
        Send(G1, RecheckWatches((1,))),
        Send(G2, RecheckWatches((7, 8), about=ALICE)),
    ]
    router.unregister(G1, [1], now=0)
    assert sends(router.tick(now=20)) == []
    # What the session watches beside her goes on.
    assert sends(router.register(G1, 1, [session(2, BOB)], now=30))[1:] == [told(G2, 7, BOB, ONLINE)]


def test_who_may_still_see_watches_again_and_has_a_snapshot() -> None:
    router = router_with(G1, G2)
    router.register(G1, 1, [session(1, ALICE)], now=0)
    router.watch(G2, 1, 7, [ALICE])
    router.relations_changed(ALICE)
    assert router.watch(G2, 1, 7, [ALICE]) == [told(G2, 7, ALICE, ONLINE)]


def test_a_snapshot_that_was_under_way_does_not_reach_who_may_not_see_any_more() -> None:
    router = router_with(G1)
    assert router.watch(G1, 1, 7, [ALICE]) == [LoadLastSeen((ALICE,))]
    router.relations_changed(ALICE)
    assert router.last_seen_loaded([ALICE], {ALICE: 100.0}) == []


def test_a_deleted_account_is_forgotten_and_its_last_device_writes_nothing() -> None:
    router = router_with(G1)
    router.register(G1, 1, [session(1, ALICE)], now=0)
    router.watch(G1, 1, 7, [ALICE])
    assert router.delete_user(ALICE) == [told(G1, 7, ALICE, OFFLINE), UserDeleted(ALICE)]
    router.unregister(G1, [1], now=0)
    assert router.tick(now=100) == []


class RouterMachine(RuleBasedStateMachine):
    """Random life of a replica against a plain model of who is where."""

    @initialize()
    def begin(self) -> None:
        self.router = new_router(offline_delay_s=5)
        self.epoch = 0
        self.streams: set[StreamId] = set()
        self.sessions: dict[tuple[StreamId, int], UserId] = {}
        self.now = 0.0

    links_drawn = st.sampled_from([G1, G2])
    users_drawn = st.sampled_from([ALICE, BOB])

    @rule(stream=links_drawn)
    def attach(self, stream: StreamId) -> None:
        if stream not in self.streams:
            self.streams.add(stream)
            self.router.attach(stream)

    @rule(stream=links_drawn)
    def detach(self, stream: StreamId) -> None:
        self.streams.discard(stream)
        self.router.detach(stream, self.now)
        self.sessions = {key: user for key, user in self.sessions.items() if key[0] != stream}

    @rule()
    def assign(self) -> None:
        self.epoch += 1
        self.router.assign(range(16), 16)
        self.sessions = {}

    @rule(stream=links_drawn, session_id=st.integers(1, 3), user=users_drawn, age=st.integers(0, 1))
    def register(self, stream: StreamId, session_id: int, user: UserId, age: int) -> None:
        self.router.register(stream, self.epoch - age, [session(session_id, user)], now=self.now)
        if age == 0 and self.epoch and stream in self.streams:
            self.sessions[stream, session_id] = user

    @rule(stream=links_drawn, session_id=st.integers(1, 3))
    def unregister(self, stream: StreamId, session_id: int) -> None:
        self.router.unregister(stream, [session_id], self.now)
        self.sessions.pop((stream, session_id), None)

    @rule(stream=links_drawn, session_id=st.integers(1, 3), users=st.lists(users_drawn, unique=True))
    def watch(self, stream: StreamId, session_id: int, users: list[UserId]) -> None:
        self.router.watch(stream, self.epoch, session_id, users)

    @rule(seconds=st.floats(0, 10))
    def tick(self, seconds: float) -> None:
        self.now += seconds
        for effect in self.router.tick(self.now):
            if isinstance(effect, StateChanged):
                assert effect.state.status is PresenceStatus.OFFLINE
                assert effect.user_id not in self.sessions.values()

    @invariant()
    def each_user_is_reached_exactly_where_the_devices_are(self) -> None:
        for user in (ALICE, BOB):
            reached = {
                (send.stream, session_id)
                for send in self.router.deliver(user, b"x", durable=True)
                if isinstance(send.frame, Deliver)
                for session_id in send.frame.session_ids
            }
            assert reached == {key for key, owner in self.sessions.items() if owner == user}


TestRouterMachine = RouterMachine.TestCase
TestRouterMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(st.integers(1, 5))
def test_epochs_rise_with_each_assignment(times: int) -> None:
    router = new_router()
    router.attach(G1)
    frames = [sends(router.assign([0], 1))[0].frame for _ in range(times)]
    assert [frame.epoch for frame in frames if isinstance(frame, Assignment)] == list(range(1, times + 1))
