"""What a column can hold of a text. Apart from checks.py, so that content.py, which checks.py needs, can use it."""

import regex

from services.messaging.kernel.errors import InvalidField

_SURROGATE = regex.compile(r"\p{Cs}")


def check_storable(field_name: str, value: str) -> str:
    """A text that UTF-8 and PostgreSQL can hold. Raises InvalidField for NUL and for halves of characters."""
    if "\x00" in value:
        raise InvalidField(field_name, "holds the character NUL, which is not text")
    if _SURROGATE.search(value):
        raise InvalidField(field_name, "holds half of a character (a lone surrogate)")
    return value
