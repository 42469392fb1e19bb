"""The plan of a whole run: every test is in one part, and what was left out is told."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.run import PARTS, ROOT, Part, choose, plan, stages
from tests.support.needs import LEFT_OUT, MARKERS, PROGRAMS
from tests.support.outcomes import Outcome, read_outcome, table
from tests.support.waiting import PATIENCE_S, poll

PARTS_OF_PYTEST = [part for part in PARTS if part.name != "web-units"]
# These run on the sources and on the compiled media path.
TWICE = "tests/unit/sfu"


def parts_with(module: Path, *markers: str) -> list[str]:
    """The parts that run a module whose tests have these markers."""
    marked = {name: name in markers for name in MARKERS}
    return [
        part.name
        for part in PARTS_OF_PYTEST
        if any(path in (module, *module.parents) for place in part.places for path in ROOT.glob(place))
        # An expression of pytest's -m is one of Python's, with the markers as names.
        and eval(part.markers or "True", {}, marked)
    ]


def modules() -> list[Path]:
    """Each module of tests."""
    return sorted((ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("marker", ["", "outages", "restarts", "chromium", "firefox"])
def test_every_test_is_in_one_part_and_those_of_the_media_path_are_in_two(marker: str) -> None:
    # What needs a browser is no unit test.
    is_unit = marker in ("", "outages", "restarts")
    found = {str(path.relative_to(ROOT)): parts_with(path, marker) for path in modules()}
    wrong = {
        path: parts for path, parts in found.items() if len(parts) != (2 if path.startswith(TWICE) and is_unit else 1)
    }
    assert wrong == {}


def test_what_is_marked_compiled_runs_on_the_compiled_media_path_alone() -> None:
    (path,) = (path for path in modules() if path.name == "test_foreign.py")
    assert parts_with(path, "compiled") == ["media"]
    assert parts_with(path) == ["units-calls", "media"]


def test_parts_with_servers_wait_for_those_without_and_keep_their_order() -> None:
    names = [[part.name for part in stage] for stage in stages(PARTS)]
    assert names[0] == ["web-units", "units-calls", "units-services", "units-around"]
    assert names[1][0] == "browsers"


def test_the_plan_shows_each_part_with_a_command_that_can_be_typed() -> None:
    lines = {line.split()[1]: line for line in plan(PARTS).splitlines()}
    assert lines["faults-kills"].endswith("python -m pytest tests/faults -m 'not outages and not restarts'")
    assert lines["shared-stack"].endswith(" tests/integration/test_*.py")
    assert lines["web-units"].endswith("npm run test -- --reporter=default --reporter=junit")


def test_a_third_part_begins_only_when_the_processor_has_time_and_browsers_beside_browsers_when_it_has_much() -> None:
    first, second, media, browsers = (
        Part(2, name, (), browsers=name in ("media", "browsers")) for name in ("first", "second", "media", "browsers")
    )
    assert choose([first, second], [], lambda: 0.0) == first
    assert choose([second, media], [first], lambda: 0.0) == second
    assert choose([media], [first, second], lambda: 0.4) is None
    assert choose([media], [first, second], lambda: 0.6) == media
    assert choose([browsers], [media], lambda: 0.6) is None
    assert choose([browsers], [media], lambda: 0.9) == browsers
    assert choose([browsers, first], [media], lambda: 0.6) == first
    assert choose([browsers, first], [media, second], lambda: 0.6) == first
    assert choose([browsers, first], [media, second], lambda: 0.4) is None


def test_on_a_slow_machine_browsers_have_nothing_beside_them() -> None:
    browsers, more_browsers = (Part(2, name, (), browsers=True) for name in ("browsers", "more"))
    first, second = (Part(2, name, ()) for name in ("first", "second"))
    assert choose([browsers, first], [], lambda: 1.0, quick=False) == browsers
    assert choose([first, more_browsers], [browsers], lambda: 1.0, quick=False) is None
    assert choose([more_browsers, second], [first], lambda: 1.0, quick=False) == second
    assert choose([more_browsers], [first], lambda: 1.0, quick=False) is None
    assert choose([more_browsers], [], lambda: 1.0, quick=False) == more_browsers


REPORT = """<testsuites><testsuite>
<testcase classname="a" name="plays" time="2.5"/>
<testcase classname="a" name="relays" time="0.1"><skipped type="pytest.skip" message="{why}"/></testcase>
<testcase classname="a" name="more" time="0.1"><error message="setup: &quot;Failed: {why}&quot;"/></testcase>
<testcase classname="a" name="other" time="0.1"><skipped type="pytest.skip" message="no ::1"/></testcase>
</testsuite></testsuites>"""


def outcome_of(report: str, folder: Path, status: int = 0) -> Outcome:
    path = folder / "some.xml"
    path.write_text(report)
    return read_outcome("some", path, status, 3.0)


def test_tests_that_were_left_out_are_told_with_their_reason(tmp_path: Path) -> None:
    outcome = outcome_of(REPORT.format(why=PROGRAMS["coturn"].missing), tmp_path, status=1)
    assert outcome.counts == Counter(passed=1, skipped=2, failed=1)
    assert outcome.left_out == {PROGRAMS["coturn"].missing.removeprefix(LEFT_OUT): 2}


def test_the_table_ends_with_what_was_left_out_and_the_sum() -> None:
    ended = Outcome("some", 0, 3.0, counts=Counter(passed=2, skipped=1))
    assert table([ended], ["1 tests, because there is no coturn"]).splitlines()[-2:] == [
        "LEFT OUT: 1 tests, because there is no coturn",
        "total: 2 passed, 0 failed, 1 skipped",
    ]


def test_the_table_says_what_a_test_with_a_fresh_seed_drew(tmp_path: Path) -> None:
    said = '<properties><property name="drawn" value="seed 7"/></properties>'
    report = f'<testsuites><testcase classname="a" name="b" time="1">{said}</testcase></testsuites>'
    assert "DRAWN: seed 7" in table([outcome_of(report, tmp_path)], [])


def test_a_process_that_ends_without_a_report_has_failed(tmp_path: Path) -> None:
    crashed = read_outcome("some", tmp_path / "none.xml", -11, 3.0)
    assert crashed.failed == 1
    assert "ended with status -11 and no report" in table([crashed], [])


# A part that says when it runs, and when it has ended in order, as pytest does after its fixtures; and a run of three.
WAITS = """import pathlib, signal, sys
pathlib.Path(sys.argv[1] + " runs").touch()
try:
    signal.pause()
