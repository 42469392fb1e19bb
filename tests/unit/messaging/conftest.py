import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.messaging_world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World(capacity=5)
    committer = asyncio.create_task(world.sends.run())
    yield world
    committer.cancel()
