"""What signaling's metrics measured in a test."""

from prometheus_client import Counter, Histogram

from services.signaling import metrics

COUNTERS = (metrics.SETUP_FAILURES, metrics.CALLS_ENDED, metrics.MOVES)
HISTOGRAMS = (metrics.RING_SECONDS, metrics.MEDIA_SECONDS, metrics.MOVE_SECONDS)


class Measured:
    """What was counted since this was made; the metrics are the process's."""

    def __init__(self) -> None:
        self._before = _read()

    @property
    def failures(self) -> dict[str, float]:
        """Calls that could not be set up, by stage."""
        return self._rises(metrics.SETUP_FAILURES)

    @property
    def ended(self) -> dict[str, float]:
        """Ended calls, by reason."""
        return self._rises(metrics.CALLS_ENDED)

    @property
    def moves(self) -> dict[str, float]:
        """Moves that began, by reason."""
        return self._rises(metrics.MOVES)

    @property
    def rings(self) -> tuple[float, float]:
        """How many were answered, and the seconds of all together."""
        return self._total(metrics.RING_SECONDS)

    @property
    def media(self) -> tuple[float, float]:
        """How many had media, and the seconds of all together."""
        return self._total(metrics.MEDIA_SECONDS)

    @property
    def handoffs(self) -> tuple[float, float]:
        """How many moves were completed, and the seconds of all together."""
        return self._total(metrics.MOVE_SECONDS)

    def _rises(self, counter: Counter) -> dict[str, float]:
        rises = self._since()
        return {label: value for (name, label), value in rises.items() if name == f"{_name(counter)}_total" and value}

    def _total(self, histogram: Histogram) -> tuple[float, float]:
        rises = self._since()
        count, total = (
            sum(value for (name, _), value in rises.items() if name == f"{_name(histogram)}_{suffix}")
            for suffix in ("count", "sum")
        )
        return count, total

    def _since(self) -> dict[tuple[str, str], float]:
        return {key: value - self._before.get(key, 0.0) for key, value in _read().items()}


def _name(metric: Counter | Histogram) -> str:
    (family,) = metric.collect()
    return str(family.name)


def _read() -> dict[tuple[str, str], float]:
    samples = [
        sample for metric in (*COUNTERS, *HISTOGRAMS) for family in metric.collect() for sample in family.samples
    ]
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for sample in samples
        if sample.name.endswith(("_total", "_count", "_sum"))
    }
