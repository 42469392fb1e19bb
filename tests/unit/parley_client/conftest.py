"""What the client library calls in its tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.parley_client.fake_edge import FakeEdge


@pytest.fixture
async def edge() -> AsyncIterator[FakeEdge]:
    fake = FakeEdge()
    server = await fake.start()
    yield fake
    await server.stop(None)
