"""What breaks, is drained or is set wrong: a container, the node, a migration, a setting. No message goes with it."""

from __future__ import annotations

import asyncio
import copy
import time

from deploy.cluster.errors import ClusterError
from deploy.cluster.images import ctr
from deploy.cluster.layout import NODE
from deploy.k8s.objects import Object, find
from loadtests.cluster.place import OURS, Outcome, Place, Workload, judged, restarts, uids

# A call goes on without them. Of the others: a media worker's death cuts its calls, the edge's is like a gateway's.
KILLED = ("messaging", "presence", "gateway", "signaling")
# With a setting that cannot be read; the old pods must serve on.
MISSET = {"messaging": "PARLEY_DRAIN_GRACE_S", "gateway": "PARLEY_DRAIN_GRACE_S"}
# For how long the new pod is given its chance.
_STUCK_S = 40
_AGAIN_WITHIN_S = 120.0
# As the base has it, for sites with more than one node: dev lets the only pod go first.
_CAREFUL = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
# A database of its own for a migration that cannot go through: a table is there already that a later one makes.
_SCRATCH, _TABLE, _JOB = "parley_halfway", "held_messages", "migrate-halfway"
_MIGRATION_WITHIN_S = 90.0
_PSQL = ("exec", "-n", "parley", "stand-in-postgres-0", "--", "psql", "-qtA", "-h", "/data", "-U", "postgres")


async def killed(place: Place, outcome: Outcome) -> None:
    """The kubelet starts again what was killed."""
    async with judged(place, outcome) as witnesses:
        for name in KILLED:
            workload = await place.workload(name)
            before = restarts(await place.pods(workload))
            witnesses.begin()
            await _kill(place, workload)

            async def is_back(workload: Workload = workload, before: int = before) -> bool:
                pods = await place.pods(workload)
                return restarts(pods) > before and all(map(_is_ready, pods))

            took_s = await place.until(f"{name} is started again", is_back, _AGAIN_WITHIN_S)
            figures = await witnesses.look(f"{name} was killed")
            outcome.note(name, {"seconds": took_s, **figures}, place.say)


async def drained(place: Place, outcome: Outcome) -> None:
    """All of Parley's pods are evicted, as budgets allow, and come back when the node takes pods again. Without a call:
    both its workers are on this one node."""
    async with judged(place, outcome, call=False) as witnesses:
        began_s = time.monotonic()
        witnesses.begin()
        words = ("--pod-selector", OURS, "--delete-emptydir-data", "--ignore-daemonsets", "--timeout=400s")
        try:
            said = await place.kubectl.run("drain", NODE, *words)
            empty_s = time.monotonic() - began_s
            left = [one.name for one in await place.workloads() if any(map(_is_ready, await place.pods(one)))]
        finally:
            await place.kubectl.run("uncordon", NODE)
        for one in await place.workloads():
            await place.rolled_out(one)
        outcome.figures |= await witnesses.look("the node was drained")
    outcome.figures |= {"evicted": said.count("evicted"), "empty_s": round(empty_s, 1)}
    outcome.figures["seconds"] = round(time.monotonic() - began_s, 1)
    outcome.errors += [f"{name} was still there after the drain" for name in left]


async def misset(place: Place, outcome: Outcome) -> None:
    """A setting that cannot be read: the rollout stands still, and nobody notices."""
    async with judged(place, outcome) as witnesses:
        for name, variable in MISSET.items():
            workload = await place.workload(name)
            before = uids(await place.pods(workload))
            witnesses.begin()
            try:
                await _set_wrong(place, workload, variable)
                words = ("status", workload.reference, "-n", workload.namespace, f"--timeout={_STUCK_S}s")
                went_through = (await place.kubectl.ask("rollout", *words)).status == 0
                serve_on = {one["metadata"]["uid"] for one in await place.pods(workload) if _is_ready(one)}
            finally:
                await place.kubectl.apply(_of(place, workload))
            await place.rolled_out(workload)
            outcome.note(name, await witnesses.look(f"{name} was set wrong"), place.say)
            if went_through or not before <= serve_on:
                outcome.errors.append(f"{name}: the wrong setting took down what ran")


