"""What operators see of calls, as Prometheus reads it."""

from prometheus_client import REGISTRY

from services.signaling import metrics  # noqa: F401
from services.signaling.core.model import EndReason, MoveReason


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
