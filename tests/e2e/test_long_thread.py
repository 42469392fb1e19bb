"""A conversation of ten thousand messages on the mock page: no stack is needed."""

from __future__ import annotations

import functools
import http.server
import subprocess
import threading
from collections.abc import Iterator

import pytest

from tests.e2e.scenarios import ROOT, Facts, run_scenario

pytestmark = pytest.mark.chromium

ROWS = 100
BUILD_PATIENCE_S = 300


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nobody reads it."""


@pytest.fixture(scope="module")
def mock_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page with a backend in memory, built as it is and served."""
    folder = tmp_path_factory.mktemp("mock")
    build = ["node", str(ROOT / "node_modules/vite/bin/vite.js"), "build", "--mode", "mock"]
    subprocess.run([*build, "--outDir", str(folder)], cwd=ROOT / "services/web", check=True, timeout=BUILD_PATIENCE_S)
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="module")
def facts(mock_url: str) -> Facts:
    """What was seen in it (long-thread.mjs)."""
    return run_scenario("long-thread.mjs", mock_url)


@pytest.mark.parametrize("place", ["at_first", "far_up", "at_most", "at_last"])
def test_few_of_its_messages_are_in_the_document(facts: Facts, place: str) -> None:
    assert 10 < facts[f"rows_{place}"] <= ROWS


def test_an_early_message_is_brought_to_the_middle(facts: Facts) -> None:
    assert facts["count"] > 9_000
    assert facts["middle"] < 0.25


def test_what_one_reads_stays_where_it_is_when_a_row_above_grows(facts: Facts) -> None:
    assert facts["grown"] >= 400
    before, after = facts["place"]
    assert abs(before - after) <= 1
