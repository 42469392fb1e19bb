"""What a page wrote, made fit to stand in one line among what others wrote."""

import html

import regex

from services.runtime.characters import is_blank, without_towers

_SPACES = regex.compile(r"\s+")
# Controls, halves of characters, what is no character, what turns the direction of reading for what follows, and what
# nobody sees but programs read; not the joiners, of which words and emoji are made.
_UNFIT = regex.compile(
    r"[\p{Cc}\p{Cs}\p{Co}\u00ad\u200b\u2060-\u2064\u206a-\u206f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]|\p{Noncharacter_Code_Point}"
)
# Longer numbers are no character, and Python refuses to read the longest.
_LONG_NUMBER = regex.compile(r"&#(?:[0-9]{8,}+|[xX][0-9a-fA-F]{7,}+);?")


def plain(text: str, limit: int) -> str:
    """A text of HTML in one line of at most `limit` code points; empty where nothing could be seen."""
    unescaped = html.unescape(_LONG_NUMBER.sub("\ufffd", text))
    # Breaks of lines are controls, too, and part words; what is taken away may leave two spaces, or a tower.
    fit = _UNFIT.sub("", _SPACES.sub(" ", unescaped))
    line = without_towers(_SPACES.sub(" ", fit)).strip()
    if len(line) > limit:
        line = line[: limit - 1].rstrip() + "…"
    return "" if is_blank(line) else line
