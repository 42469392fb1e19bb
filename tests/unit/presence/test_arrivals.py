"""Each delivery is passed on once, whichever way it comes first, and in order where the direct way does not lose it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from services.presence.core.arrivals import HOLD_S, Arrivals, Recent
from services.presence.core.model import Delivery, Place
from tests.unit.presence.routers import ALICE, BOB


def message(seq: int, user_id: str = ALICE, conversation: str = "c1", *, newcomer: bool = False) -> Delivery:
    """The delivery of a message."""
    place = Place(conversation, seq, newcomer)
    return Delivery(ALICE if user_id == ALICE else BOB, b"frame", f"{conversation}/{seq}", place)


# What tells of a conversation comes by the log alone.
CREATED = Delivery(ALICE, b"frame", place=Place("c1", 0))
JOINED = Delivery(ALICE, b"frame")


def seqs(deliveries: list[Delivery]) -> list[int]:
    return [delivery.place.number for delivery in deliveries if delivery.place]


def test_what_came_directly_is_dropped_when_the_log_brings_it() -> None:
    arrivals = Arrivals()
    assert seqs(arrivals.take_direct(message(1), 0.0)) == [1]
    assert arrivals.take_logged(message(1)) == []


def test_what_came_by_the_log_is_dropped_when_it_comes_directly() -> None:
    arrivals = Arrivals()
    assert seqs(arrivals.take_logged(message(1))) == [1]
    assert arrivals.take_direct(message(1), 0.0) == []


def test_one_event_is_passed_on_to_each_of_its_people() -> None:
    arrivals = Arrivals()
    assert seqs(arrivals.take_direct(message(1, ALICE), 0.0)) == [1]
    assert seqs(arrivals.take_direct(message(1, BOB), 0.0)) == [1]


def test_what_has_no_id_is_passed_on_each_time() -> None:
    arrivals = Arrivals()
    plain = Delivery(ALICE, b"frame")
    assert [arrivals.take_logged(plain) for _ in range(2)] == [[plain], [plain]]


def test_an_id_without_a_place_never_waits() -> None:
    arrivals = Arrivals()
    receipt = Delivery(ALICE, b"frame", "receipt-1")
    assert arrivals.take_direct(receipt, 0.0) == [receipt]
    assert arrivals.take_logged(receipt) == []


def test_a_message_waits_for_the_one_before_it() -> None:
    arrivals = Arrivals()
    arrivals.take_direct(message(1), 0.0)
    assert arrivals.take_direct(message(3), 0.0) == []
    assert arrivals.take_direct(message(4), 0.0) == []
    assert seqs(arrivals.take_direct(message(2), 0.1)) == [2, 3, 4]
    assert arrivals.held == 0


def test_the_log_brings_what_the_direct_way_lost_and_frees_what_waits() -> None:
    arrivals = Arrivals()
    arrivals.take_direct(message(1), 0.0)
    arrivals.take_direct(message(3), 0.0)
    assert seqs(arrivals.take_logged(message(2))) == [2, 3]
    assert arrivals.take_logged(message(3)) == []


def test_the_first_that_is_known_of_a_conversation_waits_for_nothing() -> None:
    assert seqs(Arrivals().take_direct(message(7), 0.0)) == [7]


def test_the_first_message_of_a_new_conversation_waits_for_what_tells_of_it() -> None:
    arrivals = Arrivals()
    assert arrivals.take_direct(message(1, newcomer=True), 0.0) == []
    assert arrivals.take_direct(message(2, newcomer=True), 0.0) == []
    assert arrivals.take_logged(CREATED) == [CREATED, message(1, newcomer=True), message(2, newcomer=True)]
    assert arrivals.held == 0


def test_the_first_message_waits_for_nothing_once_the_log_has_told_of_the_conversation() -> None:
    arrivals = Arrivals()
    arrivals.take_logged(CREATED)
    assert seqs(arrivals.take_direct(message(1, newcomer=True), 0.0)) == [1]


def test_the_first_message_to_who_came_into_a_group_waits_until_the_log_brings_it() -> None:
    arrivals = Arrivals()
    assert arrivals.take_direct(message(8, newcomer=True), 0.0) == []
    # Sent when the newcomer was none any more: it still stands behind what waits.
    assert arrivals.take_direct(message(9), 0.0) == []
    assert arrivals.take_logged(JOINED) == [JOINED]
    assert seqs(arrivals.take_logged(message(8, newcomer=True))) == [8, 9]


def test_who_comes_back_into_a_group_is_told_so_before_its_messages() -> None:
    arrivals = Arrivals()
    arrivals.take_logged(message(3))
    assert arrivals.take_direct(message(8, newcomer=True), 0.0) == []
    assert arrivals.take_logged(JOINED) == [JOINED]
    assert seqs(arrivals.take_logged(message(8, newcomer=True))) == [8]


def test_the_first_message_waits_no_longer_than_others() -> None:
    arrivals = Arrivals()
    arrivals.take_direct(message(1, newcomer=True), 0.0)
    assert seqs(arrivals.expire(HOLD_S)) == [1]
    assert arrivals.take_logged(CREATED) == [CREATED]


def test_conversations_do_not_wait_for_each_other() -> None:
    arrivals = Arrivals()
    arrivals.take_direct(message(1), 0.0)
    arrivals.take_direct(message(3), 0.0)
    assert seqs(arrivals.take_direct(message(3, conversation="c2"), 0.0)) == [3]


def test_nothing_waits_for_longer_than_its_time() -> None:
    arrivals = Arrivals()
    arrivals.take_direct(message(1), 0.0)
    arrivals.take_direct(message(3), 0.0)
    arrivals.take_direct(message(4), HOLD_S / 2)
    assert arrivals.next_expiry() == HOLD_S
    assert arrivals.expire(HOLD_S / 2) == []
    assert seqs(arrivals.expire(HOLD_S)) == [3, 4]
    assert arrivals.next_expiry() is None
    # What was missing is not taken for known.
    assert seqs(arrivals.take_logged(message(2))) == [2]


def test_what_the_log_leaves_out_is_not_waited_for() -> None:
    arrivals = Arrivals()
    arrivals.take_direct(message(1), 0.0)
    arrivals.take_direct(message(3), 0.0)
    assert seqs(arrivals.take_logged(message(4))) == [3, 4]


def test_without_room_nothing_waits() -> None:
    arrivals = Arrivals(held_limit=1)
    arrivals.take_direct(message(1), 0.0)
    assert arrivals.take_direct(message(3), 0.0) == []
    assert seqs(arrivals.take_direct(message(5), 0.0)) == [5]


def test_what_was_not_passed_on_after_all_is_passed_on_the_next_time() -> None:
    arrivals = Arrivals()
    arrivals.take_direct(message(1), 0.0)
    arrivals.forget(message(1))
    assert seqs(arrivals.take_logged(message(1))) == [1]


def test_one_that_waits_and_comes_again_is_passed_on_once() -> None:
    arrivals = Arrivals(held_limit=1)
    arrivals.take_direct(message(1), 0.0)
    assert arrivals.take_direct(message(3), 0.0) == arrivals.take_direct(message(3), 0.0) == []
    assert seqs(arrivals.take_direct(message(2), 0.0)) == [2, 3]


def test_after_an_assignment_nothing_is_known() -> None:
    arrivals = Arrivals()
    arrivals.take_direct(message(1), 0.0)
    arrivals.take_direct(message(3), 0.0)
    arrivals.clear()
    assert arrivals.held == 0
    assert seqs(arrivals.take_logged(message(1))) == [1]


def test_the_memory_is_bounded_and_the_newest_stay() -> None:
    recent: Recent[int, int] = Recent(10)
    for number in range(1_000):
        recent.put(number, number)
        assert all(recent.get(kept) == kept for kept in range(max(0, number - 9), number + 1))
        assert len(recent) <= 20


@dataclass
class Life:
    """The messages 1 to `count` of one conversation on their way to one person, through replicas that come and go.

    The direct way takes from the front or from further behind (reordered), loses, and repeats; the log is in order, may
    go back (a relay or a consumer that died), but leaves nothing out.
    """

    arrivals: Arrivals
    count: int
    now: float = 0.0
    logged: int = 0
    told: list[int] = field(default_factory=list)
    # Since the last move, each must come once at most.
    since_move: list[int] = field(default_factory=list)
    on_the_way: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.on_the_way = list(range(1, self.count + 1))

    def pass_on(self, deliveries: list[Delivery]) -> None:
        self.told += seqs(deliveries)
        self.since_move += seqs(deliveries)

    def direct(self, behind: int) -> None:
        if self.on_the_way:
            seq = self.on_the_way.pop(min(behind, len(self.on_the_way) - 1))
            self.pass_on(self.arrivals.take_direct(message(seq), self.now))

    def lose(self, behind: int) -> None:
        if self.on_the_way:
            self.on_the_way.pop(min(behind, len(self.on_the_way) - 1))

    def repeat(self, seq: int) -> None:
        if 0 < seq <= self.count:
            self.pass_on(self.arrivals.take_direct(message(seq), self.now))

    def log(self, records: int) -> None:
        for seq in range(self.logged + 1, min(self.logged + records, self.count) + 1):
            self.pass_on(self.arrivals.take_logged(message(seq)))
            self.logged = seq

    def go_back(self, records: int) -> None:
        self.logged = max(0, self.logged - records)

    def wait(self, thirds: int) -> None:
        self.now += thirds * HOLD_S / 3
        self.pass_on(self.arrivals.expire(self.now))

    def move(self, _: int) -> None:
        self.arrivals.clear()
        self.since_move = []


STEPS = (Life.direct, Life.direct, Life.lose, Life.repeat, Life.log, Life.go_back, Life.wait, Life.move)


@given(
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 12)), max_size=120),
    st.integers(0, 12),
    st.integers(0, 4),
)
def test_whatever_is_lost_late_or_moved_all_comes_and_once_between_moves(
    steps: list[tuple[Callable[[Life, int], None], int]], count: int, held_limit: int
) -> None:
    life = Life(Arrivals(held_limit=held_limit), count)
    for step, number in steps:
        step(life, number)
        assert len(life.since_move) == len(set(life.since_move))
        assert life.arrivals.held <= held_limit
    life.log(count)
    life.wait(3)
    assert set(life.told) == set(range(1, count + 1))
    assert life.arrivals.held == 0
    assert len(life.since_move) == len(set(life.since_move))


@given(st.permutations(range(2, 12)), st.sets(st.integers(2, 11)))
def test_within_the_time_all_come_in_order_whatever_the_direct_way_reorders_or_loses(
    order: list[int], lost: set[int]
) -> None:
    life = Life(Arrivals(), 11)
    life.repeat(1)
    for seq in order:
        if seq not in lost:
            life.repeat(seq)
    life.log(11)
    assert life.told == list(range(1, 12))


@dataclass
class NewDevice:
    """What a device does with a conversation that it does not know yet: whatever it cannot place, it asks Sync for."""

    began: Delivery
    base: int
    told: list[Delivery] = field(default_factory=list)
    syncs: int = 0

    def read(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            knows = self.began in self.told
            if delivery != self.began and not (knows and delivery.place and delivery.place.number == self.base + 1):
                self.syncs += 1
            self.base += delivery != self.began
            self.told.append(delivery)


@given(
    st.sampled_from((CREATED, JOINED)),
    st.integers(0, 40),
    st.permutations(range(1, 9)),
    st.lists(st.sampled_from(("direct", "repeat", "log")), max_size=40),
    st.sets(st.integers(1, 8)),
)
def test_a_new_conversation_is_told_before_its_messages_however_the_two_ways_are_mixed(
    began: Delivery, base: int, order: list[int], steps: list[str], lost: set[int]
) -> None:
    base = 0 if began == CREATED else base
    messages = {seq: message(base + seq, newcomer=True) for seq in range(1, 9)}
    log = [began, *messages.values()]
    arrivals, device = Arrivals(), NewDevice(began, base)
    direct = [messages[seq] for seq in order if seq not in lost]
    came: list[Delivery] = []
    for step in [*steps, *["log"] * len(log)]:
        if step == "log" and log:
            device.read(arrivals.take_logged(log.pop(0)))
        elif step == "direct" and direct:
            came.append(direct.pop(0))
            device.read(arrivals.take_direct(came[-1], 0.0))
        elif step == "repeat" and came:
            device.read(arrivals.take_direct(came[0], 0.0))
    assert device.told == [began, *messages.values()]
    assert device.syncs == 0
    assert arrivals.held == 0
