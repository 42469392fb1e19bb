"""No task of a service is started past services/runtime/tasks.py, or forgets that it was cancelled: by the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SERVICES = ROOT / "services"
THE_WAY = SERVICES / "runtime" / "tasks.py"
# Whatever they are called on: a loop, a group, the module under any name.
STARTS = {"create_task", "ensure_future", "TaskGroup", "run_coroutine_threadsafe", "eager_task_factory"}
# In Python 3.11 it gives the result and forgets a cancellation that comes as the result does, so that a task that is
# stopped just then goes on for ever. `asyncio.timeout` does not.
FORGETS = {"wait_for"}
NEEDS_REASON = {"awaited", "detached"}


def past_the_way(source: str) -> Iterator[str]:
    """Each place where a source starts a task by itself, leaves out why one ends, or waits deaf to being cancelled."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.alias(name=name) if name in STARTS:
                yield f"{getattr(node, 'lineno', 0)}: {name}"
            case ast.Attribute(attr=name) | ast.alias(name=name) if name in FORGETS:
                yield f"{getattr(node, 'lineno', 0)}: {name} forgets a cancellation"
            case ast.Constant(value=str(name)) if name in STARTS | FORGETS:
                yield f"{node.lineno}: {name} by its name"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="asyncio"), attr="Task") | ast.Name(id="Task")):
                yield f"{node.lineno}: Task"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="tasks"), attr=name)) if name in NEEDS_REASON:
                reasons = [word.value for word in node.keywords if word.arg == "why"]
                if not (reasons and isinstance(reasons[0], ast.Constant) and str(reasons[0].value).strip()):
                    yield f"{node.lineno}: {name} without a reason"


def test_the_services_start_all_tasks_in_the_one_way() -> None:
    sources = [path for path in SERVICES.rglob("*.py") if "node_modules" not in path.parts and path != THE_WAY]
    assert len(sources) > 100
    found = [f"{path.relative_to(ROOT)}:{place}" for path in sources for place in past_the_way(path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio\nasyncio.create_task(f())",
        "import asyncio as aio\naio.ensure_future(f())",
        "from asyncio import create_task\ncreate_task(f())",
        "from asyncio import create_task as begin\nbegin(f())",
        "loop.create_task(f())",
        "async def g():\n    async with asyncio.TaskGroup() as group: group.create_task(f())",
        "asyncio.Task(f())",
        "getattr(asyncio, 'create_task')(f())",
        "asyncio.run_coroutine_threadsafe(f(), loop)",
        "asyncio.wait_for(f(), 1)",
        "from asyncio import wait_for as within\nwithin(f(), 1)",
        "tasks.awaited(f())",
        "tasks.detached(f(), name='x', why='')",
    ],
)
def test_a_task_past_the_way_is_found(source: str) -> None:
    assert list(past_the_way(source))


def test_what_is_as_it_should_be_is_not_found() -> None:
    assert not list(past_the_way("tasks.keep('x', f)\ntasks.awaited(f(), why='ends with the call')"))
