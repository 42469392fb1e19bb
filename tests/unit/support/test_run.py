"""The plan of a whole run: every test is in one part, and what was left out is told."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.run import PARTS, ROOT, Outcome, Part, plan, read_outcome, stages, table
from tests.support.needs import LEFT_OUT, MARKERS, PROGRAMS

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


@pytest.mark.parametrize("marker", ["", "outages", "restarts"])
def test_every_test_is_in_one_part_and_those_of_the_media_path_are_in_two(marker: str) -> None:
    found = {str(path.relative_to(ROOT)): parts_with(path, marker) for path in modules()}
    wrong = {path: parts for path, parts in found.items() if len(parts) != (2 if path.startswith(TWICE) else 1)}
    assert wrong == {}


def test_what_is_marked_compiled_runs_on_the_compiled_media_path_alone() -> None:
    (path,) = (path for path in modules() if path.name == "test_foreign.py")
    assert parts_with(path, "compiled") == ["media"]
    assert parts_with(path) == ["units", "media"]


def test_parts_of_a_lane_run_in_turn_and_lanes_side_by_side() -> None:
    names = [[[part.name for part in lane] for lane in stage] for stage in stages(PARTS)]
    assert names[1] == [["shared-stack"], ["calls", "replicated"], ["single-services", "media"]]


def test_the_plan_shows_each_part_with_a_command_that_can_be_typed() -> None:
    lines = {line.split()[2]: line for line in plan(PARTS).splitlines()}
    assert lines["faults-kills"].endswith("python -m pytest tests/faults -m 'not outages and not restarts'")
    assert " tests/integration/test_*.py " in lines["shared-stack"]
    assert lines["web-units"].endswith("npm run test -- --reporter=junit")


REPORT = """<testsuites><testsuite>
<testcase classname="a" name="plays" time="2.5"/>
<testcase classname="a" name="relays" time="0.1"><skipped type="pytest.skip" message="{why}"/></testcase>
<testcase classname="a" name="more" time="0.1"><error message="setup: &quot;Failed: {why}&quot;"/></testcase>
<testcase classname="a" name="other" time="0.1"><skipped type="pytest.skip" message="no ::1"/></testcase>
</testsuite></testsuites>"""


def test_tests_that_were_left_out_are_told_with_their_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tests.run.FOLDER", tmp_path)
    part = Part(1, "a", "some", ("tests/unit",))
    part.report.write_text(REPORT.format(why=PROGRAMS["coturn"].missing))
    outcome = read_outcome(part, 1, 3.0)
    assert outcome.counts == Counter(passed=1, skipped=2, failed=1)
    assert outcome.left_out == {PROGRAMS["coturn"].missing.removeprefix(LEFT_OUT): 2}


def test_the_table_ends_with_what_was_left_out_and_the_sum() -> None:
    ended = Outcome("some", 0, 3.0, Counter(passed=2, skipped=1))
    assert table([ended], ["1 tests, because there is no coturn"]).splitlines()[-2:] == [
        "LEFT OUT: 1 tests, because there is no coturn",
        "total: 2 passed, 0 failed, 1 skipped",
    ]


def test_the_table_says_what_a_test_with_a_fresh_seed_drew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tests.run.FOLDER", tmp_path)
    part = Part(1, "a", "some", ("tests/faults",))
    said = '<properties><property name="drawn" value="seed 7"/></properties>'
    part.report.write_text(f'<testsuites><testcase classname="a" name="b" time="1">{said}</testcase></testsuites>')
    assert "DRAWN: seed 7" in table([read_outcome(part, 0, 3.0)], [])


def test_a_process_that_ends_without_a_report_has_failed() -> None:
    crashed = read_outcome(Part(1, "a", "no-such-part", ("tests/unit",)), -11, 3.0)
    assert crashed.failed == 1
    assert "ended with status -11 and no report" in table([crashed], [])
