"""What the services counted between two looks, by the queries of deploy/observability/slos.yaml."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from deploy.embedded.record import StackRecord

_TIMEOUT_S = 10.0
# (name, labels) with its value, summed over the processes.
Key = tuple[str, frozenset[tuple[str, str]]]
Counted = Mapping[Key, float]

OUR_FAULTS = ("INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "UNKNOWN")
LEGS = ("uplink", "downlink")


async def scrape(record: StackRecord) -> Counted:
    """All that the services count now. A service that does not answer counts nothing."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S)) as session:
        names = [name for name in record.metrics_addresses if name != "edge" and name in record.pids]
        texts = await asyncio.gather(*(_text(session, record.metrics_addresses[name]) for name in names))
    counted: dict[Key, float] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                counted[key] = counted.get(key, 0.0) + sample.value
    return counted


async def _text(session: aiohttp.ClientSession, address: str) -> str:
    try:
        async with session.get(f"http://{address}/metrics") as answer:
            return await answer.text()
    except (aiohttp.ClientError, TimeoutError):
        return ""


def since(before: Counted, after: Counted) -> Counted:
    """What was counted between two looks; a process that began anew counts from 0."""
    return {key: max(value - before.get(key, 0.0), 0.0) for key, value in after.items()}


def total(counted: Counted, name: str, **labels: str) -> float:
    """The sum of a counter over the labels that are not given."""
    wanted = frozenset(labels.items())
    return sum(value for (known, of), value in counted.items() if known == name and wanted <= of)


def of_objectives(counted: Counted) -> dict[str, tuple[float, float]]:
    """(all, bad) by the group of slos.yaml; those of which nothing was counted are left out."""
    found: dict[str, Callable[[Counted], tuple[float, float]]] = {
        "slo-send": _sends,
        "slo-delivery": _deliveries,
        "slo-call-setup": _call_setups,
        "slo-call-quality": _call_quality,
    }
    figures = {group: figure(counted) for group, figure in found.items()}
    return {group: (everything, bad) for group, (everything, bad) in figures.items() if everything}


def _sends(counted: Counted) -> tuple[float, float]:
    name, method = "grpc_server_handled_total", "SendMessage"
    bad = _sum(total(counted, name, grpc_method=method, grpc_code=code) for code in OUR_FAULTS)
    return total(counted, name, grpc_method=method), bad


def _deliveries(counted: Counted) -> tuple[float, float]:
    labels = {"topic": "delivery.v1", "group": "presence"}
    everything = total(counted, "kafka_consumer_record_age_seconds_count", **labels)
    return everything, everything - total(counted, "kafka_consumer_record_age_seconds_bucket", **labels, le="1.0")


def _call_setups(counted: Counted) -> tuple[float, float]:
    failures = total(counted, "signaling_setup_failures_total")
    everything = total(counted, "signaling_answer_to_media_seconds_count")
    late = everything - total(counted, "signaling_answer_to_media_seconds_bucket", le="4.0")
    return everything + failures, late + failures


def _call_quality(counted: Counted) -> tuple[float, float]:
    everything = _sum(total(counted, "sfu_mos_count", leg=leg) for leg in LEGS)
    return everything, _sum(total(counted, "sfu_mos_bucket", leg=leg, le="3.5") for leg in LEGS)


def _sum(values: Iterable[float]) -> float:
    return float(sum(values))
