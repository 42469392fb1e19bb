"""What a preview is, and who asks for it."""

from dataclasses import dataclass
from typing import NewType

# Who asks.
UserId = NewType("UserId", str)

MAX_TITLE_CHARS = 200
MAX_DESCRIPTION_CHARS = 400
MAX_SITE_NAME_CHARS = 100


@dataclass(frozen=True)
class Preview:
    """What a page says of itself, fit to be shown: one line each, in code points at most as long as above. The title is
    never empty."""

    title: str
    description: str = ""
    site_name: str = ""
