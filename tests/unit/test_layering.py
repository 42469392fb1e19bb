"""The layering of docs/style.md: what may import what inside services/. Seeded breaches below prove the rules."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A decision must be repeatable: time and randomness are arguments, and loops and logs belong to the shell.
IMPURE = {"asyncio", "time", "random", "logging", "secrets"}
MEDIA_LIBRARIES = {"aiortc", "aioice", "pylibsrtp", "cffi"}
OUTER_LIBRARIES = MEDIA_LIBRARIES | {"grpc", "asyncpg", "aiokafka", "aiohttp", "parley"}
# Tables of Unicode, of hosts and of forms of files as functions: no IO, no state, nothing that a clock or a system
# changes.
PURE_LIBRARIES = {"emoji", "regex", "idna", "puremagic"}
OUTER_RUNTIME = {"grpc", "kafka", "postgres"}
# Rules that all services share, a core's too: they import the standard library only.
PURE_RUNTIME = {"user_ids"}
# The folders of runtime: each uses those after it, and the files beside them, but lifecycle.py, which is above all.
RUNTIME_FOLDERS = ("grpc", "limits", "identity", "postgres", "kafka", "http", "observability")
# Parts of a large service that have the files of a service themselves; among each other they are one service.
FEATURES = {"groups", "relations", "receipts", "vanishing", "attachments", "accounts", "pod"}
# What speaks to the outside. Only wiring puts them together with the rest.
ADAPTERS = {"rpc", "consumer", "store", "publisher", "clients", "scanner", "uplink", "membership"}

# What each layer may import of its own service; other files may import all but the adapters.
OWN_IMPORTS = {
    "core": {"core"},
    "ports": {"core", "ports"},
    "config": {"core", "config"},
    "metrics": {"core", "ports", "metrics"},
    "__main__": {"config", "wiring"},
}


def breaches(module: str, source: str) -> Iterator[str]:
    """What is wrong with the imports of one module; `module` is its dotted name."""
    _, service, *inside = module.split(".")
    layer = _layer(inside)
    for name in _imports(module, source):
        reason = _breach(service, layer, name.split("."))
        if reason:
            yield f"{module} imports {name}: {reason}"


def _breach(service: str, layer: str, imported: list[str]) -> str | None:
    top = imported[0]
    if top == "services":
        other, *inside = imported[1:] or [""]
        if other == service:
            return _own_breach(service, layer, _layer(inside))
        return _foreign_breach(service, layer, other, inside)
    if (
        layer in ("core", "ports") or (service == "runtime" and layer in PURE_RUNTIME)
    ) and top not in sys.stdlib_module_names | PURE_LIBRARIES:
        return "the standard library only"
    if layer == "core" and top in IMPURE:
        return "time, randomness and loops are not for a core"
    if layer == "service" and top in OUTER_LIBRARIES:
        return "use-cases reach the outside through ports"
    return None


def _layer(inside: list[str]) -> str:
    within = inside[1:] if inside and inside[0] in FEATURES else inside
    return within[0] if within else "__init__"


def _own_breach(service: str, layer: str, target: str) -> str | None:
    if service == "runtime":
        return _runtime_breach(layer, target)
    if layer == "wiring":
        return None
    if layer in OWN_IMPORTS and target not in OWN_IMPORTS[layer]:
        return f"{layer} may import {', '.join(sorted(OWN_IMPORTS[layer]))} only"
    if target in ADAPTERS and target != layer:
        return "only wiring may import adapters"
    return None


def _runtime_breach(folder: str, target: str) -> str | None:
    if folder in PURE_RUNTIME and target not in PURE_RUNTIME:
        return "the standard library only"
    if folder not in RUNTIME_FOLDERS:
        return None
    if target == "lifecycle":
        return "lifecycle.py stands above the folders"
    if target in RUNTIME_FOLDERS and RUNTIME_FOLDERS.index(target) < RUNTIME_FOLDERS.index(folder):
        return f"{folder} is below {target}"
    return None


def _foreign_breach(service: str, layer: str, other: str, inside: list[str]) -> str | None:
    if other != "runtime":
        return "services meet through the generated protocol only"
    if layer in ("core", "ports"):
        return None if inside and inside[0] in PURE_RUNTIME else "the standard library only"
    if layer == "service" and inside and inside[0] in OUTER_RUNTIME:
        return "use-cases reach the outside through ports"
    return None


def _imports(module: str, source: str) -> Iterator[str]:
    """Dotted names, one for each imported thing, whether it is a module or stands inside one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [node.module] if node.module else []
            if node.level:
                base = [*module.split(".")[: -node.level], *base]
            yield from (".".join([*base, alias.name]) for alias in node.names)


