"""The test of a cluster: its table of who reaches whom, and what it breaks, beside the manifests."""

from __future__ import annotations

import subprocess

from deploy.k8s.objects import Object, find, load_base, pods
from loadtests.cluster import broken, reach
from loadtests.cluster.place import restarts, uids, workload_of
from loadtests.witnesses import Acknowledged

BASE = load_base()
OURS = {
    pod.owner["metadata"]["name"] for pod in pods(BASE) if pod.labels.get("app.kubernetes.io/part-of") == "parley"
} - {pod.owner["metadata"]["name"] for pod in pods(BASE) if pod.owner["kind"] == "Job"}


def everything_as_it_should_be() -> dict[str, dict[str, bool]]:
    return {
        source: {target: target in reach.ALLOWED[source] for target in reach.TARGETS if target != source}
        for source in reach.SOURCES
    }


def test_every_service_is_in_the_table() -> None:
    assert reach.SOURCES.keys() >= OURS
    assert reach.ALLOWED.keys() == reach.SOURCES.keys()
    assert {target for row in reach.ALLOWED.values() for target in row} <= reach.TARGETS.keys()


def test_a_way_that_is_open_or_shut_against_the_table_is_named() -> None:
    found = everything_as_it_should_be()
    assert list(reach.differences(found)) == []
    found["nobody"]["postgres"] = True
    found["edge"]["gateway"] = False
    assert sorted(reach.differences(found)) == ["edge does not reach gateway", "nobody reaches postgres"]


def test_the_script_prints_the_addresses_that_answer() -> None:
    done = subprocess.run(
        ["bash", "-c", reach.script(["127.0.0.1:1"])], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == ""


def test_what_is_killed_and_set_wrong_is_there() -> None:
    assert {*broken.KILLED, *broken.MISSET} <= OURS
    for name, variable in broken.MISSET.items():
        item = find(BASE, "Deployment", "parley", name)
        assert item is not None
        assert variable in [one["name"] for one in item["spec"]["template"]["spec"]["containers"][0]["env"]]


def test_the_migration_that_fails_has_a_database_of_its_own() -> None:
    job = broken.halfway(BASE)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (url,) = [one["value"] for one in container["env"] if one["name"] == "PARLEY_DATABASE_URL"]
    assert "/parley_halfway?" in url
    assert "/parley_messaging?" not in url
    assert find(BASE, "Job", "parley", job["metadata"]["name"]) is None


def test_a_workload_is_found_by_its_selector() -> None:
    item = find(BASE, "StatefulSet", "parley-media", "sfu")
    assert item is not None
    workload = workload_of(item)
    assert (workload.reference, workload.selector) == ("statefulset/sfu", "app.kubernetes.io/name=sfu")


def test_pods_are_told_apart_and_their_restarts_counted() -> None:
    def pod(uid: str, *counts: int) -> Object:
        return {"metadata": {"uid": uid}, "status": {"containerStatuses": [{"restartCount": n} for n in counts]}}

    assert uids([pod("a"), pod("b")]) == {"a", "b"}
    assert restarts([pod("a", 1, 2), pod("b", 3), {"metadata": {"uid": "c"}, "status": {}}]) == 6


def test_the_longest_time_between_two_messages_is_told_once() -> None:
    times_s = iter((0.0, 0.1, 0.2, 2.7, 2.8, 2.8, 9.8))
    acknowledged = Acknowledged(lambda: next(times_s))
    for _ in range(4):
        acknowledged.append(("id", 1))
    assert acknowledged.take_longest_gap_s() == 2.5
    # It lasts.
    assert acknowledged.take_longest_gap_s() == 7.0
    assert len(acknowledged) == 4