async def migrated(place: Place, outcome: Outcome) -> None:
    """A migration fails half-way, again and again, until somebody mends what stands in its way; then all go through."""
    async with judged(place, outcome) as witnesses:
        witnesses.begin()
        await place.kubectl.run(*_PSQL, "-c", f"CREATE DATABASE {_SCRATCH} OWNER parley_messaging")
        try:
            await place.kubectl.run(*_PSQL, "-d", _SCRATCH, "-c", f"CREATE TABLE {_TABLE} (stray int)")
            await place.kubectl.apply([halfway(place.objects)])
            failed_s = await place.until("the migration fails twice", lambda: _has_failed(place), _MIGRATION_WITHIN_S)
            half = await _applied(place)
            await place.kubectl.run(*_PSQL, "-d", _SCRATCH, "-c", f"DROP TABLE {_TABLE}")
            await place.kubectl.run("wait", "--for=condition=complete", f"job/{_JOB}", "-n", "parley", "--timeout=200s")
            whole = await _applied(place)
        finally:
            await place.kubectl.run("delete", "job", _JOB, "-n", "parley", "--ignore-not-found", "--wait")
            await place.kubectl.run(*_PSQL, "-c", f"DROP DATABASE {_SCRATCH} WITH (FORCE)")
        outcome.figures |= await witnesses.look("a migration failed half-way")
    if not 0 < half < whole:
        outcome.errors.append(f"{half} of {whole} migrations were applied when one failed")
    outcome.figures |= {"failed_s": failed_s, "applied_half_way": half, "applied_in_the_end": whole}


def halfway(objects: list[Object]) -> Object:
    """Messaging's migrations as a Job for the scratch database."""
    given = find(objects, "Job", "parley", "migrate-messaging")
    assert given is not None, "messaging has migrations"
    job = copy.deepcopy(given)
    job["metadata"]["name"] = _JOB
    (container,) = job["spec"]["template"]["spec"]["containers"]
    for variable in container["env"]:
        if variable["name"] == "PARLEY_DATABASE_URL":
            variable["value"] = variable["value"].replace("/parley_messaging?", f"/{_SCRATCH}?")
    return job


async def _kill(place: Place, workload: Workload) -> None:
    pod = (await place.pods(workload))[0]
    name = pod["spec"]["containers"][0]["name"]
    (status,) = [one for one in pod["status"]["containerStatuses"] if one["name"] == name]
    task = status["containerID"].rpartition("/")[2]
    process = await asyncio.create_subprocess_exec(*ctr(place.layout), "tasks", "kill", "-s", "SIGKILL", task)
    if await process.wait():
        raise ClusterError(f"{workload.name} could not be killed")


async def _set_wrong(place: Place, workload: Workload, variable: str) -> None:
    (item,) = _of(place, workload)
    changed = copy.deepcopy(item)
    changed["spec"]["strategy"] = _CAREFUL
    for one in changed["spec"]["template"]["spec"]["containers"][0]["env"]:
        if one["name"] == variable:
            one["value"] = "never"
    await place.kubectl.apply([changed])


def _of(place: Place, workload: Workload) -> list[Object]:
    """As it was applied."""
    return [
        item
        for item in place.objects
        if item["kind"].lower() == workload.kind and item["metadata"]["name"] == workload.name
    ]


async def _has_failed(place: Place) -> bool:
    return restarts(await place.kubectl.get("pod", "-n", "parley", "-l", f"job-name={_JOB}")) > 1


async def _applied(place: Place) -> int:
    out = await place.kubectl.run(*_PSQL, "-d", _SCRATCH, "-c", "SELECT count(*) FROM schema_migrations")
    return int(out)


def _is_ready(pod: Object) -> bool:
    conditions: list[Object] = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
