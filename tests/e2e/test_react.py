"""docs/start/react.md word for word, in an empty folder: two people write to each other and call each other."""

from __future__ import annotations

import re

import pytest

from tests.e2e.scenarios import Facts, run_scenario
from tests.e2e.strangers import ROOT, blocks, served, shell
from tests.support.ports import free_port
from tests.support.stack import RunningStack

pytestmark = pytest.mark.chromium

PAGE = (ROOT / "docs" / "start" / "react.md").read_text()


@pytest.fixture(scope="module")
def facts(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """What the two saw in the app (react.mjs)."""
    folder = tmp_path_factory.mktemp("react")
    prepare, serve = blocks(PAGE, "sh")
    shell(re.sub(r"/tmp\b", str(folder), prepare), ROOT)
    project = folder / "my-app"
    (project / "index.html").write_text(blocks(PAGE, "html")[0])
    (project / "main.tsx").write_text(blocks(PAGE, "tsx")[0].replace("127.0.0.1:8080", stack.record.edge_address))
    port = free_port()
    with served(serve.strip().replace("5173", str(port)), project):
        return run_scenario("react.mjs", f"http://localhost:{port}/")


def test_two_people_write_to_each_other_in_the_app_of_the_page(facts: Facts) -> None:
    assert facts["message"]


def test_what_one_reads_stays_in_its_place_while_messages_come(facts: Facts) -> None:
    before, after = facts["place"]
    assert abs(before - after) <= 1


def test_two_people_call_each_other_in_the_app_of_the_page(facts: Facts) -> None:
    assert facts["call"]


def test_the_app_of_the_page_has_twenty_one_lines() -> None:
    assert len(blocks(PAGE, "tsx")[0].splitlines()) == 21
