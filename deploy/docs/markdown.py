"""The form of Markdown: prose wrapped at 100 columns, tables and code as they are.

`python -m deploy.docs.markdown` brings every file into it, `--check` only says which are not.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import mdformat

from deploy.docs.pages import ROOT, sources

WIDTH = 100
_SEPARATOR = re.compile(r"^\|(?: :?-+:? \|)+$", re.MULTILINE)


def formatted(text: str) -> str:
    """The text in the form of this repository. Idempotent."""
    options = {"wrap": WIDTH, "number": True, "compact_tables": True, "no_mkdocs_math": True}
    done = mdformat.text(text, options=options, extensions={"gfm", "tables", "mkdocs"})
    done = _SEPARATOR.sub(lambda row: re.sub("-+", "---", row[0].replace(" ", "")), done)
    return "\n".join(_without_double_spaces(line) if line.startswith("|") else line for line in done.split("\n"))


def _without_double_spaces(row: str) -> str:
    """An empty cell is one space wide."""
    while "|  |" in row:
        row = row.replace("|  |", "| |")
    return row


def main(arguments: list[str]) -> int:
    """Rewrite what is not in form, or with `--check` name it. The exit status: 1 when something was named."""
    wrong = []
    for name in sources():
        path = Path(ROOT / name)
        text = path.read_text()
        done = formatted(text)
        if done != text:
            wrong.append(name)
            if "--check" not in arguments:
                path.write_text(done)
    for name in wrong:
        print(f"{name}: {'not in form (make format)' if '--check' in arguments else 'brought into form'}")  # noqa: T201
    return 1 if wrong and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
