"""How a bug is put into a service's own process. What it changes must be there: else it would be no bug."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import count
from typing import Any


def of(module: str) -> Any:
    """A module of a service, to be changed."""
    return import_module(module)


def each(nth: int) -> Callable[[], bool]:
    """True each nth time."""
    numbers: Iterator[int] = count(1)
    return lambda: next(numbers) % nth == 0


def put(owner: Any, name: str, value: Any) -> None:
    """Something else in the place of what a module or a class has under this name. Raises AttributeError."""
    getattr(owner, name)
    setattr(owner, name, value)


def reword(module: Any, name: str, old: str, new: str) -> None:
    """A part of a statement is another one. Raises LookupError where the statement has no such part."""
    statement = getattr(module, name)
    if old not in statement:
        raise LookupError(f"{module.__name__}.{name} does not say {old!r}")
    setattr(module, name, statement.replace(old, new))
