"""Scenarios in browsers: each is a script that ends with one JSON object of what was seen; the tests look at that."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import pytest

from tests.support.coturn import COTURN, Coturn, run_coturn
from tests.support.figures import FIGURE
from tests.support.stack import RunningStack, run_stack

ROOT = Path(__file__).resolve().parent.parent.parent
SCREENSHOTS = ROOT / "build" / "e2e"
# They take half a minute on two free cores; the rest is for a machine that others use too.
SCENARIO_TIMEOUT_S = 240.0
# Long enough for a busy machine to answer a ring, short enough to wait for one that nobody answers.
RING_TIMEOUT_S = "20"

Facts = dict[str, Any]


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


@dataclass(frozen=True)
class Farm:
    """A stack with two media workers and, where there is one, a TURN relay."""

    stack: RunningStack
    relay: Coturn | None

    @property
    def web_url(self) -> str:
        """The page under test."""
        return self.stack.record.web_url


@pytest.fixture(scope="session")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Where the calls of these tests are, all of them: a stack costs more than a scenario."""
    with ExitStack() as cleanup:
        env = {"PARLEY_RING_TIMEOUT_S": RING_TIMEOUT_S, "PARLEY_SFU_DRAIN_S": "30"}
        relay = None
        if COTURN is not None:
            relay = cleanup.enter_context(run_coturn(tmp_path_factory.mktemp("coturn")))
            env |= {"PARLEY_TURN_URLS": ",".join(relay.urls.values()), "PARLEY_TURN_SECRET": relay.secret}
        yield Farm(cleanup.enter_context(run_stack("e2e-calls", replicas={"sfu": 2}, env=env)), relay)


def run_script(name: str, web_url: str, *arguments: str, cue: Callable[[], None] | None = None) -> Facts:
    """The facts that a scenario prints, by name; they are kept beside its screenshots. Fails when one step stopped it.

    Each time the script says "in call" it waits until `cue` has done something to the stack.
    """
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    script = Path(__file__).with_name(name)
    command = ["node", str(script), web_url, find_chromium(), str(SCREENSHOTS), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as browsers:
        try:
            assert browsers.stdin
            assert browsers.stdout
            last = _answer_cues(browsers.stdin, browsers.stdout, cue)
            rest, _ = browsers.communicate(timeout=SCENARIO_TIMEOUT_S)
        except BaseException:
            browsers.kill()
            raise
    printed = last + rest
    (SCREENSHOTS / f"{script.stem}-facts.json").write_text(printed)
    facts: Facts = json.loads(printed)
    return facts


def _answer_cues(answers: IO[str], lines: IO[str], cue: Callable[[], None] | None) -> str:
    while (line := lines.readline()).strip() == "in call":
        if cue is not None:
            cue()
        answers.write("done\n")
        answers.flush()
    return line


def whole(facts: Facts) -> Facts:
    """The facts of a scenario that ran to its end."""
    assert "failure" not in facts, f"the scenario stopped: {facts['failure']} (screenshots in build/e2e/)"
    return facts


@pytest.fixture(scope="session")
def seen(web_url: str) -> Facts:
    """The facts of the scenario of a message and a call (scenario.mjs)."""
    return run_script("scenario.mjs", web_url)


@pytest.fixture
def facts(seen: Facts) -> Facts:
    """The facts of a scenario that ran to its end."""
    return whole(seen)


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Reports a figure that is not judged: it stands at the end of the run's output (tests/conftest.py)."""
    return partial(record_property, FIGURE)
