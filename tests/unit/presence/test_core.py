from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.presence.core import (
    Assignment,
    Deliver,
    DeviceId,
    LinkId,
    PresenceChange,
    RegisterAck,
    Router,
    Send,
    Session,
    UserId,
    WatchCommand,
)

G1, G2 = LinkId(1), LinkId(2)
ALICE, BOB = UserId("alice"), UserId("bob")
PHONE = DeviceId("phone-01")


def router_with(*links: LinkId) -> Router:
    router = Router(offline_delay_s=20)
    for link in links:
        router.attach(link)
    router.assign(range(16), 16)
    for link in links:
        router.registered(link, 1)
    return router


def test_an_event_goes_once_to_each_gateway_that_holds_a_device_of_the_user() -> None:
    router = router_with(G1, G2)
    router.register(G1, 1, [Session(1, ALICE, PHONE), Session(2, ALICE, DeviceId("laptop-1")), Session(3, BOB, PHONE)])
    router.register(G2, 1, [Session(1, ALICE, DeviceId("tablet-1"))])
    assert router.deliver(ALICE, b"frame", durable=True) == [
        Send(G1, Deliver((1, 2), b"frame", durable=True)),
        Send(G2, Deliver((1,), b"frame", durable=True)),
    ]


def test_an_event_for_a_user_without_devices_goes_nowhere() -> None:
    assert router_with(G1).deliver(ALICE, b"frame", durable=True) == []


def test_registering_is_acknowledged_and_idempotent() -> None:
    router = router_with(G1)
    for _ in range(2):
        effects = router.register(G1, 1, [Session(1, ALICE, PHONE)])
        assert effects[0] == Send(G1, RegisterAck((1,)))
    assert router.session_count == 1


def test_what_follows_an_older_assignment_is_ignored() -> None:
    router = router_with(G1)
    router.assign(range(8), 16)
    assert router.register(G1, 1, [Session(1, ALICE, PHONE)]) == []
    assert router.watch(G1, 1, 1, [BOB]) == []
    assert router.session_count == 0


def test_a_new_assignment_is_told_to_all_gateways_and_awaits_each() -> None:
    router = router_with(G1, G2)
    effects = router.assign([3], 16)
    assert effects == [Send(link, Assignment(2, frozenset({3}), 16)) for link in (G1, G2)]
    assert router.collecting
    router.registered(G1, 2)
    assert router.collecting
    router.detach(G2, now=0)
    assert not router.collecting


def test_a_watcher_gets_a_snapshot_and_then_each_change() -> None:
    router = router_with(G1)
    assert router.watch(G1, 1, 7, [BOB]) == [Send(G1, Deliver((7,), PresenceChange(BOB, online=False), durable=False))]
    effects = router.register(G1, 1, [Session(1, BOB, PHONE)])
    assert effects[1:] == [Send(G1, Deliver((7,), PresenceChange(BOB, online=True), durable=False))]


def test_a_user_is_offline_only_after_the_delay() -> None:
    router = router_with(G1)
    router.register(G1, 1, [Session(1, BOB, PHONE)])
    router.watch(G1, 1, 7, [BOB])
    router.unregister(G1, [1], now=100)
    assert router.tick(now=119.9) == []
    gone = PresenceChange(BOB, online=False, last_seen=100)
    assert router.tick(now=120) == [Send(G1, Deliver((7,), gone, durable=False))]
    assert router.tick(now=121) == []


def test_a_user_who_returns_within_the_delay_was_never_away() -> None:
    router = router_with(G1)
    router.register(G1, 1, [Session(1, BOB, PHONE)])
    router.watch(G1, 1, 7, [BOB])
    router.unregister(G1, [1], now=100)
    assert router.register(G1, 1, [Session(2, BOB, PHONE)]) == [Send(G1, RegisterAck((2,)))]
    assert router.tick(now=1000) == []


def test_nobody_is_called_offline_while_registrations_are_collected() -> None:
    router = Router(offline_delay_s=20)
    router.attach(G1)
    router.attach(G2)
    router.assign(range(16), 16)
    assert router.watch(G1, 1, 7, [BOB]) == []
    router.register(G2, 1, [Session(1, BOB, PHONE)])
    router.registered(G1, 1)
    assert router.registered(G2, 1) == [Send(G1, Deliver((7,), PresenceChange(BOB, online=True), durable=False))]


