"""A context manager ends what it began also when its block fails. The rule is proved on seeded breaches."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TREES = ("services", "deploy", "loadtests", "clients", "tests")
DECORATORS = {"contextmanager", "asynccontextmanager"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def breaches(source: str) -> Iterator[str]:
    """The context managers in which something stands behind a bare yield: a block that fails never gets there."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, FUNCTIONS) and DECORATORS & {_name(each) for each in node.decorator_list}:
            yield from (f"line {line}: {node.name}" for line in _bare(node.body))


def _bare(body: list[ast.stmt]) -> Iterator[int]:
    for statement, following in zip_longest(body, body[1:]):
        if isinstance(statement, ast.If):
            yield from _bare(statement.body)
            yield from _bare(statement.orelse)
        elif isinstance(statement, ast.With | ast.AsyncWith):
            yield from _bare(statement.body)
        elif _yields(statement) and following is not None and not isinstance(following, ast.Return):
            yield statement.lineno


def _yields(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr | ast.Assign) and any(
        isinstance(node, ast.Yield) for node in ast.walk(statement)
    )


def _name(decorator: ast.expr) -> str:
    return ast.unparse(decorator).rpartition(".")[2]


def test_every_context_manager_ends_what_it_began() -> None:
    files = (path for tree in TREES for path in (ROOT / tree).rglob("*.py") if "node_modules" not in path.parts)
    found = {str(path.relative_to(ROOT)): list(breaches(path.read_text())) for path in files}
    assert {name: of for name, of in found.items() if of} == {}


@pytest.mark.parametrize(
    ("body", "is_breach"),
    [
        ("await a.start()\n    yield a\n    await a.stop()", True),
        ("async with a:\n        yield a\n        await a.stop()", True),
        ("if a:\n        yield a\n        await a.stop()\n    else:\n        yield b", True),
        ("try:\n        yield a\n    finally:\n        await a.stop()", False),
        ("async with a:\n        yield a", False),
        ("if a:\n        yield a\n        return\n    yield b", False),
        ("with pytest.raises(E) as caught:\n        yield a\n    assert caught", False),
    ],
)
def test_a_breach_is_seen_and_an_end_in_order_is_none(body: str, is_breach: bool) -> None:
    source = f"@asynccontextmanager\nasync def make():\n    {body}\n"
    assert bool(list(breaches(source))) is is_breach
