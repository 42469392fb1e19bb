"""The command that migrates and ends; what it applies is tested in tests/integration/messaging/test_migrations.py."""

from __future__ import annotations

import socket

import pytest

from services.runtime.postgres.migrate import main


@pytest.mark.parametrize("arguments", [[], ["nobody"], ["gateway"], ["../messaging"], ["messaging", "presence"]])
def test_only_a_service_that_has_migrations_is_taken(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments, {}) == 2
    assert "usage" in capsys.readouterr().err


def test_a_setting_that_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["messaging"], {}) == 2
    assert "PARLEY_DATABASE_URL is not set" in capsys.readouterr().err


def test_a_database_that_is_away_is_a_failure_that_may_be_tried_again() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://parley@127.0.0.1:{taken.getsockname()[1]}/parley_messaging?sslmode=disable"
        assert main(["messaging"], {"PARLEY_DATABASE_URL": url}) == 1
