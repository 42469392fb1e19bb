"""Rules, dashboards and runbooks speak of what is there. `make k8s-check` lets promtool test the rules themselves."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from deploy.documents import read_yaml, read_yamls
from deploy.observability.queries import FOLDER, declared, faults, metrics_of, panels, queries, rules

KNOWN = declared()
RECORDED = {rule["record"] for rule in rules() if "record" in rule}
# Services of which no dashboard shows anything of their own, and why.
UNSEEN = {"web": "it serves files: the edge counts its answers"}
ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def runbook(alert: str) -> str:
    return Path(ALERTS[alert]["annotations"]["runbook_url"]).name


def test_every_query_names_metrics_and_labels_that_a_service_declares() -> None:
    found = [fault for where, query in queries() for fault in faults(where, query, KNOWN, RECORDED)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "query",
    [
        "sum(gateway_device)",
        "rate(sfu_joins[5m])",
        'sum(rate(sfu_joins_total{result="ok"}[5m]))',
        "sum by (code) (rate(grpc_server_handled_total[5m]))",
        "parley:nothing:ratio_rate5m > 1",
        "histogram_quantile(0.5, rate(sfu_rtt_bucket[5m]))",
    ],
)
def test_a_metric_or_label_that_nobody_declares_is_found(query: str) -> None:
    assert list(faults("seeded", query, KNOWN, RECORDED))


def test_the_metrics_of_a_query_are_told_from_its_functions_and_labels() -> None:
    query = 'sum by (le, group) (rate(a_total{topic=~"x|y"}[5m])) / on (pod) max(b:c:d offset 5m) > 0.5 or vector(0)'
    assert metrics_of(query) - {"m"} == {"a_total", "b:c:d"}


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_has_a_severity_and_a_runbook_that_says_what_to_do(alert: str) -> None:
    text = (FOLDER / "runbooks" / runbook(alert)).read_text()
    assert alert in text.splitlines()[0]
    for heading in ("## How to tell", "## What to do", "## How to know that it is over"):
        assert heading in text
    assert ALERTS[alert]["labels"]["severity"] in ("page", "ticket")


def test_whoever_is_on_call_finds_every_alert_that_pages_on_one_page_and_no_other() -> None:
    page = (FOLDER.parents[1] / "docs" / "operations" / "on-call.md").read_text()
    listed = re.findall(r"^\| (Parley\w+) \|", page, re.MULTILINE)
    assert sorted(listed) == sorted(name for name, alert in ALERTS.items() if alert["labels"]["severity"] == "page")


def test_there_is_no_runbook_without_an_alert() -> None:
    assert {path.name for path in (FOLDER / "runbooks").iterdir()} == {runbook(alert) for alert in ALERTS}


def test_dashboards_are_all_installed_and_their_names_are_their_files() -> None:
    kustomization = read_yaml((FOLDER / "kustomization.yaml").read_text())
    files = {Path(name).name for name in kustomization["configMapGenerator"][0]["files"]}
    paths = list((FOLDER / "dashboards").glob("*.json"))
    assert files == {path.name for path in paths}
    for path in paths:
        dashboard = json.loads(path.read_text())
        assert dashboard["uid"] == path.stem
        assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_every_service_is_seen_on_a_dashboard_or_says_why_not() -> None:
    shown = {metric for panel in panels() for target in panel.targets for metric in metrics_of(target.expr)}
    files = (FOLDER.parents[1] / "services").glob("*/metrics.py")
    services = {path.parent.name for path in files}
    assert {one for one in services if any(metric.startswith(f"{one}_") for metric in shown)} == services - set(UNSEEN)


def test_the_autoscalers_metrics_are_those_that_the_adapter_offers() -> None:
    scalers = read_yamls((FOLDER.parent / "k8s" / "overlays" / "production" / "autoscaling.yaml").read_text())
    wanted = {m["pods"]["metric"]["name"] for item in scalers for m in item["spec"]["metrics"] if m["type"] == "Pods"}
    adapter = (FOLDER / "adapter.yaml").read_text()
    assert all(name in adapter for name in wanted)
    assert {"gateway_devices", "sfu_participants", "kafka_consumer_record_age_seconds_count"} <= KNOWN.keys()


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_has_a_story_in_which_it_fires_and_one_moment_in_which_it_does_not(alert: str) -> None:
    stories = read_yaml((FOLDER / "rules.test.yaml").read_text())["tests"]
    moments = [moment for story in stories for moment in story.get("alert_rule_test", [])]
    told = [moment["exp_alerts"] for moment in moments if moment["alertname"] == alert]
    assert any(told)
    assert not all(told)