def _modules() -> dict[str, str]:
    files = (path for path in (ROOT / "services").rglob("*.py") if "node_modules" not in path.parts)
    named = {".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text() for path in files}
    return {name: source for name, source in named.items() if name != "services.__init__"}


def test_every_import_in_services_follows_the_layers() -> None:
    found = [breach for module, source in _modules().items() for breach in breaches(module, source)]
    assert not found, "\n".join(found)


def test_every_service_is_looked_at() -> None:
    looked_at = {module.split(".")[1] for module in _modules()}
    assert {path.name for path in (ROOT / "services").iterdir() if (path / "__main__.py").exists()} <= looked_at
    assert "runtime" in looked_at


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("services.runtime.kafka.bus", "from services.messaging.core import UserId"),
        ("services.runtime.kafka.bus", "from services.runtime.postgres import outbox"),
        ("services.runtime.identity.jwks", "from services.runtime.grpc.guard import Access"),
        ("services.runtime.http.reading", "from services.runtime.lifecycle import App"),
        ("services.gateway.uplink", "from services.presence.core import Router"),
        ("services.gateway.uplink", "import services.presence.core"),
        ("services.messaging.core", "import asyncio"),
        ("services.messaging.core", "from time import monotonic"),
        ("services.messaging.core", "import structlog"),
        ("services.messaging.core", "from services.runtime.clock import Clock"),
        ("services.runtime.user_ids", "import structlog"),
        ("services.runtime.user_ids", "from services.runtime.clock import Clock"),
        ("services.messaging.core", "from parley.messaging.v1 import messages_pb2"),
        ("services.messaging.core", "def late():\n    import random"),
        ("services.signaling.core.calls", "from services.signaling.store import PostgresStore"),
        ("services.signaling.core.calls", "from ..store import PostgresStore"),
        ("services.sfu.core.router", "import pylibsrtp"),
        ("services.sfu.core.router", "from aiortc import rtp"),
        ("services.messaging.ports", "import asyncpg"),
        ("services.messaging.ports", "from services.messaging.service import Messaging"),
        ("services.messaging.service", "from services.messaging import store"),
        ("services.messaging.service", "from services.runtime.postgres.database import Database"),
        ("services.messaging.service", "import grpc"),
        ("services.messaging.rpc", "from services.messaging.store import PostgresStore"),
        ("services.messaging.relations.core", "import asyncio"),
        ("services.messaging.relations.service", "from services.messaging.relations.store import RelationStore"),
        ("services.messaging.relations.ports", "from services.messaging.service import Messaging"),
        ("services.messaging.__main__", "from services.messaging.service import Messaging"),
    ],
)
def test_seeded_breach_is_found(module: str, line: str) -> None:
    assert list(breaches(module, line))


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("services.messaging.core", "from dataclasses import dataclass"),
        ("services.messaging.core", "from services.runtime.user_ids import is_user_id"),
        ("services.signaling.core.calls", "from services.signaling.core.model import Call"),
        ("services.signaling.core.calls", "from .model import Call"),
        ("services.messaging.service", "from services.runtime.clock import Clock"),
        ("services.messaging.service", "import asyncio"),
        ("services.messaging.wiring", "from services.messaging.store import PostgresStore"),
        ("services.messaging.store", "from services.runtime.postgres.database import Database"),
        ("services.messaging.relations.service", "from services.messaging.relations.ports import Relations"),
        ("services.messaging.relations.core", "from services.messaging.core.model import UserId"),
        ("services.sfu.srtp", "import pylibsrtp"),
        ("services.runtime.postgres.outbox", "from services.runtime.kafka.bus import Outgoing"),
        ("services.runtime.kafka.bus", "from services.runtime.clock import Clock"),
    ],
)
def test_import_that_the_layers_allow_is_not_reported(module: str, line: str) -> None:
    assert not list(breaches(module, line))
