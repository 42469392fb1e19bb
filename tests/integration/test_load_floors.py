"""`loadtests.floors` at a tiny scale: each hop is taken, and its report has the promised shape."""

from __future__ import annotations

from dataclasses import replace

from loadtests.floors import job_of, probe
from tests.support.stack import RunningStack


async def test_each_hop_is_taken_and_tells_whose_cpu_it_took(stack: RunningStack) -> None:
    job = replace(job_of(stack.record, paced_s=0.2, full_s=0.2), warm_up=2)
    hops = await probe(job)
    assert {name: set(hop["paced"]["cpu_s_per_1000"]) for name, hop in hops.items()} == {
        "unary": {"server", "client"},
        "unary_behind_envoy": {"server", "envoy", "client"},
        "statement": {"postgres", "client"},
        "produce": {"broker", "client"},
        "produce_and_fetch": {"broker", "client"},
    }
    for hop in hops.values():
        for figures in hop.values():
            assert figures["count"] > 0
            assert 0 < figures["ms"]["p50"] <= figures["ms"]["p99"]
