from collections.abc import AsyncIterator

import pytest

from tests.support.messaging_world import World, at_work


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with at_work(World(capacity=5)) as world:
        yield world