def test_a_gateway_that_is_gone_takes_its_devices_and_watches_with_it() -> None:
    router = router_with(G1, G2)
    router.register(G1, 1, [Session(1, BOB, PHONE)])
    router.watch(G2, 1, 7, [BOB])
    router.watch(G1, 1, 1, [ALICE])
    router.detach(G1, now=0)
    assert router.deliver(BOB, b"x", durable=True) == []
    assert router.tick(now=20) == [
        Send(G2, Deliver((7,), PresenceChange(BOB, online=False, last_seen=0), durable=False))
    ]
    assert router.register(G2, 1, [Session(2, ALICE, PHONE)]) == [Send(G2, RegisterAck((2,)))]


def test_a_watch_list_is_sent_to_the_gateway_of_the_device() -> None:
    router = router_with(G1, G2)
    router.register(G1, 1, [Session(1, ALICE, PHONE)])
    router.register(G2, 1, [Session(5, ALICE, DeviceId("laptop-1"))])
    assert router.command_watch(ALICE, DeviceId("laptop-1"), [BOB]) == [Send(G2, WatchCommand(5, (BOB,)))]


class RouterMachine(RuleBasedStateMachine):
    """Random life of a replica against a plain model of who is where."""

    @initialize()
    def begin(self) -> None:
        self.router = Router(offline_delay_s=5)
        self.epoch = 0
        self.links: set[LinkId] = set()
        self.sessions: dict[tuple[LinkId, int], UserId] = {}
        self.now = 0.0

    links_drawn = st.sampled_from([G1, G2])
    users_drawn = st.sampled_from([ALICE, BOB])

    @rule(link=links_drawn)
    def attach(self, link: LinkId) -> None:
        if link not in self.links:
            self.links.add(link)
            self.router.attach(link)

    @rule(link=links_drawn)
    def detach(self, link: LinkId) -> None:
        self.links.discard(link)
        self.router.detach(link, self.now)
        self.sessions = {key: user for key, user in self.sessions.items() if key[0] != link}

    @rule()
    def assign(self) -> None:
        self.epoch += 1
        self.router.assign(range(16), 16)
        self.sessions = {}

    @rule(link=links_drawn, session_id=st.integers(1, 3), user=users_drawn, age=st.integers(0, 1))
    def register(self, link: LinkId, session_id: int, user: UserId, age: int) -> None:
        if self.sessions.get((link, session_id), user) != user:
            return
        self.router.register(link, self.epoch - age, [Session(session_id, user, PHONE)])
        if age == 0 and link in self.links:
            self.sessions[link, session_id] = user

    @rule(link=links_drawn, session_id=st.integers(1, 3))
    def unregister(self, link: LinkId, session_id: int) -> None:
        self.router.unregister(link, [session_id], self.now)
        self.sessions.pop((link, session_id), None)

    @rule(link=links_drawn, session_id=st.integers(1, 3), users=st.lists(users_drawn, unique=True))
    def watch(self, link: LinkId, session_id: int, users: list[UserId]) -> None:
        self.router.watch(link, self.epoch, session_id, users)

    @rule(seconds=st.floats(0, 10))
    def tick(self, seconds: float) -> None:
        self.now += seconds
        for send in self.router.tick(self.now):
            assert isinstance(send.frame, Deliver)
            assert isinstance(send.frame.content, PresenceChange)
            assert send.frame.content.user_id not in self.sessions.values()

    @invariant()
    def each_user_is_reached_exactly_where_the_devices_are(self) -> None:
        for user in (ALICE, BOB):
            reached = {
                (send.link, session_id)
                for send in self.router.deliver(user, b"x", durable=True)
                if isinstance(send.frame, Deliver)
                for session_id in send.frame.session_ids
            }
            assert reached == {key for key, owner in self.sessions.items() if owner == user}


TestRouterMachine = RouterMachine.TestCase
TestRouterMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(st.integers(1, 5))
def test_epochs_rise_with_each_assignment(times: int) -> None:
    router = Router(offline_delay_s=1)
    router.attach(G1)
    frames = [router.assign([0], 1)[0].frame for _ in range(times)]
    assert [frame.epoch for frame in frames if isinstance(frame, Assignment)] == list(range(1, times + 1))
