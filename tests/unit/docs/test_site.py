"""The whole site is built without a complaint, and needs nobody else to be read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.docs.pages import ROOT

# What a browser fetches by itself, in the form that the theme writes it.
_FETCHED = re.compile(r"""<(?:script|img|iframe|source)\b[^>]*\bsrc="(https?:|//)|<link\b[^>]*\bhref="(https?:|//)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "deploy.docs", str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 60
    assert [page.name for page in pages if _FETCHED.search(page.read_text())] == []


def test_pages_beside_the_code_and_generated_ones_can_be_searched(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text())
    found = {entry["location"].partition("#")[0] for entry in index["docs"]}
    assert {
        "services/gateway.html",
        "reference/configuration.html",
        "reference/api/messaging.html",
        "threat-model.html",
    } <= found


def test_the_openapi_document_and_all_of_its_paths_are_on_the_site(site: Path) -> None:
    paths = json.loads((site / "reference" / "openapi.json").read_text())["paths"]
    page = (site / "reference" / "http.html").read_text()
    assert sum(len(methods) for methods in paths.values()) == len(re.findall(r'<td><a href="api/\w+\.html#', page))
