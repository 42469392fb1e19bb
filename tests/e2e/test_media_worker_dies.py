"""A call outlives the process that carries its media."""

from __future__ import annotations

import pytest

from tests.e2e.operations import locate_call
from tests.e2e.scenarios import Facts, run_scenario
from tests.support.stack import RunningStack

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def facts(stack: RunningStack) -> Facts:
    """The facts of the scenario by name (reconnect.mjs)."""

    def kill_the_worker(_: str) -> None:
        # kill -9. Signaling notices within seconds; a browser would take about 7 s, and gives the path 4 s more.
        name = locate_call(stack.record)
        stack.wait_for_restart(name, stack.kill(name))

    return run_scenario("reconnect.mjs", stack.record.web_url, cue=kill_the_worker)


def test_both_sides_see_and_hear_again_by_another_connection(facts: Facts) -> None:
    assert len(facts["after"]) == 2


def test_the_call_can_be_ended_in_order(facts: Facts) -> None:
    assert facts["hung_up"]
