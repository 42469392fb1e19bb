"""Each service is replaced by the real controllers, while two talk and two write."""

from __future__ import annotations

import time

from loadtests.cluster.place import Outcome, Place, Workload, uids
from loadtests.witnesses import Noticed, watching

# A gateway sends its devices away over a minute, and has two for it.
_GONE_WITHIN_S = 200.0


async def replace_each(place: Place, only: tuple[str, ...] = ()) -> Outcome:
    """All workloads of Parley, or `only` these, one after the other."""
    noticed = Noticed()
    replaced: dict[str, dict[str, float]] = {}
    outcome = Outcome({"replaced": replaced}, noticed.errors)
    try:
        async with watching(place.edge, noticed) as witnesses:
            for workload in await place.workloads():
                if only and workload.name not in only:
                    continue
                began_s = time.monotonic()
                witnesses.begin()
                await replace(place, workload)
                took = {"seconds": round(time.monotonic() - began_s, 1)}
                replaced[workload.name] = took | await witnesses.look(f"{workload.name} was replaced")
                place.say(f"{workload.name}: {replaced[workload.name]}")
    finally:
        outcome.figures |= {"messages": noticed.messages, "client_stalled_s": noticed.client_stalled_s}
    return outcome


async def replace(place: Place, workload: Workload) -> None:
    """New pods, ready, and none of the old ones left. Raises ClusterError."""
    before = uids(await place.pods(workload))
    await place.kubectl.run("rollout", "restart", workload.reference, "-n", workload.namespace)
    await place.rolled_out(workload)

    async def are_gone() -> bool:
        return not uids(await place.pods(workload)) & before

    await place.until(f"the old pods of {workload.name} end", are_gone, _GONE_WITHIN_S)
