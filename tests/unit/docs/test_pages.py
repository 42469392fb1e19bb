"""Links between pages, and the names of files and tests in them."""

from __future__ import annotations

import pytest

from deploy.docs.markdown import formatted
from deploy.docs.pages import site_path, sources, unknown_names, with_links

PAGES = {source: site_path(source) for source in ("README.md", "docs/design.md", "services/web/README.md")}


def links(text: str, source: str) -> tuple[str, list[str]]:
    complaints: list[str] = []
    return with_links(text, source, PAGES, complaints.append), complaints


@pytest.mark.parametrize(
    ("source", "page"),
    [
        ("README.md", "index.md"),
        ("SECURITY.md", "security.md"),
        ("docs/design.md", "design.md"),
        ("services/web/README.md", "services/web.md"),
        ("deploy/observability/runbooks/flood.md", "deploy/observability/runbooks/flood.md"),
    ],
)
def test_each_file_has_its_place_on_the_site(source: str, page: str) -> None:
    assert site_path(source) == page


def test_no_two_files_have_one_place() -> None:
    places = [site_path(source) for source in sources()]
    assert len(set(places)) == len(places) > 50


@pytest.mark.parametrize(
    ("source", "written", "on_the_site"),
    [
        ("services/web/README.md", "[d](../../docs/design.md#a)", "[d](../design.md#a)"),
        ("docs/design.md", "[w](../services/web/README.md)", "[w](services/web.md)"),
        ("docs/design.md", "[w](../services/web)", "[w](services/web.md)"),
        ("README.md", "[m](Makefile)", "m"),
        ("README.md", "[a](#b) [x](https://example.com)", "[a](#b) [x](https://example.com)"),
        ("README.md", "```\n[d](docs/gone.md)\n```\n", "```\n[d](docs/gone.md)\n```\n"),
    ],
)
def test_links_lead_to_pages_of_the_site_and_others_become_words(source: str, written: str, on_the_site: str) -> None:
    assert links(written, source) == (on_the_site, [])


def test_a_link_that_leads_nowhere_is_told() -> None:
    assert links("[x](docs/gone.md)", "README.md")[1] == ["README.md: the link docs/gone.md leads to nothing"]


def test_a_file_or_a_test_that_is_not_there_is_told() -> None:
    here = "tests/unit/docs/test_pages.py"
    text = f"`{here}`, `{here}::test_gone`, `{here}::test_a_link_that_leads_nowhere_is_told`, `tests/gone.py`"
    assert unknown_names(text) == [f"{here}::test_gone", "tests/gone.py"]


@pytest.mark.parametrize(
    ("named", "unknown"),
    [
        ("`docs/test_pages.py`", []),
        ("`test_pages.py: test_prose_is_wrapped_and_tables_are_left`", []),
        ("`NAME.mjs`", []),
        ("`runtime/gone.py`", ["runtime/gone.py"]),
        ("`est_pages.py`", ["est_pages.py"]),
        (f"`test_pages.py: {'gone' * 2}`", ["test_pages.py"]),
    ],
)
def test_a_file_that_is_named_in_short_and_is_not_there_is_told(named: str, unknown: list[str]) -> None:
    assert unknown_names(named) == unknown


def test_prose_is_wrapped_and_tables_are_left() -> None:
    row = "| " + "word " * 40 + "| |"
    done = formatted(f"{'word ' * 40}\n\n| a | |\n|---|---|\n{row}\n")
    assert all(len(line) <= 100 for line in done.splitlines() if not line.startswith("|"))
    assert [line for line in done.splitlines() if line.startswith("|")][1:] == [
        "|---|---|",
        "| " + ("word " * 40) + "| |",
    ]
    assert formatted(done) == done
