"""A test says what it needs by markers; without the program it is left out with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.needs import MARKERS, PROGRAMS, ROOT, Program, markers_of, require


def nowhere(program: Program) -> None:
    """A machine without any program."""


def test_a_test_is_left_out_with_the_name_of_the_program_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"left out: no coturn here; \.ci/coturn installs"):
        require(["stack", "coturn"], nowhere)


def test_in_ci_a_missing_program_fails_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="left out: no Chromium here"):
        require(["chromium"], nowhere)


def test_what_needs_no_program_runs_anywhere() -> None:
    require(["stack", "backing", "parametrize"], nowhere)


def test_a_program_is_found_by_its_variable_before_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_FIREFOX", "/opt/firefox")
    assert PROGRAMS["firefox"].find() == "/opt/firefox"
    monkeypatch.delenv("PARLEY_FIREFOX")
    monkeypatch.setenv("PATH", "")
    assert PROGRAMS["firefox"].find() is None


@pytest.mark.parametrize(
    ("place", "fixtures", "markers"),
    [
        ("tests/faults/test_any.py", (), ["stack"]),
        ("tests/integration/sfu/test_any.py", (), ["compiled"]),
        ("tests/integration/messaging/test_any.py", ("database_url", "backing"), ["backing"]),
        ("tests/integration/test_any.py", ("stack", "turn"), ["stack", "coturn"]),
        ("tests/unit/sfu/test_any.py", (), []),
    ],
)
def test_folders_and_fixtures_say_what_a_test_needs(place: str, fixtures: tuple[str, ...], markers: list[str]) -> None:
    assert markers_of(ROOT / place, fixtures) == markers
    assert set(markers) <= set(MARKERS)


def test_a_file_outside_of_the_repository_has_no_markers(tmp_path: Path) -> None:
    assert markers_of(tmp_path / "test_any.py", ()) == []


def test_every_script_that_brings_a_program_is_there() -> None:
    assert all((ROOT / program.brought_by).exists() for program in PROGRAMS.values())
