"""What a browser loads before it shows anything, as `make web` bundles it."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

BUILT = Path(__file__).resolve().parents[3] / "build" / "web"
# For a page that a slow phone shows within seconds. Raising it makes that later for everybody; what not everybody needs
# is better loaded when it is needed, as languages are.
MOST_BYTES = 150 * 1024
_LOADED = re.compile(r'(?:src|href)="/([^"]+)"')
# What a browser asks for when the page is installed.
_LATER = re.compile(r'<link rel="(?:manifest|apple-touch-icon)"[^>]*>')


def first_view(built: Path) -> list[Path]:
    """The page, and whatever it names."""
    page = built / "index.html"
    return [page, *(built / name for name in _LOADED.findall(_LATER.sub("", page.read_text())))]


def test_the_first_view_is_small_and_languages_come_when_they_are_wanted() -> None:
    files = first_view(BUILT)
    assert {file.suffix for file in files} == {".html", ".svg", ".js", ".css"}
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) <= MOST_BYTES
    others = {file.name.partition("-")[0] for file in (BUILT / "assets").iterdir() if file not in files}
    assert {"ar", "es"} <= others
