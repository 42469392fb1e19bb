"""A call outlives the process that carries its media."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import run_script, whole
from tests.support.stack import RunningStack


@pytest.mark.timeout(400)
def test_both_sides_see_and_hear_again_by_another_connection(stack: RunningStack) -> None:
    # Signaling notices within seconds; a browser would take about 7 s, and gives the path 4 s more to come back.
    facts = whole(run_script("reconnect.mjs", stack.record.web_url, cue=lambda: restart_worker(stack)))
    assert len(facts["after"]) == 2


def restart_worker(stack: RunningStack) -> None:
    """kill -9."""
    stack.wait_for_restart("sfu", stack.kill("sfu"))
