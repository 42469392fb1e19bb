"""Each process has one event loop: grpc.aio does not survive a loop that closes under it (docs/testing.md).

The places that start a loop are all in the table below; what is not there may make none, nor fork, nor take a loop for
less than the session. The rule is proved on seeded breaches.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TREES = ("services", "deploy", "loadtests", "clients", "tests")

# Who makes a loop, and how many times that stands there. Each is the entry of a process, but for the last ones.
ENTRIES = {
    "services/runtime/lifecycle.py": 1,
    "services/runtime/postgres/migrate.py": 1,
    "services/ops/wiring.py": 1,
    "deploy/cluster/commands.py": 1,
    "deploy/embedded/__main__.py": 1,
    "deploy/k8s/podman/topics.py": 1,
    "loadtests/scenario.py": 1,
    "loadtests/evening/flooder.py": 1,
    "loadtests/evening/generator.py": 1,
    "clients/python/examples/echo_by_stream.py": 1,
    "tests/contract/__main__.py": 1,
    "tests/contract/drivers/python_client.py": 1,
    "tests/faults/checker/prove.py": 1,
    "tests/faults/checker/run.py": 1,
    "loadtests/hop_floors/echo.py": 1,
    "loadtests/hop_floors/probe.py": 1,
    "loadtests/idle_devices/holder.py": 1,
    "loadtests/message_path/generator.py": 1,
    "loadtests/message_path/echo_hook.py": 1,
    # Each input of the fuzzer has a loop that begins and ends with it, without gRPC.
    "tests/fuzz/targets/requests.py": 2,
    # Reads a broker once, when a stack ends and no test runs.
    "tests/support/headers.py": 1,
    # Tests of browsers have no loop of their own meanwhile; all that is in these is closed inside them.
    "tests/e2e/operations.py": 2,
    # Without gRPC: a push service, which answers while the scenario runs.
    "tests/e2e/test_notifications.py": 1,
}
MAKERS = {
    "asyncio.run",
    "uvloop.run",
    *(f"{module}.{name}" for module in ("asyncio", "uvloop") for name in ("Runner", "new_event_loop", "install")),
    "asyncio.set_event_loop",
    "asyncio.set_event_loop_policy",
}
METHODS = {"run_until_complete", "run_forever"}
# A child shares grpc's sockets and threads with its parent, without the threads.
FORKS = {"os.fork", "os.forkpty", "multiprocessing", "concurrent.futures.ProcessPoolExecutor", "ProcessPoolExecutor"}
LAST_WORDS = {name.rpartition(".")[2] for name in MAKERS | FORKS} | METHODS


def breaches(source: str) -> Iterator[str]:
    """What makes a loop of its own, or forks, in a module."""
    names: dict[str, str] = {}
    nodes = list(ast.walk(ast.parse(source)))
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {each.asname or each.name: each.name for each in node.names}
            yield from (f"imports {each.name}" for each in node.names if each.name in FORKS)
        elif isinstance(node, ast.ImportFrom):
            names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
            yield from (f"imports {node.module}" for _ in node.names[:1] if node.module in FORKS)
    # Most calls are of none of these, and to write each out anew takes ten times as long as all the rest.
    suspects = LAST_WORDS | {name for name, whole in names.items() if whole in MAKERS | FORKS}
    for node in nodes:
        if isinstance(node, ast.Call) and (_last_word(node.func) in suspects or node.keywords):
            yield from _breaches_of(node, names)


def _last_word(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _breaches_of(call: ast.Call, names: dict[str, str]) -> Iterator[str]:
    first, _, rest = ast.unparse(call.func).partition(".")
    name = ".".join(part for part in (names.get(first, first), rest) if part)
    if name in MAKERS | FORKS or name.rpartition(".")[2] in METHODS:
        yield f"line {call.lineno}: {name}"
    for word in call.keywords:
        if word.arg == "loop_scope" and ast.unparse(word.value) != "'session'":
            yield f"line {call.lineno}: a loop for each {ast.unparse(word.value)}"


def _modules() -> list[str]:
    files = (path for tree in TREES for path in (ROOT / tree).rglob("*.py") if "node_modules" not in path.parts)
    return sorted(str(path.relative_to(ROOT)) for path in files)


def test_no_module_makes_a_loop_but_the_entries() -> None:
    found = {name: list(breaches((ROOT / name).read_text())) for name in _modules()}
    assert {name: len(of) for name, of in found.items() if of} == ENTRIES, {
        name: of for name, of in found.items() if len(of) != ENTRIES.get(name, 0)
    }


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio\nasyncio.run(main())",
        "from asyncio import run as go\ngo(main())",
        "import asyncio as a\nwith a.Runner() as runner: pass",
        "import asyncio\nloop = asyncio.new_event_loop()",
        "import uvloop\nuvloop.run(main())",
        "loop.run_until_complete(main())",
        "import os\nos.fork()",
        "from multiprocessing import Process",
        "pytestmark = pytest.mark.asyncio(loop_scope='module')",
    ],
)
def test_each_way_to_a_second_loop_is_seen(source: str) -> None:
    assert list(breaches(source))


def test_the_session_keeps_one_loop(request: pytest.FixtureRequest) -> None:
    scopes = ("asyncio_default_fixture_loop_scope", "asyncio_default_test_loop_scope")
    assert {request.config.getini(name) for name in scopes} == {"session"}
