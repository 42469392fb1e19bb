"""What the client library may import: it stands on its own, and only calls need a media library."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import parley_client

PACKAGE = Path(parley_client.__file__).parent
OURS = {"services", "deploy", "loadtests", "tests"}
MEDIA_LIBRARIES = {"aiortc", "av", "numpy"}
# The modules of the extra `calls`, as the README lists them.
OF_CALLS = {"session", "calls", "media", "repairs", "tracks", "signals"}


def imports(path: Path) -> Iterator[str]:
    """What a module imports when it is imported: neither for its types alone, nor when a function is called."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


MODULES = {path.stem: set(imports(path)) for path in PACKAGE.glob("*.py")}


def test_nothing_of_the_repository_is_imported_but_the_protocol() -> None:
    assert len(MODULES) > 10
    tops = {name.partition(".")[0] for imported in MODULES.values() for name in imported}
    assert tops & OURS == set()


def test_only_calls_need_a_media_library() -> None:
    for module in MODULES.keys() - OF_CALLS:
        parts = [name.split(".") for name in MODULES[module]]
        assert {part[0] for part in parts} & MEDIA_LIBRARIES == set(), module
        assert {part[1] for part in parts if part[0] == "parley_client"} & OF_CALLS == set(), module
