"""What tests need, by the names of pytest's markers: programs that a machine may not have, and what runs beside them.

A module says what it needs (`pytestmark = pytest.mark.chromium`), or a fixture that it asks for says so. A test whose
program is missing is skipped with the reason; with CI set it fails. `python -m pytest tests -m "not stack"` chooses.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
# Begins the reason of each test that was left out; tests/run.py looks for it in the reports.
LEFT_OUT = "left out: "


@dataclass(frozen=True)
class Program:
    """A program that some tests run: the variable that names it, else what it may be called, and what brings it."""

    name: str
    variable: str
    called: tuple[str, ...]
    brought_by: str
    how: str = "installs Debian's where it may"

    def find(self) -> str | None:
        """Where it is."""
        found = (shutil.which(name) for name in self.called)
        return os.environ.get(self.variable) or next(filter(None, found), None)

    @property
    def missing(self) -> str:
        """The reason why a test is left out."""
        return f"{LEFT_OUT}no {self.name} here; {self.brought_by} {self.how}"


# By the marker. The names that each may have are those of the scripts.
PROGRAMS = {
    "chromium": Program(
        "Chromium", "PARLEY_CHROMIUM", ("chromium", "chromium-browser", "google-chrome"), ".ci/chromium"
    ),
    "firefox": Program("Firefox", "PARLEY_FIREFOX", ("firefox-esr", "firefox"), ".ci/firefox"),
    "nftables": Program("nftables", "PARLEY_NFTABLES", ("nft", "/usr/sbin/nft"), ".ci/nftables"),
    "coturn": Program("coturn", "PARLEY_COTURN", ("turnserver",), ".ci/coturn"),
    "kubectl": Program("kubectl", "PARLEY_KUBECTL", ("kubectl",), ".ci/kubectl", "says which"),
    "helm": Program("Helm", "PARLEY_HELM", ("helm",), ".ci/helm", "builds it where there is Go"),
}
MARKERS = {
    **{marker: f"needs {program.name}; skipped where there is none" for marker, program in PROGRAMS.items()},
    "stack": "runs a whole embedded stack, or asks for the session's one",
    "backing": "asks for the session's PostgreSQL and broker, or stands in a folder whose tests do",
    "compiled": "in a whole run only on the compiled media path, not on the sources as well",
    "outages": "of tests/faults: a service is away for a while. Runs beside the rest of that folder",
    "restarts": "of tests/faults: calls and groups while processes are replaced. Runs beside the rest of that folder",
}
# What all tests of a folder are, and what a fixture stands for.
OF_FOLDERS = {
    "tests/faults": ("stack",),
    "tests/integration/messaging": ("backing",),
    "tests/integration/presence": ("backing",),
    "tests/integration/replicated": ("stack",),
    "tests/integration/webhooks": ("backing",),
    "tests/integration/push": ("backing",),
    "tests/integration/sfu": ("compiled",),
    "tests/integration/signaling": ("backing",),
}
OF_FIXTURES = {"stack": "stack", "web_url": "stack", "backing": "backing", "turn": "coturn"}


def markers_of(path: Path, fixtures: Collection[str]) -> list[str]:
    """The markers that a test has by its place and by its fixtures, beside those that its module names."""
    place = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""
    by_place = [marker for folder, of in OF_FOLDERS.items() if place.startswith(f"{folder}/") for marker in of]
    by_fixtures = [marker for fixture, marker in OF_FIXTURES.items() if fixture in fixtures]
    return list(dict.fromkeys(by_place + by_fixtures))


def program(marker: str) -> str:
    """Where the program of a marker is. Only for tests that have the marker: those do not run without it."""
    path = PROGRAMS[marker].find()
    assert path, f"{PROGRAMS[marker].missing}; the test needs `pytest.mark.{marker}`"
    return path


def require(markers: Collection[str], find: Callable[[Program], str | None] = Program.find) -> None:
    """Leaves the test out whose markers name a program that is not here."""
    for marker in markers:
        needed = PROGRAMS.get(marker)
        if needed and not find(needed):
            leave_out(needed.missing)


def leave_out(reason: str) -> NoReturn:
    """Skips the test, and the table of `make test` says so; with CI set it fails, since nobody reads that table there.

    `reason` begins with LEFT_OUT.
    """
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
