"""What is printed of webhooks."""

from datetime import UTC, datetime, timedelta

from services.ops.core import outward


def test_endpoints_of_webhooks_are_shown_with_what_waits() -> None:
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    lines = outward.webhook_endpoints(
        [
            outward.Endpoint("bots", ("message.*", "call.ended"), None, now - timedelta(minutes=5), 7, now, 2),
            outward.Endpoint("old", ("*",), now - timedelta(hours=1), now, 0, None, 0),
            outward.Endpoint("fresh", ("*",), None, None, 0, None, 0),
        ],
        now,
    )
    assert lines[1].split() == ["bots", "failing", "300", "7", "0", "2", "message.*,call.ended"]
    assert lines[2].split()[:3] == ["old", "disabled", "3600"]
    assert lines[3].split()[:3] == ["fresh", "well", "-"]
    assert outward.webhook_endpoints([], now) == ["no endpoints are configured"]


def test_webhooks_that_were_given_up_are_shown_without_what_is_in_them() -> None:
    time = datetime(2026, 1, 1, 12, tzinfo=UTC)
    lines = outward.given_up_webhooks([outward.GivenUpWebhook("id", "message.sent", "conversation:1", time, 3, 0)])
    assert lines[1].split()[-3:] == ["3", "no", "answer"]