finally:
    pathlib.Path(sys.argv[1] + " ended").touch()"""
RUN = """import pathlib, sys
from tests import run
class Waits(run.Part):
    cwd = run.FOLDER = pathlib.Path(sys.argv[1])
    def command(self, report=None):
        return [sys.executable, "-c", sys.argv[2], self.name]
run.run([Waits(1, name, ()) for name in ("first", "beside", "next")], 2)"""
# As a shell starts a job in the background.
IGNORING_CTRL_C = ("bash", "-c", "trap '' INT; exec \"$@\"", "-")


def await_files(folder: Path, *names: str) -> None:
    poll(lambda: all((folder / name).exists() for name in names), PATIENCE_S, lambda: f"no {' and '.join(names)}")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_a_run_that_is_ended_ends_its_parts_in_order_and_starts_no_more(tmp_path: Path, how: signal.Signals) -> None:
    command = [*IGNORING_CTRL_C, sys.executable, "-c", RUN, str(tmp_path), WAITS]
    with subprocess.Popen(command, cwd=ROOT) as running:
        await_files(tmp_path, "first runs", "beside runs")
        running.send_signal(how)
    assert running.returncode == (-how if how is signal.SIGKILL else 128 + how)
    await_files(tmp_path, "first ended", "beside ended")
    assert not (tmp_path / "next runs").exists()
