"""A call outlives the process that carries its media."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import SCREENSHOTS, find_chromium
from tests.support.stack import RunningStack

# Signaling notices within seconds; a browser would take about 7 s, and gives the path 4 s more to come back.
SCRIPT_TIMEOUT_S = 150.0


@pytest.mark.timeout(400)
def test_both_sides_see_and_hear_again_by_another_connection(stack: RunningStack) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    script = Path(__file__).with_name("reconnect.mjs")
    command = ["node", str(script), stack.record.web_url, find_chromium(), str(SCREENSHOTS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as browsers:
        assert browsers.stdout
        first_line = browsers.stdout.readline()
        if first_line.strip() == "in call":
            pid = stack.kill("sfu")
            stack.wait_for_restart("sfu", pid)
        rest, _ = browsers.communicate(timeout=SCRIPT_TIMEOUT_S)
    facts = json.loads(rest or first_line)
    assert "failure" not in facts, facts["failure"]
    assert len(facts["after"]) == 2
