from __future__ import annotations

import pytest

from loadtests.floors import table
from loadtests.hop_floors import edge
from loadtests.hop_floors.hops import Hop
from loadtests.hop_floors.probe import figures_of, measure


def test_a_hop_is_told_by_its_percentiles_and_whose_cpu_it_took() -> None:
    figures = figures_of([2.0, 1.0, 3.0, 4.0], {"server": 0.002, "client": 0.004})
    assert figures == {
        "count": 4,
        "ms": {"p50": 2.0, "p99": 4.0},
        "cpu_s_per_1000": {"server": 0.5, "client": 1.0},
    }
    assert "server 0.50, client 1.00" in table({"unary": {"paced": figures, "full": figures}})


@pytest.mark.parametrize("interval_s", [0.0, 0.001])
async def test_each_time_that_a_hop_was_taken_counts(interval_s: float) -> None:
    taken = 0

    async def take(_: bytes) -> None:
        nonlocal taken
        taken += 1

    figures = await measure(Hop(take), 0.01, interval_s)
    assert figures["count"] == taken > 0
    assert set(figures["cpu_s_per_1000"]) == {"client"}


def test_the_bare_edge_leads_from_one_port_to_the_other() -> None:
    static = edge.config(1, 2)["static_resources"]
    [listener], [cluster] = static["listeners"], static["clusters"]
    assert listener["address"]["socket_address"]["port_value"] == 1
    [[end]] = [place["lb_endpoints"] for place in cluster["load_assignment"]["endpoints"]]
    assert end["endpoint"]["address"]["socket_address"]["port_value"] == 2
