"""What characters a text may have, whatever it is for. Knows no kind of content, so that kernel/content.py can ask."""

import regex

from services.messaging.kernel.errors import InvalidField
from services.runtime.characters import has_tower, is_blank, normalized

__all__ = ["check_storable", "has_tower", "is_blank", "normalized"]

_SURROGATE = regex.compile(r"\p{Cs}")


def check_storable(field_name: str, value: str) -> str:
    """A text that UTF-8 and PostgreSQL can hold. Raises InvalidField for NUL and for halves of characters."""
    if "\x00" in value:
        raise InvalidField(field_name, "holds the character NUL, which is not text")
    if _SURROGATE.search(value):
        raise InvalidField(field_name, "holds half of a character (a lone surrogate)")
    return value
