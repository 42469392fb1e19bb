"""A stranger in an empty folder: docs/start/web.md word for word, to a message, a call, and a message by curl."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from tests.e2e.scenarios import Facts, run_scenario
from tests.e2e.strangers import ROOT, blocks, served, shell
from tests.support.ports import free_port
from tests.support.stack import RunningStack

pytestmark = pytest.mark.chromium

PAGE = (ROOT / "docs" / "start" / "web.md").read_text()
QUICKSTART = (ROOT / "docs" / "start" / "quickstart.md").read_text()


@pytest.fixture(scope="module")
def facts(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """What the two saw in the page (stranger.mjs), with the seconds until each step was over."""
    folder = tmp_path_factory.mktemp("stranger")
    edge = stack.record.edge_address
    began = time.monotonic()
    prepare, serve = blocks(PAGE, "sh")
    shell(re.sub(r"/tmp\b", str(folder), prepare), ROOT)
    project = folder / "my-page"
    (project / "index.html").write_text(blocks(PAGE, "html")[0])
    (project / "page.js").write_text(blocks(PAGE, "js")[0].replace("127.0.0.1:8080", edge))
    port = free_port()

    def send_with_curl(people: str) -> None:
        alice, bob = people.split()
        section = QUICKSTART[QUICKSTART.index("## Call the API with curl") :]
        following, sending = blocks(section, "sh")[:2]
        # All but the line that follows events, which would not end.
        lines = "\n".join(line for line in following.splitlines() if not line.endswith("&"))
        script = f"{lines}\n{sending}".replace("127.0.0.1:8080", edge)
        shell(re.sub(r"\bbob\b", bob, re.sub(r"\balice\b", alice, script)), folder)

    with served(serve.strip().replace("5173", str(port)), project):
        ready_s = time.monotonic() - began
        facts = run_scenario("stranger.mjs", f"http://localhost:{port}/", cue=send_with_curl)
    facts["ready_s"] = round(ready_s, 1)
    facts["total_s"] = round(time.monotonic() - began, 1)
    return facts


def test_a_stranger_gets_from_an_empty_folder_to_a_message(facts: Facts, say: Callable[[str], None]) -> None:
    assert facts["message"]
    say(f"a stranger's page: served after {facts['ready_s']} s, all of it after {facts['total_s']} s")


def test_a_stranger_gets_to_a_call_in_which_pictures_move(facts: Facts) -> None:
    assert facts["call"]


def test_a_message_by_curl_appears_in_the_strangers_page(facts: Facts) -> None:
    assert facts["curl"]


def test_the_strangers_page_goes_on_without_a_network_and_sends_what_waited(facts: Facts) -> None:
    assert facts["offline"]


def test_the_strangers_page_has_fifteen_lines() -> None:
    assert len(blocks(PAGE, "js")[0].splitlines()) == 15
