"""Whether one node has room for an overlay, and lets it be changed: what is asked for, counted as the scheduler does.

`make k8s-check` asks the same of the rendered overlay dev.
"""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest

from deploy.k8s import capacity
from deploy.k8s.capacity import SMALL_NODE, Room
from deploy.k8s.objects import Object, find, load_base

CONTAINER = {"name": "c", "image": "parley/web", "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}}}
STEP = {"maxSurge": 0, "maxUnavailable": 1}


def asking(cpu: str, **more: Any) -> Object:
    return {**copy.deepcopy(CONTAINER), "resources": {"requests": {"cpu": cpu, "memory": "1Mi"}}, **more}


def workload(kind: str = "Deployment", name: str = "web", spec: Object | None = None, **of_pod: Any) -> Object:
    template = {"metadata": {"labels": {"app.kubernetes.io/name": name}}, "spec": {"containers": [CONTAINER], **of_pod}}
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": "parley"},
        "spec": {"replicas": 1, "template": template, **(spec or {})},
    }


def cores(*objects: Object) -> Decimal:
    return sum((demand.cpu for demand in capacity.demands(list(objects))), Decimal(0))


def rolling(replicas: int = 1, **step: Any) -> Object:
    return workload(spec={"replicas": replicas, "strategy": {"rollingUpdate": step}})


def worker(name: str, port: int, replicas: int = 1) -> Object:
    ports = [
        {"name": f"media-{protocol}", "containerPort": port, "hostPort": port, "protocol": protocol}
        for protocol in ("UDP", "TCP")
    ]
    made = workload("StatefulSet", name, {"replicas": replicas}, containers=[{**CONTAINER, "ports": ports}])
    made["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"] = "sfu"
    return made


def test_all_replicas_and_the_pods_that_a_rollout_adds_are_counted() -> None:
    assert cores(rolling(3, **STEP)) == Decimal("0.3")
    assert cores(rolling(3, maxSurge=1, maxUnavailable=0)) == Decimal("0.4")
    # Of a share, the pods that are added are rounded up; a quarter is what is not said.
    assert cores(rolling(3, maxSurge="50%", maxUnavailable=0)) == Decimal("0.5")
    assert cores(workload()) == Decimal("0.2")
    assert cores(workload(spec={"strategy": {"type": "Recreate"}})) == Decimal("0.1")


def test_jobs_and_the_stores_of_the_operators_are_counted() -> None:
    requests = {"requests": {"cpu": "250m", "memory": "1Gi"}}
    pool = {"kind": "KafkaNodePool", "metadata": {"name": "all"}, "spec": {"replicas": 3, "resources": requests}}
    cluster = {"kind": "Cluster", "metadata": {"name": "db"}, "spec": {"instances": 2, "resources": requests}}
    assert cores(workload("Job")) == Decimal("0.1")
    assert cores(workload("Job", spec={"parallelism": 2})) == Decimal("0.2")
    assert cores(pool, cluster) == Decimal("1.25")


def test_init_containers_run_before_the_others_and_sidecars_beside_them() -> None:
    own = {"containers": [asking("100m")]}
    assert cores(workload("StatefulSet", **own, initContainers=[asking("50m"), asking("300m")])) == Decimal("0.3")
    assert cores(workload("StatefulSet", **own, initContainers=[asking("50m")])) == Decimal("0.1")
    sidecar = asking("20m", restartPolicy="Always")
    assert cores(workload("StatefulSet", **own, initContainers=[sidecar])) == Decimal("0.12")
    # The one that starts after a sidecar has it beside itself; the one before it has not.
    assert cores(workload("StatefulSet", **own, initContainers=[sidecar, asking("200m")])) == Decimal("0.22")
    assert cores(workload("StatefulSet", **own, initContainers=[asking("200m"), sidecar])) == Decimal("0.2")


def test_a_node_that_is_too_small_is_found_and_by_what() -> None:
    objects = [rolling(1, **STEP), workload("Job", "migrate")]
    enough = Room(cpu=Decimal("0.2"), memory=Decimal(2 * 2**30))
    assert not list(capacity.crowding(objects, enough))
    (found,) = capacity.crowding(objects, Room(cpu=Decimal("0.19"), memory=enough.memory))
    assert "0.2" in found
    assert "of cpu" in found
    (found,) = capacity.crowding(objects, Room(cpu=enough.cpu, memory=enough.memory - 1))
    assert "of memory" in found


def test_the_base_as_it_is_does_not_fit_on_the_small_node() -> None:
    """What dev asked for before its requests were those of one node: half of its pods stayed Pending."""
    assert any("of cpu" in line for line in capacity.crowding(load_base(), SMALL_NODE))


@pytest.mark.parametrize("step", [{"maxSurge": 1, "maxUnavailable": 0}, {"maxUnavailable": "50%"}, {}])
def test_a_pod_that_goes_only_when_another_has_come_is_found(step: Object) -> None:
    (found,) = capacity.standstill([rolling(1, **step)])
    assert "keeps its pod" in found


@pytest.mark.parametrize("strategy", [{"type": "Recreate"}, {"rollingUpdate": STEP}])
def test_a_pod_that_goes_first_is_not(strategy: Object) -> None:
    assert not list(capacity.standstill([workload(spec={"strategy": strategy})]))


def test_two_pods_with_one_port_of_the_node_are_found() -> None:
    assert not list(capacity.collisions([worker("sfu", 7800), worker("sfu-second", 7801)]))
    (found,) = capacity.collisions([worker("sfu", 7800, replicas=2)])
    assert "each of its pods" in found
    found_both = list(capacity.collisions([worker("sfu", 7800), worker("sfu-second", 7800)]))
    assert len(found_both) == 2, "UDP and TCP"


def test_one_media_worker_alone_is_found() -> None:
    assert list(capacity.refuge([worker("sfu", 7800)]))
    assert not list(capacity.refuge([worker("sfu", 7800), worker("sfu-second", 7801)]))
    base = load_base()
    assert not list(capacity.refuge(base))
    sfu = find(base, "StatefulSet", "parley-media", "sfu")
    assert sfu
    sfu["spec"]["replicas"] = 1
    assert list(capacity.refuge(base))
