"""Who gets which picture of a receiver's bandwidth: the lowest for all first, then better ones by what is asked for."""

from collections.abc import Sequence
from typing import Final, NamedTuple

# A better picture is taken only when this much more than it needs is there. Higher: fewer switches. Lower: sooner.
UPGRADE_MARGIN: Final = 1.15
# The same for who has just lost a picture that was too much. Higher: a picture that would fit now is not tried.
# Lower: one that does not quite fit comes and goes, with a freeze each time.
CAUTIOUS_MARGIN: Final = 1.5


class Demand(NamedTuple):
    """One video slot: the rates of its pictures from the lowest (bit/s, rising), and which it has now (None: none)."""

    rates: tuple[float, ...]
    current: int | None
    # What the receiver wants it for: pinned and large first. The greater is served before the less.
    weight: int = 0
    # What it takes to get a better one.
    margin: float = UPGRADE_MARGIN


class Allocation(NamedTuple):
    """`places[i]` is the picture of demand i, None when not even the lowest fits.

    `needed_bps` is what it takes in all, with the margin, for the next slot to get better; 0 when nothing would.
    """

    places: list[int | None]
    used_bps: float
    needed_bps: float


def allocate(demands: Sequence[Demand], budget_bps: float) -> Allocation:
    """Share the budget for video. The first by weight always gets its lowest picture: a call shows somebody.

    Among equals the cheap come first, or one that sends far too much would leave nothing for all the others.
    """
    order = sorted(range(len(demands)), key=lambda place: (-demands[place].weight, demands[place].rates[:1]))
    places: list[int | None] = [None] * len(demands)
    used = needed = 0.0
    for rank, place in enumerate(order):
        rates = demands[place].rates
        if not rates:
            continue
        if rank == 0 or used + rates[0] * _margin(demands[place], 0) <= budget_bps:
            places[place] = 0
            used += rates[0]
        elif not needed:
            needed = (used + rates[0]) * demands[place].margin
    improved = True
    while improved:
        improved = False
        for place in order:
            step = _step_up(demands[place], places[place], used)
            if step is None:
                continue
            total, with_margin = step
            if with_margin <= budget_bps:
                used = total
                places[place] = (places[place] or 0) + 1
                improved = True
            elif not needed:
                needed = max(with_margin, total * demands[place].margin)
    return Allocation(places, used, needed)


def _step_up(demand: Demand, held: int | None, used: float) -> tuple[float, float] | None:
    """What the next better picture makes of the sum, without and with the margin; None when there is none."""
    if held is None or held + 1 >= len(demand.rates):
        return None
    total = used - demand.rates[held] + demand.rates[held + 1]
    return total, total * _margin(demand, held + 1)


def _margin(demand: Demand, place: int) -> float:
    return 1.0 if demand.current is not None and place <= demand.current else demand.margin
