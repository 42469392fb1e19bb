"""The world in which signaling's use-cases run."""

import pytest

from tests.unit.signaling.fakes import World


@pytest.fixture
def world() -> World:
    """Two people in a conversation, and a worker. A file that needs more people has a world of its own."""
    return World()
