"""The targets and their seeds: what a target lists itself, and the files in corpus/<target>/."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.work import LINES, LINES_PER_BYTE, counted

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus"


@dataclass(frozen=True)
class Target:
    """One reader of strangers' bytes."""

    name: str
    fuzz: Callable[[bytes], None]
    listed: tuple[bytes, ...]
    lines: int
    lines_per_byte: int

    def seeds(self) -> Iterator[tuple[str, bytes]]:
        """(name, input), those of the tree in order."""
        yield from ((f"listed-{number}", seed) for number, seed in enumerate(self.listed))
        yield from ((path.name, path.read_bytes()) for path in sorted((CORPUS / self.name).glob("*")))

    def count(self, data: bytes) -> int:
        """Runs it with its work counted."""
        return counted(self.fuzz, data, self.lines, self.lines_per_byte)


def names() -> list[str]:
    """Of all targets."""
    return sorted(path.stem for path in (HERE / "targets").glob("*.py") if path.stem != "__init__")


def load(name: str) -> Target:
    """A target by its name. Raises ModuleNotFoundError."""
    module = importlib.import_module(f"tests.fuzz.targets.{name}")
    lines = getattr(module, "LINES", LINES)
    return Target(name, module.fuzz, module.SEEDS, lines, getattr(module, "LINES_PER_BYTE", LINES_PER_BYTE))
