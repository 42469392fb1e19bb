"""The world in which signaling's use-cases run."""

import pytest

from tests.unit.signaling.fakes import World
from tests.unit.signaling.meeting import Meeting


@pytest.fixture
def world() -> World:
    """Two people in a conversation, and a worker. A file that needs more people has a world of its own."""
    return World()


@pytest.fixture
async def meeting() -> Meeting:
    """A group's call that has begun, and people outside of the group."""
    made = Meeting()
    await made.begin()
    return made
