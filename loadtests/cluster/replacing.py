"""Each service is replaced by the real controllers, while two talk and two write."""

from __future__ import annotations

import time

from loadtests.cluster.place import Outcome, Place, Workload, judged, uids

# A gateway sends its devices away over a minute, and has two for it.
_GONE_WITHIN_S = 200.0


async def replace_each(place: Place, outcome: Outcome) -> None:
    """All workloads of Parley, one after the other."""
    async with judged(place, outcome) as witnesses:
        for workload in await place.workloads():
            began_s = time.monotonic()
            witnesses.begin()
            await replace(place, workload)
            took = {"seconds": round(time.monotonic() - began_s, 1)}
            figures = took | await witnesses.look(f"{workload.name} was replaced")
            outcome.note(workload.name, figures, place.say)


async def replace(place: Place, workload: Workload) -> None:
    """New pods, ready, and none of the old ones left. Raises ClusterError."""
    before = uids(await place.pods(workload))
    await place.kubectl.run("rollout", "restart", workload.reference, "-n", workload.namespace)
    await place.rolled_out(workload)

    async def are_gone() -> bool:
        return not uids(await place.pods(workload)) & before

    await place.until(f"the old pods of {workload.name} end", are_gone, _GONE_WITHIN_S)
