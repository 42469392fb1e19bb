import pytest

from services.sfu.core.session.budgets import MAX_MEDIA_PER_S, PACKET_COST, Budget


def test_budget_is_spent_and_comes_back_with_the_next_second() -> None:
    budget = Budget(10)
    assert [budget.spend(4, 1.0) for _ in range(4)] == [True, True, True, False]
    assert not budget.spend(1, 1.9)
    assert budget.spend(1, 2.0)


@pytest.mark.parametrize(("size", "packets"), [(80, 2841), (1200, 1250)])
def test_a_publisher_is_bounded_in_small_packets_and_in_large_ones(size: int, packets: int) -> None:
    budget = Budget(MAX_MEDIA_PER_S)
    assert sum(budget.spend(size + PACKET_COST, 1.0) for _ in range(10_000)) == packets
    assert packets * size * 8 < 13_000_000
