"""The arrows between the folders of services/sfu/core: each may import the folders after it, and none before it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[3] / "services" / "sfu" / "core"
NAME = "services.sfu.core"
# What is said, by whom to whom; what of it a receiver gets; how packets go there; what the way bears; what bytes mean.
FOLDERS = ("session", "selection", "forwarding", "congestion", "wire")
# Beside the folders, for all of them; they import nothing of the core.
SHARED = {"errors", "ids"}
# Constants and dataclasses: there is nothing to test in them.
DATA = {*SHARED, "effects", "tunables"}


def breaches(module: str, source: str) -> Iterator[str]:
    """What is wrong with the imports of one module; `module` is its dotted name."""
    own = _inside(module)
    for imported in _imports(source):
        target = _inside(imported)
        if target in SHARED or target is None:
            continue
        if own in SHARED:
            yield f"{module} imports {imported}: {own} is below the folders"
        elif target not in FOLDERS:
            yield f"{module} imports {imported}: no folder of the core"
        elif FOLDERS.index(target) < FOLDERS.index(own or ""):
            yield f"{module} imports {imported}: {own} is below {target}"


def _inside(module: str) -> str | None:
    """The folder or shared module of a dotted name; None outside of the core."""
    return module.removeprefix(NAME + ".").split(".")[0] if module.startswith(NAME + ".") else None


def _imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports in the SFU are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _modules() -> dict[str, str]:
    files = (path for path in CORE.rglob("*.py") if path.name != "__init__.py")
    return {".".join((NAME, *path.relative_to(CORE).with_suffix("").parts)): path.read_text() for path in files}


def test_the_arrows_between_the_folders_point_one_way() -> None:
    found = [breach for module, source in _modules().items() for breach in breaches(module, source)]
    assert not found, "\n".join(found)


def test_every_module_of_the_core_is_in_a_folder_or_shared_by_all() -> None:
    assert {_inside(module) for module in _modules()} == {*FOLDERS, *SHARED}


def test_every_module_of_the_core_has_a_test_file() -> None:
    tested = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert {module.rpartition(".")[2] for module in _modules()} - DATA <= tested


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("wire.rtp", f"from {NAME}.congestion.stats import RateMeter"),
        ("congestion.uplink", f"from {NAME}.forwarding.publications import Publication"),
        ("congestion.downlink", f"import {NAME}.session.budgets"),
        ("forwarding.slots", f"from {NAME}.session.effects import SendMedia"),
        ("forwarding.publications", f"def late():\n    from {NAME}.selection import layers"),
        ("selection.layer_selection", f"from {NAME}.session.participants import Participant"),
        ("selection.speakers", f"from {NAME} import session"),
        ("ids", f"from {NAME}.wire.rtp import RtpHeader"),
        ("session.calls", f"from {NAME}.router import Router"),
    ],
)
def test_seeded_breach_is_found(module: str, line: str) -> None:
    assert list(breaches(f"{NAME}.{module}", line))


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("session.router", f"from {NAME}.wire.rtp import parse_header"),
        ("selection.layer_selection", f"from {NAME}.forwarding.slots import ReceiveSlot"),
        ("forwarding.slots", f"from {NAME}.congestion.downlink import DownlinkPath"),
        ("forwarding.slots", f"from {NAME}.forwarding.offsets import Offsets"),
        ("wire.framing", f"from {NAME}.errors import PacketError"),
        ("wire.rtp", "from typing import Final"),
    ],
)
def test_import_that_follows_the_arrows_is_not_reported(module: str, line: str) -> None:
    assert not list(breaches(f"{NAME}.{module}", line))
