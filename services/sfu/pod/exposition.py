"""The metrics of a pod: its own and those of each worker, told apart by the label `worker`."""

from collections.abc import Iterable, Iterator, Sequence
from urllib.request import Request, urlopen

from prometheus_client import REGISTRY, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from services.sfu.pod.config import WorkerSpec

# What the pod's own process is called.
SUPERVISOR = "pod"
# How long a worker may take to give its metrics. Raising it lets a worker that hangs hold up the whole answer; lowering
# it leaves a busy one out.
TIMEOUT_S = 2.0


class WorkerCollector(Collector):
    """Asks each worker when it is asked itself. A worker that does not answer is left out."""

    def __init__(self, workers: Sequence[WorkerSpec]) -> None:
        self._workers = workers

    def collect(self) -> Iterable[Metric]:
        """All families, each once."""
        merged: dict[str, Metric] = {}
        _merge(merged, filter(_is_own, REGISTRY.collect()), SUPERVISOR)
        for index, worker in enumerate(self._workers):
            _merge(merged, _fetch(worker.metrics_address), str(index))
        return merged.values()


def _is_own(family: Metric) -> bool:
    """Whether the supervisor counts it: a worker's metrics exist in its process too, and stay 0."""
    return not family.name.startswith("sfu_") or family.name == "sfu_worker_restarts"


def _merge(merged: dict[str, Metric], families: Iterable[Metric], worker: str) -> None:
    for family in families:
        whole = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type, family.unit))
        whole.samples += [sample._replace(labels={**sample.labels, "worker": worker}) for sample in family.samples]


def _fetch(address: str) -> Iterator[Metric]:
    request = Request(f"http://{address}/metrics", headers={"Accept": "application/openmetrics-text"})
    try:
        with urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310 - an address of our own making
            text = response.read().decode()
        yield from text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    except (OSError, ValueError):
        # It is starting, or has just died; `sfu_worker_restarts_total` tells of that.
        return
