"""The distributions of this repository: what their wheels hold, and that they start where nothing of ours is around."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded.record import ROOT

PROJECTS = {"parley": ROOT, "parley-protocol": ROOT / "protos", "parley-client": ROOT / "clients" / "python"}
STARTED = ("messaging", "presence", "gateway", "signaling", "sfu", "web")


def project(name: str) -> dict[str, Any]:
    document = tomllib.loads((PROJECTS[name] / "pyproject.toml").read_text())
    return dict(document["project"])


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for root in PROJECTS.values():
        command = (sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder))
        subprocess.run(command, cwd=root, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def empty_environment(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with our wheels. What they depend on is that of this process's environment, by a
    path that brings its packages but not its editable installs."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run((sys.executable, "-m", "venv", str(folder)), check=True, capture_output=True)
    python = folder / "bin" / "python"
    install = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps")
    subprocess.run((*install, *wheels.glob("*.whl")), check=True, capture_output=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder / "bin"


def files(wheels: Path, name: str) -> set[str]:
    (wheel,) = wheels.glob(f"{name.replace('-', '_')}-[0-9]*.whl")
    return {path for path in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in path}


def test_all_have_one_version_and_ask_for_it() -> None:
    projects = {name: project(name) for name in PROJECTS}
    (version,) = {each["version"] for each in projects.values()}
    for name in ("parley", "parley-client"):
        assert f"parley-protocol=={version}" in projects[name]["dependencies"]


def test_the_protocol_asks_for_the_versions_that_its_code_was_generated_by() -> None:
    text = (ROOT / "gen/parley/messaging/v1/service_pb2_grpc.py").read_text()
    grpcio = re.search(r"GRPC_GENERATED_VERSION = '([\d.]+)'", text)
    generated = (ROOT / "gen/parley/messaging/v1/service_pb2.py").read_text()
    protobuf = re.search(r"Protobuf Python Version: ([\d.]+)", generated)
    assert grpcio is not None
    assert protobuf is not None
    assert project("parley-protocol")["dependencies"] == [f"grpcio>={grpcio[1]}", f"protobuf>={protobuf[1]}"]


def test_no_file_is_in_two_wheels(wheels: Path) -> None:
    packages = {name: {path.split("/")[0] for path in files(wheels, name)} for name in PROJECTS}
    assert packages == {"parley": {"services"}, "parley-protocol": {"parley"}, "parley-client": {"parley_client"}}


def test_the_wheels_hold_every_module_and_every_migration(wheels: Path) -> None:
    folders = (ROOT / "services", ROOT / "clients" / "python" / "parley_client")
    paths = (path for folder in folders for path in folder.rglob("*") if "node_modules" not in path.parts)
    there = {str(path.relative_to(ROOT)) for path in paths if path.suffix in (".py", ".sql", ".typed")}
    assert files(wheels, "parley") == {path for path in there if path.startswith("services/")}
    own = {path.removeprefix("clients/python/") for path in there if path.startswith("clients/")}
    assert files(wheels, "parley-client") == own


def test_every_service_has_a_program() -> None:
    scripts = project("parley")["scripts"]
    services = {path.parent.name for path in ROOT.glob("services/*/__main__.py")}
    assert set(scripts) == {f"parley-{service}" for service in services} | {"parley-migrate"}
    for target in scripts.values():
        module, _, function = target.partition(":")
        assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize("service", STARTED)
def test_a_program_says_what_it_lacks_a_line_each(empty_environment: Path, tmp_path: Path, service: str) -> None:
    # Nothing but the programs' own folder: no variable of ours, no PYTHONPATH, no repository around.
    ended = subprocess.run(
        (empty_environment / f"parley-{service}",), cwd=tmp_path, env={}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2, ended.stderr
    lines = ended.stderr.splitlines()
    assert lines
    assert all(re.match(rf"{service}: PARLEY_[A-Z_]+ ", line) for line in lines), lines


def test_the_client_library_needs_nothing_but_what_it_asks_for(empty_environment: Path, tmp_path: Path) -> None:
    """Neither the services, nor what happens to be in the environment of this process."""
    code = """
import json, sys
before = set(sys.modules)
from importlib.metadata import packages_distributions
import parley_client, parley_client.error_details, parley_client.retries
owners = packages_distributions()
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps([parley_client.__file__, {name: owners[name] for name in loaded if name in owners}]))
"""
    python = empty_environment / "python"
    said = subprocess.run((python, "-c", code), cwd=tmp_path, env={}, capture_output=True, text=True, check=True)
    file, owners = json.loads(said.stdout)
    assert Path(file).is_relative_to(empty_environment.parent)
    asked = {re.split("[=>]", each)[0] for each in project("parley-client")["dependencies"]}
    # The last one is what grpcio itself asks for.
    allowed = asked | {"parley-client", "typing_extensions"}
    # Several distributions share the folder of `google`; grpc takes its own neighbours along where they are.
    others = {name: of for name, of in owners.items() if not allowed & set(of) and not name.startswith("grpc_")}
    assert others == {}
    assert asked <= {owner for of in owners.values() for owner in of}
    with_calls = (python, "-c", "import sys, parley_client.calls; print('services' in sys.modules)")
    said = subprocess.run(with_calls, cwd=tmp_path, env={}, capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"
