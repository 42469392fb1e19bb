"""The queries of rules, dashboards and the adapter, and the metrics that they speak of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY

from deploy.documents import read_yaml

FOLDER = Path(__file__).parent
RULE_FILES = ("alerts.yaml", "slos.yaml")
_SERVICES = ("messaging", "presence", "gateway", "signaling", "webhooks", "push", "previews", "sfu", "web")
METRICS = ("services.runtime.observability.metrics", *(f"services.{service}.metrics" for service in _SERVICES))
# Prometheus's own, and labels that the scrape adds.
OWN_METRICS = {"up"}
_UPSTREAM, _DOWNSTREAM = {"envoy_cluster_name"}, {"envoy_http_conn_manager_prefix"}
# Envoy's, with their labels: what is spoken of here. tests/integration/apart/test_edge.py finds each at a running edge.
EDGE_METRICS = {
    "envoy_cluster_membership_healthy": _UPSTREAM,
    "envoy_cluster_upstream_cx_connect_fail": _UPSTREAM,
    "envoy_cluster_upstream_rq_time_bucket": _UPSTREAM,
    "envoy_cluster_upstream_rq_xx": _UPSTREAM | {"envoy_response_code_class"},
    "envoy_http_downstream_cx_active": _DOWNSTREAM,
    "envoy_http_downstream_rq_active": _DOWNSTREAM,
    "envoy_http_downstream_rq_overload_close": _DOWNSTREAM,
    "envoy_http_jwt_authn_denied": _DOWNSTREAM,
    "envoy_http_local_rate_limit_rate_limited": {"envoy_local_http_ratelimit_prefix"},
    "envoy_overload_envoy_resource_monitors_fixed_heap_pressure": set[str](),
    "envoy_overload_envoy_resource_monitors_global_downstream_max_connections_pressure": set[str](),
    "envoy_server_days_until_first_cert_expiring": set[str](),
}
SCRAPE_LABELS = {"job", "instance", "namespace", "pod", "le"}

_WORDS = re.compile(
    r"\b(by|without|on|ignoring|and|or|unless|offset|bool|sum|min|max|avg|count|rate|increase|vector|scalar"
    r"|histogram_quantile)\b"
)
_SELECTOR = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{(?P<labels>[^}]*)\}")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\((?P<labels>[^)]*)\)")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def groups() -> list[dict[str, Any]]:
    """The groups of all rules, in Prometheus's own form."""
    return [group for name in RULE_FILES for group in read_yaml((FOLDER / name).read_text())["spec"]["groups"]]


def rules() -> list[dict[str, Any]]:
    """All recording and alerting rules."""
    return [rule for group in groups() for rule in group["rules"]]


@dataclass(frozen=True)
class Target:
    """One query of a panel. `legend` is Grafana's template, with the labels in double braces."""

    expr: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """One panel of a dashboard; `unit` is Grafana's name for it."""

    dashboard: str
    title: str
    unit: str
    targets: tuple[Target, ...]


def panels() -> Iterator[Panel]:
    """The panels of all dashboards."""
    for path in sorted((FOLDER / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            targets = tuple(Target(target["expr"], target.get("legendFormat", "")) for target in panel["targets"])
            yield Panel(path.stem, panel["title"], panel["fieldConfig"]["defaults"].get("unit", ""), targets)


def queries() -> Iterator[tuple[str, str]]:
    """Where each query stands, and the query."""
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in panels():
        for target in panel.targets:
            yield f"{panel.dashboard}: {panel.title}", target.expr


def declared() -> dict[str, set[str]]:
    """Every series that a service declares in its metrics.py, and those of the edge, with their labels."""
    for module in METRICS:
        import_module(module)
    found: dict[str, set[str]] = dict(EDGE_METRICS)
    # prometheus_client tells the labels of a metric that was never used by its own attributes only.
    for collector, names in REGISTRY._collector_to_names.items():
        labels = set(getattr(collector, "_labelnames", ()))
        # Counters and histograms also claim their bare names, under which nothing is ever exposed.
        bare = {getattr(collector, "_name", "")} if getattr(collector, "_type", "gauge") != "gauge" else set()
        found.update(dict.fromkeys(set(names) - bare, labels))
    return found


def metrics_of(query: str) -> set[str]:
    """The names of the metrics in a query."""
    bare = re.sub(r'"[^"]*"', "", query)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", bare)
    bare = _WORDS.sub(" ", _GROUPING.sub(" ", bare))
    return {name for name in _NAME.findall(bare) if not name.isdigit()}


def faults(where: str, query: str, known: dict[str, set[str]], recorded: set[str]) -> Iterator[str]:
    """Metrics and labels that nobody declares."""
    names = metrics_of(query)
    for name in sorted(names - known.keys() - recorded - OWN_METRICS):
        yield f"{where}: there is no metric {name}"
    for selector in _SELECTOR.finditer(query):
        labels = set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", selector["labels"]))
        allowed = known.get(selector["name"], set()) | SCRAPE_LABELS
        yield from (f"{where}: {selector['name']} has no label {label}" for label in sorted(labels - allowed))
    available = set(SCRAPE_LABELS).union(*(known.get(name, set()) for name in names))
    if names & recorded:
        return
    for grouping in _GROUPING.finditer(query):
        labels = {label.strip() for label in grouping["labels"].split(",")}
        yield from (f"{where}: none of its metrics has a label {label}" for label in sorted(labels - available))
