"""The example receiver takes what Parley signs, once, and nothing else."""

from __future__ import annotations

import importlib.util
import json
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest
from aiohttp.test_utils import TestClient, TestServer

from services.runtime.http.webhooks import signed_headers
from tests.support.webhook_receiver import SECRET

EXAMPLE = Path(__file__).resolve().parents[3] / "clients" / "webhooks" / "receiver.py"
BODY = json.dumps({"type": "message.sent", "timestamp": "2026-01-01T00:00:00Z", "data": {}}).encode()


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    spec = importlib.util.spec_from_file_location("receiver", EXAMPLE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_a_webhook_is_taken_once_and_a_forged_one_is_refused(
    example: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = signed_headers([SECRET], "id-1", int(datetime.now(UTC).timestamp()), BODY)
    async with TestClient(TestServer(example.app)) as client:
        for _ in range(2):
            assert (await client.post("/", data=BODY, headers=headers)).status == 204
        assert (await client.post("/", data=BODY + b" ", headers=headers)).status == 401
    assert capsys.readouterr().out.count("message.sent") == 1
