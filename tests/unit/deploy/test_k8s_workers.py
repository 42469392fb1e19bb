"""Policies let signaling reach a media worker where it announces itself, alone in its pod or one of several."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from deploy.k8s.objects import Object, find, load_base
from deploy.k8s.workers import reached_by_signaling


def with_workers(count: int) -> list[Object]:
    objects = copy.deepcopy(load_base())
    (container,) = get(objects, "StatefulSet", "sfu", "parley-media")["spec"]["template"]["spec"]["containers"]
    (variable,) = [one for one in container["env"] if one["name"] == "PARLEY_SFU_WORKERS"]
    variable["value"] = str(count)
    return objects


def get(objects: list[Object], kind: str, name: str, namespace: str) -> Any:
    found = find(objects, kind, namespace, name)
    assert found is not None
    return found


def ranges(objects: list[Object]) -> list[Object]:
    """The ports of workers, in both policies."""
    sides = (("sfu", "parley-media", "ingress"), ("signaling", "parley", "egress"))
    rules = [rule for name, where, way in sides for rule in get(objects, "NetworkPolicy", name, where)["spec"][way]]
    return [port for rule in rules for port in rule.get("ports", []) if port.get("endPort") == 7002]


@pytest.mark.parametrize("count", [1, 2])
def test_all_workers_of_a_pod_are_reached(count: int) -> None:
    assert len(ranges(load_base())) == 2
    assert list(reached_by_signaling(with_workers(count))) == []


def test_a_worker_for_itself_has_the_pods_own_port() -> None:
    objects = with_workers(1)
    for port in ranges(objects):
        port["port"] = 7001
    assert [line.rpartition(" ")[2] for line in reached_by_signaling(objects)] == ["7000", "7000"]


def test_a_worker_more_than_the_policies_know_is_found_on_both_sides() -> None:
    found = list(reached_by_signaling(with_workers(3)))
    assert [line.partition("signaling")[2].split()[0] for line in found] == ["in", "out"]
    assert all(line.endswith("7003") for line in found)


def test_a_policy_that_names_somebody_else_lets_nobody_in() -> None:
    objects = with_workers(2)
    for rule in get(objects, "NetworkPolicy", "sfu", "parley-media")["spec"]["ingress"]:
        for peer in rule.get("from", []):
            peer["podSelector"] = {"matchLabels": {"app.kubernetes.io/name": "messaging"}}
    assert [line.rpartition(" ")[2] for line in reached_by_signaling(objects)] == ["7001", "7002"]
