"""Texts of links beside the addresses they lead to, and whether such a link is taken; the web client reads it too."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LinkTrick:
    trick: str
    text: str
    url: str
    taken: bool


LINK_TRICKS = [LinkTrick(**row) for row in json.loads(Path(__file__).with_suffix(".json").read_text())]
