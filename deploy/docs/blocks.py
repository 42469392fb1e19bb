"""The blocks of code in the documentation: `python -m deploy.docs.blocks` lists them, and how each is checked.

A fence says its language, and if nobody can check it, why: ```` ```sh unchecked: asks for a cluster ````. `text` is a
drawing or what a program prints. tests/unit/docs/test_code_blocks.py checks the others; the quick starts are run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from textwrap import dedent

from deploy.docs.pages import ROOT, sources

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>```+|~~~+) *(?P<info>[^`\n]*)$")
_UNCHECKED = re.compile(r"unchecked: *(.+)")


@dataclass(frozen=True)
class Block:
    """A block of a page, by the line of its fence. `unchecked` says why nobody can check it; empty: it is checked."""

    source: str
    line: int
    language: str
    unchecked: str
    text: str

    @property
    def place(self) -> str:
        """For people and editors."""
        return f"{self.source}:{self.line}"


def blocks(markdown: str, source: str = "") -> list[Block]:
    """All blocks of a text, in order. Raises ValueError for one that does not end."""
    found: list[Block] = []
    opened: re.Match[str] | None = None
    began, lines = 0, list[str]()
    for number, line in enumerate(markdown.splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is None:
            opened, began, lines = fence, number, []
        elif fence and fence["fence"].startswith(opened["fence"]) and not fence["info"]:
            language, _, rest = opened["info"].strip().partition(" ")
            reason = _UNCHECKED.fullmatch(rest.strip())
            text = dedent("\n".join(lines)) + "\n"
            found.append(Block(source, began, language, reason[1].strip() if reason else "", text))
            opened = None
        else:
            lines.append(line)
    if opened is not None:
        raise ValueError(f"{source}:{began}: a block that does not end")
    return found


def every_block() -> list[Block]:
    """Those of all pages of the repository."""
    return [block for source in sources() for block in blocks((ROOT / source).read_text(), source)]


def text_of(source: str, language: str, number: int = 0) -> str:
    """The n-th block of a language on a page, as a person copies it."""
    of_language = [block for block in blocks((ROOT / source).read_text(), source) if block.language == language]
    return of_language[number].text


def main() -> None:
    """Prints all, a line each."""
    for block in every_block():
        print(f"{block.place}: {block.language}{f' unchecked: {block.unchecked}' if block.unchecked else ''}")  # noqa: T201


if __name__ == "__main__":
    main()
