"""What operators see of calls, as Prometheus reads it."""

from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from services.signaling.core.model import CallState, EndReason, MoveReason
from services.signaling.metrics import PrometheusMetrics

METRICS = PrometheusMetrics()


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(
    ("measure", "name", "labels"),
    [
        (lambda: METRICS.call_answered(3.0), "signaling_ring_to_answer_seconds_count", {}),
        (lambda: METRICS.media_started(0.3), "signaling_answer_to_media_seconds_count", {}),
        (lambda: METRICS.move_completed(MoveReason.DRAIN, 0.2), "signaling_handoff_seconds_count", {"reason": "drain"}),
        *[
            (lambda reason=reason: METRICS.call_moved(reason), "signaling_handoffs_total", {"reason": reason.value})
            for reason in MoveReason
        ],
        *[
            (lambda reason=reason: METRICS.call_ended(reason), "signaling_calls_ended_total", {"reason": reason.value})
            for reason in EndReason
        ],
        *[
            (lambda stage=stage: METRICS.setup_failed(stage), "signaling_setup_failures_total", {"stage": stage})
            for stage in ("members", "placement", "join", "media")
        ],
    ],
)
def test_what_happens_is_counted_under_its_name(measure: Callable[[], None], name: str, labels: dict[str, str]) -> None:
    before = value(name, **labels)
    measure()
    assert value(name, **labels) == before + 1


def test_calls_are_counted_by_state_and_those_that_are_gone_are_nought() -> None:
    METRICS.calls_counted({CallState.RINGING: 2, CallState.ACTIVE: 3})
    assert (value("signaling_calls", state="ringing"), value("signaling_calls", state="active")) == (2, 3)
    METRICS.calls_counted({})
    assert (value("signaling_calls", state="ringing"), value("signaling_calls", state="active")) == (0, 0)


def test_every_reason_and_stage_is_there_before_it_happens_so_that_its_first_time_shows_in_a_rate() -> None:
    shown = {(sample.name, *sample.labels.values()) for family in REGISTRY.collect() for sample in family.samples}
    wanted = {
        *(("signaling_calls_ended_total", reason.value) for reason in EndReason),
        *(("signaling_handoffs_total", reason.value) for reason in MoveReason),
        *(("signaling_handoff_seconds_count", reason.value) for reason in MoveReason),
        *(("signaling_setup_failures_total", stage) for stage in ("members", "placement", "join", "media")),
    }
    assert wanted <= shown


def test_what_people_wait_for_falls_into_buckets_on_both_sides_of_the_aim() -> None:
    families = {family.name: family for family in REGISTRY.collect()}
    for name, aim_s in (
        ("signaling_ring_to_answer_seconds", 15.0),
        ("signaling_answer_to_media_seconds", 2.0),
        ("signaling_handoff_seconds", 1.0),
    ):
        bounds = {float(sample.labels["le"]) for sample in families[name].samples if sample.name.endswith("_bucket")}
        assert aim_s in bounds
        assert min(bounds) < aim_s < max(bounds - {float("inf")})
        assert families[name].documentation.endswith(".")
