"""What characters a text may have, whatever it is for. Knows no kind of content, so that kernel/content.py can ask."""

import regex

from services.messaging.kernel.errors import InvalidField

_SURROGATE = regex.compile(r"\p{Cs}")
# The blank of Braille is a symbol to Unicode.
_SEEN = regex.compile(r"[^\s\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800]")


def check_storable(field_name: str, value: str) -> str:
    """A text that UTF-8 and PostgreSQL can hold. Raises InvalidField for NUL and for halves of characters."""
    if "\x00" in value:
        raise InvalidField(field_name, "holds the character NUL, which is not text")
    if _SURROGATE.search(value):
        raise InvalidField(field_name, "holds half of a character (a lone surrogate)")
    return value


def is_blank(text: str) -> bool:
    """Whether nothing of a text can be seen: spaces, controls, joiners, fillers, marks of direction."""
    return not _SEEN.search(text)
