"""What of a text can be seen, and its forms in Unicode."""

from typing import Literal
from unicodedata import normalize

import regex

# The blank of Braille is a symbol to Unicode.
_SEEN = regex.compile(r"[^\s\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800]")

# More marks in a row are no text of any language (UAX #15, stream-safe format). Joiners and their like, which nobody
# sees, part no tower.
_TOWER = regex.compile(r"((?:\p{M}\p{Cf}*+){30})(?:\p{M}\p{Cf}*+)++")


def is_blank(text: str) -> bool:
    """Whether nothing of a text can be seen: spaces, controls, joiners, fillers, marks of direction."""
    return not _SEEN.search(text)


def normalized(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
    """A text in one of Unicode's forms, of each run of marks the first 30 at most.

    Always in place of unicodedata.normalize: that sorts each run of marks by exchanging neighbours, so that a text of
    nothing but marks kept a replica busy for the square of its length.
    """
    return normalize(form, without_towers(text))


def without_towers(text: str) -> str:
    """A text with at most 30 marks on a character."""
    return str(_TOWER.sub(r"\1", text))


def has_tower(text: str) -> bool:
    """Whether a character has more than 30 marks, which reach into other lines."""
    return bool(_TOWER.search(text))
