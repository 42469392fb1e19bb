"""What is printed of notices to sleeping devices."""

from __future__ import annotations

from datetime import UTC, datetime

from parley.notifications.v1 import service_pb2 as api

from services.ops.core import outward


def test_notices_that_were_given_up_are_shown_without_what_is_in_them() -> None:
    time = datetime(2026, 1, 1, 12, tzinfo=UTC)
    lines = outward.given_up_notices([outward.GivenUpNotice("fcm", "ann", "phone-01", time, 3, 0)])
    assert lines[1].split() == ["2026-01-01T12:00:00+00:00", "fcm", "ann", "phone-01", "3", "no", "answer"]
    assert outward.given_up_notices([]) == ["none"]


def test_the_providers_of_the_command_line_are_those_of_the_api() -> None:
    known = [name.removeprefix("PROVIDER_").lower() for name, _ in api.Provider.items()]
    assert ("unspecified", *outward.PROVIDERS) == tuple(known)
