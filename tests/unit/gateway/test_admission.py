import pytest

from services.gateway.core.admission import (
    SharedStreamRate,
    StreamsPerAddress,
    network_of,
    spread_drain,
)
from services.gateway.core.errors import TooManyDevices, TooManyStreams, TypingTooOften
from services.gateway.rates import UserTypingRate


def delays(admission: SharedStreamRate, count: int, now: float, chance: float = 0.0) -> list[float]:
    """What each of so many streams is told; 0 for those let in."""
    told = []
    for _ in range(count):
        try:
            admission.admit(now, chance)
            told.append(0.0)
        except TooManyStreams as refusal:
            told.append(refusal.retry_delay_s)
    return told


def test_a_burst_is_let_in_and_then_the_rate_holds() -> None:
    admission = SharedStreamRate(per_s=10, burst=5)
    assert delays(admission, 6, now=0.0) == [0, 0, 0, 0, 0, pytest.approx(0.1)]
    assert delays(admission, 2, now=0.1)[0] == 0


def test_a_herd_is_told_to_come_back_one_after_the_other() -> None:
    admission = SharedStreamRate(per_s=10, burst=5)
    told = delays(admission, 105, now=0.0)[5:]
    assert told == sorted(told)
    assert told[-1] == pytest.approx(10.0)


def test_chance_adds_to_the_delay_and_never_takes_from_it() -> None:
    admission = SharedStreamRate(per_s=1, burst=1)
    assert delays(admission, 2, now=0.0, chance=1.0)[1] == pytest.approx(1.5)


def test_those_refused_long_ago_delay_nobody() -> None:
    admission = SharedStreamRate(per_s=10, burst=1)
    delays(admission, 101, now=0.0)
    assert delays(admission, 2, now=60.0) == [0, pytest.approx(0.1)]


def test_typing_has_a_pace_for_each_user() -> None:
    pace = UserTypingRate(per_s=2, burst=3)
    for _ in range(3):
        pace.admit("alice", 0.0)
    with pytest.raises(TypingTooOften) as refused:
        pace.admit("alice", 0.0)
    assert refused.value.retry_delay_s == pytest.approx(0.5)
    pace.admit("bob", 0.0)
    pace.admit("alice", 0.5)


def test_a_drain_spreads_the_reconnects_and_keeps_within_the_grace() -> None:
    plan = spread_drain(range(100), spread_s=20, within_s=4, chances=iter(lambda: 0.5, None))
    assert [session_id for _, session_id, _ in plan] == list(range(100))
    assert max(after_s for after_s, _, _ in plan) == 4
    returns = [leave.after_s + leave.retry_delay_s for _, _, leave in plan]
    assert returns == [pytest.approx(20 * (number + 0.5) / 100) for number in range(100)]


def test_an_address_has_its_share_and_no_more() -> None:
    shares = StreamsPerAddress(most=3)
    taken = [shares.enter("203.0.113.7") for _ in range(3)]
    with pytest.raises(TooManyDevices):
        shares.enter("203.0.113.7")
    shares.enter("203.0.113.8")
    shares.leave(taken[0])
    shares.enter("203.0.113.7")


def test_who_comes_past_the_edge_is_not_counted_by_address() -> None:
    shares = StreamsPerAddress(most=1)
    for address in ("", "", "no address"):
        shares.enter(address)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:1::7", "2001:db8:1:1::/64"),
        ("2001:db8:1:1:ffff:ffff:ffff:ffff", "2001:db8:1:1::/64"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("", ""),
        ("[::1]:80", ""),
    ],
)
def test_a_network_is_what_one_customer_has(address: str, network: str) -> None:
    assert network_of(address) == network
