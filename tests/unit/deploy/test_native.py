"""Which process runs the compiled media path. That it can be compiled is seen by `make setup`."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import native
from deploy.embedded.record import ROOT


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """As `compile_into` leaves it, without the modules."""
    for part in ("sfu", "runtime"):
        shutil.copytree(ROOT / "services" / part, tmp_path / "services" / part)
    shutil.copy(ROOT / "services" / "__init__.py", tmp_path / "services")
    (tmp_path / "compiled").touch()
    return tmp_path


def test_the_sfu_runs_what_was_compiled_of_todays_sources(built: Path) -> None:
    assert native.home("sfu", built) == built
    assert native.home("messaging", built) == ROOT


def test_a_source_that_has_changed_since_is_run_as_it_stands(built: Path) -> None:
    (built / "services/sfu/core/session/router.py").write_text("# of yesterday\n")
    assert native.home("sfu", built) == ROOT


def test_a_source_that_is_new_since_is_run_as_it_stands(built: Path) -> None:
    (built / "services/sfu/egress.py").unlink()
    assert native.home("sfu", built) == ROOT


def test_without_compiled_modules_the_sources_are_run(tmp_path: Path) -> None:
    assert native.home("sfu", tmp_path) == ROOT


def test_the_copy_comes_before_what_is_installed(built: Path) -> None:
    """A process that starts in the folder runs the modules there, and finds the rest by the editable install."""
    (built / "asking.py").write_text(
        "import services.sfu.worker, parley.sfu.v1.service_pb2\n"
        "print(services.sfu.worker.__file__, parley.sfu.v1.service_pb2.__file__)\n"
    )
    command = (sys.executable, "-m", "asking")
    said = subprocess.run(command, cwd=built, capture_output=True, text=True, check=True).stdout.split()
    assert [Path(file) for file in said] == [
        built / "services" / "sfu" / "worker.py",
        ROOT / "gen" / "parley" / "sfu" / "v1" / "service_pb2.py",
    ]


def test_a_machine_without_a_compiler_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    assert native.missing() == "no C compiler (no-such-compiler)"
