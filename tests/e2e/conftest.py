"""Scenarios in browsers: each is a script that reports what it sees; the tests look at that."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import pytest

from tests.e2e.scenarios import Facts, run_scenario
from tests.support.figures import FIGURE


@pytest.fixture(scope="session")
def collector() -> None:
    """Nobody: no scenario looks at spans, which cost each process a part of its start."""


@pytest.fixture(scope="session")
def web_url(request: pytest.FixtureRequest) -> str:
    """The page under test: PARLEY_E2E_URL, or the session's embedded stack."""
    given = os.environ.get("PARLEY_E2E_URL")
    return given or request.getfixturevalue("stack").record.web_url


@pytest.fixture(scope="session")
def facts(web_url: str) -> Facts:
    """What was seen in the scenario of a message and a call (two-browsers.mjs)."""
    return run_scenario("two-browsers.mjs", web_url)


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Reports a figure that is not judged: it stands at the end of the run's output (tests/conftest.py)."""
    return partial(record_property, FIGURE)
