"""Shares a receiver's bandwidth among its videos: the lowest layer choice for all, then better ones by request."""

from collections.abc import Sequence
from typing import NamedTuple

from services.sfu.core.selection.tunables import UPGRADE_MARGIN


class Demand(NamedTuple):
    """One video slot: the rates of its layer choices from the lowest (bit/s, rising), and which it has (None: none)."""

    rates: tuple[float, ...]
    current: int | None
    # What the receiver wants it for: pinned and large first. The greater is served before the less.
    weight: int = 0
    # What it takes to get a better one.
    margin: float = UPGRADE_MARGIN


class Allocation(NamedTuple):
    """`selected[i]` is the choice of demand i, None when not even the lowest fits.

    `needed_bps` is what it takes in all, with the margin, for the next slot to get better; 0 when nothing would.
    """

    selected: list[int | None]
    used_bps: float
    needed_bps: float


def allocate(demands: Sequence[Demand], budget_bps: float) -> Allocation:
    """Share the budget for video. The first by weight always gets its lowest choice: a call shows somebody.

    Among equals the cheap come first, or one that sends far too much would leave nothing for all the others.
    """
    order = sorted(range(len(demands)), key=lambda index: (-demands[index].weight, demands[index].rates[:1]))
    selected: list[int | None] = [None] * len(demands)
    used = needed = 0.0
    for rank, index in enumerate(order):
        rates = demands[index].rates
        if not rates:
            continue
        if rank == 0 or used + rates[0] * _margin(demands[index], 0) <= budget_bps:
            selected[index] = 0
            used += rates[0]
        elif not needed:
            needed = (used + rates[0]) * demands[index].margin
    improved = True
    while improved:
        improved = False
        for index in order:
            step = _step_up(demands[index], selected[index], used)
            if step is None:
                continue
            total, with_margin = step
            if with_margin <= budget_bps:
                used = total
                selected[index] = (selected[index] or 0) + 1
                improved = True
            elif not needed:
                needed = max(with_margin, total * demands[index].margin)
    return Allocation(selected, used, needed)


def _step_up(demand: Demand, held: int | None, used: float) -> tuple[float, float] | None:
    """What the next better choice makes of the sum, without and with the margin; None when there is none."""
    if held is None or held + 1 >= len(demand.rates):
        return None
    total = used - demand.rates[held] + demand.rates[held + 1]
    return total, total * _margin(demand, held + 1)


def _margin(demand: Demand, choice: int) -> float:
    return 1.0 if demand.current is not None and choice <= demand.current else demand.margin
