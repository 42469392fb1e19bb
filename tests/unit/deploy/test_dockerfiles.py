"""The Dockerfiles, as far as they can be read: every image is built somewhere, and has what it needs and no more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy.documents import read_yaml

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
PODMAN = DEPLOY / "k8s" / "podman"
SCRIPTS = [(PODMAN / "images").read_text(), (DEPLOY / "cluster" / "build-images").read_text()]
SCRIPT = SCRIPTS[0]
FILES = {path.relative_to(DEPLOY).as_posix(): path.read_text() for path in DEPLOY.rglob("Dockerfile*")}
# Who is only built from.
STAGES = {"base", "build", "runtime", "client", "server", "tools"}
# What a script puts beside a Dockerfile, from this machine.
BROUGHT = {"cluster/stores/Dockerfile": {"jdk", "jars"}}
# An image's line of the script, or the list of a loop over targets.
BUILT = re.compile(r"(?:--target |for target in )(.+?)(?: -t |; do)")


def stages(text: str) -> dict[str, str]:
    """What stands in each stage, by its name."""
    parts = re.split(r"^FROM (\S+) AS (\S+)$", text, flags=re.MULTILINE)[1:]
    return {name: body for _, name, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True)}


def built() -> set[str]:
    """The targets that `make k8s-run` and `make cluster-up` build."""
    found = [line for script in SCRIPTS for line in BUILT.findall(script)]
    return {target for line in found for target in line.split() if not target.startswith('"')}


def test_every_image_is_built_on_one_machine_at_least() -> None:
    """One that nobody builds is one of which nobody knows whether it can be built."""
    targets = {name for text in FILES.values() for name in stages(text)} - STAGES
    assert targets == built()


def test_envoys_image_has_the_program_and_none_of_the_tools_that_it_comes_with() -> None:
    envoy = stages(FILES["k8s/podman/Dockerfile"])["envoy"]
    copied = re.findall(r"^(?:COPY|ADD) (.+)$", envoy, re.MULTILINE)
    assert [line.split()[-1] for line in copied] == ["/usr/local/bin/envoy"]
    assert copied[0].startswith("--from=tools ")
    assert "pip" not in envoy


def test_envoys_image_is_called_as_dev_names_it() -> None:
    overlay = read_yaml((DEPLOY / "k8s" / "overlays" / "dev" / "kustomization.yaml").read_text())
    (tag,) = [image["newTag"] for image in overlay["images"] if image["name"] == "envoyproxy/envoy"]
    assert f"build --target envoy -t localhost/envoyproxy/envoy:{tag} " in SCRIPT


@pytest.mark.parametrize("name", FILES)
def test_every_stage_is_of_the_base_that_the_builder_names_or_of_another_stage(name: str) -> None:
    text = FILES[name]
    sources = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert set(sources) <= {"${BASE_IMAGE}", *stages(text)}
    assert set(re.findall(r"--from=(\S+)", text)) <= stages(text).keys()


@pytest.mark.parametrize("name", FILES)
def test_what_is_copied_from_the_repository_is_there(name: str) -> None:
    for line in re.findall(r"^COPY (?!--from)(.+)$", FILES[name], re.MULTILINE):
        for source in {*line.split()[:-1]} - BROUGHT.get(name, set()):
            folders = (DEPLOY.parent, (DEPLOY / name).parent)
            assert any([*folder.glob(source.removesuffix("/"))] for folder in folders), f"{name}: {source}"


def test_who_installs_parley_builds_every_image_that_production_names() -> None:
    overlay = read_yaml((DEPLOY / "k8s" / "overlays" / "production" / "kustomization.yaml").read_text())
    named = {image["name"].partition("/")[2] for image in overlay["images"] if image["name"].startswith("parley/")}
    text = (DEPLOY.parent / "docs" / "operations" / "install.md").read_text()
    loops = [target for line in re.findall(r"for target in ([^;]+);", text) for target in line.split()]
    assert named == {*loops, *re.findall(r"--target ([a-z-]+)", text)}
