"""A Prometheus of its own over an embedded stack: it scrapes each process and evaluates Parley's rules."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from deploy.embedded import probes
from deploy.embedded.errors import StartError
from deploy.embedded.logs import LogSink
from deploy.embedded.ports import Ports
from deploy.embedded.process import ManagedProcess, ProcessSpec
from deploy.embedded.record import StackRecord
from deploy.observability.queries import groups
from deploy.observability.scaling import quickened

HOST = "127.0.0.1"
# Raising it puts less load beside what is measured; lowering it shows drills sooner what happens.
SCRAPE_S = 1


@dataclass(frozen=True)
class Series:
    """One line of an answer: its labels, and (time in Unix seconds, value)."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


class Prometheus:
    """Its HTTP API. Raises aiohttp.ClientError, and ValueError for a query that it refuses."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def series(self, query: str, seconds: float, step_s: float = SCRAPE_S) -> list[Series]:
        """What the query gives over the last `seconds`; values that are not numbers are left out."""
        now = time.time()
        window = {"query": query, "start": str(now - seconds), "end": str(now), "step": str(step_s)}
        found = (await self._get("query_range", window))["result"]
        lines = (Series(one["metric"], tuple(_numbers(one["values"]))) for one in found)
        return [line for line in lines if line.points]

    async def targets(self) -> dict[str, bool]:
        """Whether each process answered its last scrape, by name."""
        active = (await self._get("targets", {"state": "active"}))["activeTargets"]
        return {target["labels"]["pod"]: target["health"] == "up" for target in active}

    async def rules(self) -> dict[str, str]:
        """The health of each rule by name: `ok`, `unknown` until it was evaluated, or `err`."""
        found = (await self._get("rules", {}))["groups"]
        return {rule["name"]: rule["health"] for group in found for rule in group["rules"]}

    async def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        alerts = (await self._get("alerts", {}))["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    async def _get(self, what: str, parameters: Mapping[str, str]) -> Any:
        async with self._session.get(f"{self._url}/api/v1/{what}", params=parameters) as response:
            answer = await response.json()
        if answer["status"] != "success":
            raise ValueError(f"{what}: {answer['error']}")
        return answer["data"]


@asynccontextmanager
async def running_prometheus(record: StackRecord, folder: Path, factor: int) -> AsyncIterator[Prometheus]:
    """Prometheus over the stack for the length of the block, its rules quickened by `factor`. Raises StartError."""
    await asyncio.to_thread(_prepare, record, folder, factor)
    port = Ports({}).tcp("prometheus")
    url = f"http://{HOST}:{port}"
    sink = LogSink(folder, None)
    process = ManagedProcess(_spec(folder, port, url), sink)
    try:
        await process.start()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            yield Prometheus(session, url)
    finally:
        await process.stop()
        sink.close()


def _prepare(record: StackRecord, folder: Path, factor: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": quickened(groups(), factor)}))
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(_config(record)))
    shutil.rmtree(folder / "data", ignore_errors=True)


def _spec(folder: Path, port: int, url: str) -> ProcessSpec:
    return ProcessSpec(
        name="prometheus",
        command=(
            *(str(_binary()), f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'data'}"),
            *(f"--web.listen-address={HOST}:{port}", "--log.level=warn"),
        ),
        ready=probes.http(f"{url}/-/ready"),
    )


def _binary() -> Path:
    """Debian's package has it beside promtool, which `.ci/promtool` brings."""
    promtool = os.environ.get("PARLEY_PROMTOOL") or shutil.which("promtool")
    beside = Path(promtool).with_name("prometheus") if promtool else None
    if beside is None or not beside.exists():
        raise StartError("There is no prometheus beside promtool: run `make observe-check`.")
    return beside


def _config(record: StackRecord) -> dict[str, object]:
    scrapes = [
        {
            "job_name": name,
            "static_configs": [{"targets": [address], "labels": {"pod": name}}],
            "relabel_configs": [{"target_label": "job", "replacement": name.partition("-")[0]}],
        }
        for name, address in record.metrics_addresses.items()
        if name in record.pids
    ]
    every = f"{SCRAPE_S}s"
    return {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": ["rules.yaml"],
        "scrape_configs": scrapes,
    }


def _numbers(values: list[tuple[float, str]]) -> list[tuple[float, float]]:
    return [(float(at), float(value)) for at, value in values if value not in ("NaN", "+Inf", "-Inf")]
