"""One run of the scenario in two browsers; the tests look at what was seen in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SCREENSHOTS = ROOT / "build" / "e2e"
# It takes half a minute on two free cores; the rest is for a machine that others use too.
SCENARIO_TIMEOUT_S = 240.0


def find_chromium() -> str:
    """The browser's path. Without one the tests fail: `.ci/test` leaves them out on purpose where there is none."""
    chromium = os.environ.get("PARLEY_CHROMIUM") or shutil.which("chromium")
    assert chromium, "There is no Chromium here; `make e2e` installs Debian's when it may."
    return chromium


@pytest.fixture(scope="session")
def web_url(request: pytest.FixtureRequest) -> str:
    """The page under test: PARLEY_E2E_URL, or the session's embedded stack."""
    given = os.environ.get("PARLEY_E2E_URL")
    return given or request.getfixturevalue("stack").record.web_url


def run_script(name: str, web_url: str) -> dict[str, Any]:
    """The facts that a scenario prints, by name; they are kept beside its screenshots."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    script = Path(__file__).with_name(name)
    command = ["node", str(script), web_url, find_chromium(), str(SCREENSHOTS)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=SCENARIO_TIMEOUT_S, check=False)
    assert result.returncode == 0, result.stderr
    (SCREENSHOTS / f"{script.stem}-facts.json").write_text(result.stdout)
    facts: dict[str, Any] = json.loads(result.stdout)
    return facts


@pytest.fixture(scope="session")
def seen(web_url: str) -> dict[str, Any]:
    """The facts of the scenario of a message and a call (scenario.mjs)."""
    return run_script("scenario.mjs", web_url)


@pytest.fixture
def facts(seen: dict[str, Any]) -> dict[str, Any]:
    """The facts of a scenario that ran to its end."""
    assert "failure" not in seen, f"the scenario stopped: {seen['failure']} (screenshots in build/e2e/)"
    return seen
