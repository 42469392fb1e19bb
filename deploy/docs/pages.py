"""Which Markdown files are pages of the site, and where a link between them leads."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

ROOT = Path(__file__).resolve().parents[2]
# Folders that hold no text of ours.
_FOREIGN = {"node_modules", "build", "gen", "corpus"}
# Source files by the end of their path, and what is in them: `runtime/postgres/outbox.py: OutboxRelay`, `core.py`.
_IN_SHORT = re.compile(r"`([\w-][\w./-]*\.(?:py|tsx?|mjs))(?:: ([a-z_A-Z]\w*))?`")
_PLACEHOLDER = re.compile(r"[A-Z]+\.")
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^()\s]+)\)")
_FENCE = re.compile(r"^ *(```|~~~)")
_NAMED = re.compile(r"`((?:tests|services|deploy|loadtests|clients)/[\w./-]+\.(?:py|ts|mjs|yaml))(?:::(\w+))?`")


@cache
def sources(root: Path = ROOT) -> list[str]:
    """Every Markdown file of the repository, by its path from the root."""
    return _files(root, (".md",))


def site_path(source: str) -> str:
    """The page of a Markdown file: `docs/design.md` is `design.md`, `services/web/README.md` is `services/web.md`."""
    if source == "README.md":
        return "index.md"
    if source.startswith("docs/"):
        return source.removeprefix("docs/")
    if source.endswith("/README.md"):
        return source.removesuffix("/README.md") + ".md"
    return source.lower() if "/" not in source else source


def with_links(markdown: str, source: str, pages: dict[str, str], complain: Callable[[str], None]) -> str:
    """The text with its links as the site needs them: to pages by their place there, to other files as plain words.

    `pages` has the site path of each source. `complain` hears of each link that leads to nothing.
    """

    def changed(match: re.Match[str]) -> str:
        target, _, anchor = match["target"].partition("#")
        if ":" in target or not target:
            return match[0]
        path = normpath(str(PurePosixPath(source).parent / target))
        page = pages.get(path) or pages.get(f"{path}/README.md")
        if page:
            place = relpath(page, str(PurePosixPath(pages[source]).parent))
            return f"{match['image']}[{match['text']}]({place}{'#' if anchor else ''}{anchor})"
        if not (ROOT / path).exists():
            complain(f"{source}: the link {match['target']} leads to nothing")
        return match["text"]

    return "".join(line if is_code else _LINK.sub(changed, line) for line, is_code in _lines(markdown))


def unknown_names(markdown: str, root: Path = ROOT) -> list[str]:
    """The files, and the tests in them, that the text names (`path` or `path::test`) and that are not there."""
    unknown = []
    for path, test in _NAMED.findall(markdown):
        if not (root / path).is_file():
            unknown.append(path)
        elif test and not re.search(rf"^ *(?:async )?(?:def|class) {test}\b", (root / path).read_text(), re.MULTILINE):
            unknown.append(f"{path}::{test}")
    return unknown + [end for end, name in _IN_SHORT.findall(markdown) if not _is_known(end, name, root)]


def _is_known(end: str, name: str, root: Path) -> bool:
    """Whether a source file's path ends so, and holds the name. Whole paths are judged above."""
    if _PLACEHOLDER.match(end) or _NAMED.fullmatch(f"`{end}`"):
        return True
    files = (path for path in _code(root) if f"/{path}".endswith(f"/{end}"))
    return any(re.search(rf"\b{name}\b", (root / path).read_text()) if name else True for path in files)


@cache
def _code(root: Path) -> list[str]:
    """Every source file by its path from the root."""
    return _files(root, (".py", ".ts", ".tsx", ".mjs"))


def _files(root: Path, suffixes: tuple[str, ...]) -> list[str]:
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in _FOREIGN and not name.startswith(".")]
        found += [(Path(folder) / name).relative_to(root).as_posix() for name in files if name.endswith(suffixes)]
    return sorted(found)


def _lines(markdown: str) -> list[tuple[str, bool]]:
    """Each line, and whether it stands in a block of code."""
    lines, inside = [], False
    for line in markdown.splitlines(keepends=True):
        fence = bool(_FENCE.match(line))
        lines.append((line, inside or fence))
        inside ^= fence
    return lines
