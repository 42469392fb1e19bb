"""Texts of many scripts, with queries that must find them and queries that must not; the web client reads it too."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SearchCase:
    script: str
    text: str
    found: tuple[str, ...]
    missed: tuple[str, ...]


SEARCH_TABLE = [
    SearchCase(row["script"], row["text"], tuple(row["found"]), tuple(row["missed"]))
    for row in json.loads(Path(__file__).with_suffix(".json").read_text())
]
