"""The layering of docs/style.md: what may import what inside services/. Seeded breaches below prove the rules."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT_FOLDER = Path(__file__).resolve().parents[2]

# A decision must be repeatable: time and randomness are arguments, and loops and logs belong to the shell.
IMPURE = {"asyncio", "time", "random", "logging", "secrets"}
MEDIA_LIBRARIES = {"aiortc", "aioice", "pylibsrtp", "cffi"}
OUTER_LIBRARIES = MEDIA_LIBRARIES | {"grpc", "asyncpg", "aiokafka", "aiohttp", "parley"}
# Tables of Unicode, of hosts and of forms of files as functions: no IO, no state, nothing that a clock or a system
# changes.
PURE_LIBRARIES = {"emoji", "regex", "idna", "puremagic"}
OUTER_RUNTIME = {"grpc", "kafka", "postgres"}
# Rules that all services share, a core's too: they import the standard library only.
PURE_RUNTIME = {
    *("user_ids", "device_ids", "client_ids", "uuids", "partitions", "quiet_hours", "reasons", "hosts"),
    *("backoff", "webhook_secrets", "characters", "web_hosts"),
}
# The folders of runtime: each uses those after it, and the files beside them, but lifecycle.py, which is above all.
RUNTIME_FOLDERS = ("delivery", "grpc", "limits", "identity", "postgres", "kafka", "http", "observability")
# What a service is made of, as files or as folders. A folder that holds one of these is a feature: a part of a large
# service with the files of a service.
FEATURE_LAYERS = {"core", "ports", "service", "rpc", "sql", "mapping", "store", "consumer", "wiring"}
# Below the features of a service: what all of them use, and how it is told and stored.
FOUNDATION = {"kernel", "wire"}
# What speaks to the outside. Only wiring puts them together with the rest.
ADAPTERS = {"rpc", "consumer", "store", "publisher", "clients", "scanner", "uplink", "membership"}
ADAPTERS |= {"sql", "mapping", "wire", "export"}
# What adapters may import of other adapters: how things are told and stored; statements, those of features below.
BESIDE = {
    "rpc": {"mapping", "wire"},
    "export": {"mapping", "wire"},
    "consumer": {"mapping", "wire"},
    "publisher": {"mapping", "wire"},
    "clients": {"mapping", "wire"},
    "sql": {"sql", "mapping", "wire"},
    "mapping": {"wire"},
    "wire": {"wire"},
}

# What each layer may import of its own service; other files may import all but the adapters.
OWN_IMPORTS = {
    "kernel": {"kernel"},
    "core": {"kernel", "core"},
    "ports": {"kernel", "core", "ports"},
    "wire": {"kernel", "wire", "metrics"},
    "config": {"kernel", "core", "config"},
    "metrics": {"core", "ports", "metrics"},
    "__main__": {"config", "wiring"},
}
# The layers that decide, and those that say what is needed.
PURE = {"kernel", "core", "ports"}
# At the root of a service that is features over a kernel.
ROOT = {"__init__", "__main__", "config", "metrics", "wiring", "rpc", "migrations", "README", "kernel", "wire"}


class Place(NamedTuple):
    """Where a module stands in its service; the feature is empty at the root."""

    feature: str
    layer: str


def features_of(service: str, root: Path = ROOT_FOLDER) -> set[str]:
    """The features of a service, as its folders have them. Runtime has none: its folders have their own order."""
    if service == "runtime":
        return set()
    folders = [folder for folder in (root / "services" / service).glob("*/") if (folder / "__init__.py").exists()]
    return {
        folder.name
        for folder in folders
        if folder.name not in FEATURE_LAYERS | FOUNDATION
        and FEATURE_LAYERS & {inner.stem for inner in folder.iterdir() if inner.suffix == ".py" or inner.is_dir()}
    }


def breaches(module: str, source: str) -> Iterator[str]:
    """What is wrong with the imports of one module; `module` is its dotted name."""
    _, service, *inside = module.split(".")
    place = _place(service, inside)
    for name in _imports(module, source):
        reason = _breach(service, place, name.split("."))
        if reason:
            yield f"{module} imports {name}: {reason}"


def _breach(service: str, place: Place, imported: list[str]) -> str | None:
    top = imported[0]
    if top == "services":
        other, *inside = imported[1:] or [""]
        if other == service:
            return _own_breach(service, place, _place(service, inside))
        return _foreign_breach(service, place.layer, other, inside)
    is_pure = place.layer in PURE or (service == "runtime" and place.layer in PURE_RUNTIME)
    if is_pure and top not in sys.stdlib_module_names | PURE_LIBRARIES:
        return "the standard library only"
    if place.layer in PURE - {"ports"} and top in IMPURE:
        return "time, randomness and loops are not for a core"
    if place.layer == "service" and top in OUTER_LIBRARIES:
        return "use-cases reach the outside through ports"
    return None


def _place(service: str, inside: list[str]) -> Place:
    feature = inside[0] if inside and inside[0] in FEATURES[service] else ""
    within = inside[1:] if feature else inside
    return Place(feature, within[0] if within else "__init__")


def _own_breach(service: str, place: Place, target: Place) -> str | None:
    if service == "runtime":
        return _runtime_breach(place.layer, target.layer)
    if place.layer == "wiring":
        return None
    if target.feature and place.layer in FOUNDATION:
        return f"{place.layer} is below the features"
    if place.layer in OWN_IMPORTS and target.layer not in OWN_IMPORTS[place.layer]:
        return f"{place.layer} may import {', '.join(sorted(OWN_IMPORTS[place.layer]))} only"
    if target.layer in ADAPTERS and not _is_beside(place, target):
        return "only wiring may import adapters, and adapters those that they stand on"
    return None


def _is_beside(place: Place, target: Place) -> bool:
    """Whether a module may import this adapter."""
    if place.layer == target.layer and (place.feature == target.feature or not place.feature):
        # One adapter in several files; and at the root, what puts those of the features together.
        return True
    is_anothers_mapping = target.layer == "mapping" and target.feature not in ("", place.feature)
    return target.layer in BESIDE.get(place.layer, ()) and not is_anothers_mapping


def needed_features(service: str, modules: Mapping[str, str]) -> dict[str, set[str]]:
    """For each feature of a service, the other features that its modules import anything of."""
    needed: dict[str, set[str]] = {feature: set() for feature in FEATURES[service]}
    for module, source in modules.items():
        _, owner, *inside = module.split(".")
        feature = _place(owner, inside).feature if owner == service else ""
        if not feature:
            continue
        for name in _imports(module, source):
            top, other, *within = [*name.split("."), ""]
            if (top, other) == ("services", service):
                needed[feature] |= {_place(service, within).feature} - {feature, ""}
    return needed


def circles(needed: Mapping[str, set[str]]) -> set[str]:
    """The features that need each other; none where all point one way."""
    left = {feature: set(others) for feature, others in needed.items()}
    while free := {feature for feature, others in left.items() if not others}:
        left = {feature: others - free for feature, others in left.items() if feature not in free}
    return set(left)


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
    if layer in PURE:
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
    files = (path for path in (ROOT_FOLDER / "services").rglob("*.py") if "node_modules" not in path.parts)
    named = {".".join(path.relative_to(ROOT_FOLDER).with_suffix("").parts): path.read_text() for path in files}
    return {name: source for name, source in named.items() if name != "services.__init__"}


FEATURES = defaultdict(
    set, {folder.name: features_of(folder.name) for folder in (ROOT_FOLDER / "services").iterdir() if folder.is_dir()}
)


def test_every_import_in_services_follows_the_layers() -> None:
    found = [breach for module, source in _modules().items() for breach in breaches(module, source)]
    assert not found, "\n".join(found)


def test_every_service_is_looked_at() -> None:
    looked_at = {module.split(".")[1] for module in _modules()}
    assert {path.name for path in (ROOT_FOLDER / "services").iterdir() if (path / "__main__.py").exists()} <= looked_at
    assert "runtime" in looked_at


def test_features_point_one_way() -> None:
    modules = _modules()
    for service in FEATURES:
        assert not circles(needed_features(service, modules)), service


def test_features_are_the_folders_that_hold_the_files_of_a_service(tmp_path: Path) -> None:
    service = tmp_path / "services" / "shop"
    for name in ("orders/sql", "kernel", "wire", "core", "shelf"):
        (service / name).mkdir(parents=True)
        (service / name.split("/")[0] / "__init__.py").touch()
    for name in ("kernel/ports.py", "wire/mapping.py", "core/service.py", "shelf/books.py"):
        (service / name).touch()
    assert features_of("shop", tmp_path) == {"orders"}
    (service / "shelf" / "ports.py").touch()
    assert features_of("shop", tmp_path) == {"orders", "shelf"}


def misplaced(service: Path) -> set[str]:
    """What does not belong into a service of features over a kernel: files of no layer, in a feature or at the root."""
    at_root = {inner.name for inner in service.iterdir() if inner.stem not in ROOT | FEATURES[service.name]}
    in_features = {
        f"{feature}/{inner.name}"
        for feature in FEATURES[service.name]
        for inner in (service / feature).iterdir()
        if inner.stem not in FEATURE_LAYERS | ADAPTERS | {"__init__"}
    }
    return {name for name in at_root | in_features if "__pycache__" not in name}


def test_in_a_service_over_a_kernel_every_file_is_a_layers() -> None:
    services = [folder.parent for folder in (ROOT_FOLDER / "services").glob("*/kernel")]
    assert services
    for service in services:
        assert not misplaced(service)


def test_a_file_of_no_layer_is_found(tmp_path: Path) -> None:
    service = tmp_path / "messaging"
    for feature in FEATURES["messaging"]:
        (service / feature / "service").mkdir(parents=True)
    assert not misplaced(service)
    (service / "groups" / "bans.py").touch()
    (service / "encoding.py").touch()
    assert misplaced(service) == {"groups/bans.py", "encoding.py"}


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("services.messaging.groups.service", "from services.messaging.vanishing.core import end_of_old"),
        ("services.messaging.conversations.sql.requests", "from services.messaging.messages.sql import erasing"),
        ("services.messaging.relations.ports", "from services.messaging.conversations.ports import ConversationStore"),
        ("services.messaging.attachments.rpc", "def late():\n    from services.messaging.messages import core"),
    ],
)
def test_a_feature_that_needs_one_that_needs_it_is_found(module: str, line: str) -> None:
    modules = _modules()
    found = circles(needed_features("messaging", {**modules, module: f"{modules[module]}\n{line}\n"}))
    assert module.split(".")[2] in found


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("services.runtime.kafka.bus", "from services.messaging.kernel import UserId"),
        ("services.runtime.kafka.bus", "from services.runtime.postgres import outbox"),
        ("services.runtime.identity.jwks", "from services.runtime.grpc.guard import Access"),
        ("services.runtime.http.reading", "from services.runtime.lifecycle import App"),
        ("services.gateway.uplink", "from services.presence.core import Router"),
        ("services.gateway.uplink", "import services.presence.core"),
        ("services.messaging.kernel", "import asyncio"),
        ("services.runtime.user_ids", "import structlog"),
        ("services.runtime.user_ids", "from services.runtime.clock import Clock"),
        ("services.runtime.device_ids", "import structlog"),
        ("services.messaging.kernel", "from time import monotonic"),
        ("services.messaging.kernel", "import structlog"),
        ("services.messaging.kernel", "from services.runtime.clock import Clock"),
        ("services.messaging.kernel", "from parley.messaging.v1 import messages_pb2"),
        ("services.messaging.kernel", "def late():\n    import random"),
        ("services.signaling.core.calls", "from services.signaling.sql.store import PostgresStore"),
        ("services.signaling.core.calls", "from ..store import PostgresStore"),
        ("services.sfu.core.session.router", "import pylibsrtp"),
        ("services.sfu.core.session.router", "from aiortc import rtp"),
        ("services.messaging.messages.ports", "import asyncpg"),
        ("services.messaging.messages.ports", "from services.messaging.messages.service.sending import Sending"),
        ("services.messaging.messages.service.sending", "from services.messaging.messages import sql"),
        ("services.messaging.messages.service.sending", "from services.runtime.postgres.database import Database"),
        ("services.messaging.messages.service.sending", "import grpc"),
        ("services.messaging.rpc", "from services.messaging.messages.sql.store import PostgresMessages"),
        ("services.messaging.relations.core", "import asyncio"),
        (
            "services.messaging.relations.service",
            "from services.messaging.relations.sql.store import PostgresRelations",
        ),
        ("services.messaging.relations.ports", "from services.messaging.messages.service.sending import Sending"),
        ("services.messaging.__main__", "from services.messaging.messages.service.sending import Sending"),
        # The kernel and the wire are below the features.
        ("services.messaging.kernel.access", "from services.messaging.messages.core import changes"),
        ("services.messaging.kernel.access", "from services.messaging.wire.values import to_timestamp"),
        ("services.messaging.kernel.access", "from services.messaging import metrics"),
        ("services.messaging.wire.api", "from services.messaging.groups.core.changes import Ban"),
        ("services.messaging.wire.storage", "from services.messaging.attachments.sql import messages"),
        # Use-cases know neither how things are told nor how they are stored; nor do decisions.
        ("services.messaging.groups.service", "from services.messaging.wire.api import conversation_message"),
        ("services.messaging.groups.service", "from services.messaging.groups.mapping import ban_message"),
        ("services.messaging.groups.service", "from services.messaging.conversations.sql import conversations"),
        ("services.messaging.groups.core", "from services.messaging.wire.values import to_timestamp"),
        ("services.messaging.groups.core", "from services.messaging.relations.service import Relations"),
        ("services.messaging.groups.ports", "from services.messaging.relations.service import Relations"),
        # An adapter does not go through another one's outside.
        ("services.messaging.groups.rpc", "from services.messaging.groups.sql.store import PostgresGroups"),
        ("services.messaging.groups.rpc", "from services.messaging.conversations.rpc import ConversationsRpcs"),
        ("services.messaging.groups.rpc", "from services.messaging.relations.mapping import settings_message"),
        ("services.messaging.groups.sql.store", "from services.messaging.groups.rpc import ERRORS"),
        ("services.messaging.groups.mapping", "from services.messaging.groups.sql.store import PostgresGroups"),
        ("services.messaging.search.consumer", "from services.messaging.search.sql import PostgresSearch"),
        ("services.messaging.attachments.scanner", "from services.messaging.attachments.clients import S3Objects"),
        ("services.messaging.wire.events", "from services.messaging.rpc import ERRORS"),
    ],
)
def test_seeded_breach_is_found(module: str, line: str) -> None:
    assert list(breaches(module, line))


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("services.messaging.kernel", "from dataclasses import dataclass"),
        ("services.signaling.core.calls", "from services.signaling.core.model import Call"),
        ("services.signaling.core.calls", "from .model import Call"),
        ("services.messaging.messages.service.sending", "from services.runtime.clock import Clock"),
        ("services.messaging.messages.service.sending", "import asyncio"),
        ("services.messaging.wiring", "from services.messaging.messages.sql.store import PostgresMessages"),
        ("services.messaging.messages.sql.store", "from services.runtime.postgres.database import Database"),
        ("services.messaging.relations.service", "from services.messaging.relations.ports import Relations"),
        ("services.messaging.relations.core", "from services.messaging.kernel.model import UserId"),
        ("services.messaging.groups.core", "from services.messaging.relations.core.reach import admit"),
        ("services.messaging.groups.service", "from services.messaging.relations.service import admissions"),
        (
            "services.messaging.groups.sql.store",
            "from services.messaging.messages.sql.appending import insert_messages",
        ),
        ("services.messaging.groups.sql.store", "from services.messaging.wire.events import message_sent"),
        ("services.messaging.groups.rpc", "from services.messaging.groups.mapping import ban_message"),
        ("services.messaging.rpc", "from services.messaging.groups.rpc import ERRORS"),
        ("services.messaging.wire.events", "from services.messaging.wire.api import message_message"),
        ("services.sfu.srtp", "import pylibsrtp"),
        ("services.runtime.postgres.outbox", "from services.runtime.kafka.bus import Outgoing"),
        ("services.runtime.kafka.bus", "from services.runtime.clock import Clock"),
    ],
)
def test_import_that_the_layers_allow_is_not_reported(module: str, line: str) -> None:
    assert not list(breaches(module, line))
