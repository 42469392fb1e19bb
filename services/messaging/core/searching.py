"""The words of texts and queries: what people take for the same is the same. For search alone; texts stay as sent."""

import re
import unicodedata

from services.messaging.core.errors import InvalidField

# Words of one text that are indexed. Higher: bigger index. Lower: the end of long texts is not found.
MAX_WORDS = 1_000
MAX_QUERY_CHARS = 200
MAX_QUERY_WORDS = 10
# Longer ones are cut, in texts and queries alike.
MAX_WORD_CHARS = 64

_WORD = re.compile(r"\w+")
# Forms of one Arabic letter, and the stretch between letters.
_ARABIC = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ة": "ه", "ـ": None})


def words_of(text: str) -> list[str]:
    """The different words of a text, in their order: NFKD without marks, case folded, Arabic letter forms as one."""
    plain = unicodedata.normalize("NFKD", text.translate(_ARABIC)).casefold()
    unmarked = "".join(char for char in plain if not unicodedata.combining(char))
    found = (word[:MAX_WORD_CHARS] for word in _WORD.findall(unmarked.translate(_ARABIC)))
    return list(dict.fromkeys(found))[:MAX_WORDS]


def query_of(text: str) -> str:
    """A query in PostgreSQL's tsquery form: all words, the last as a prefix. Raises InvalidField.

    Words hold letters, digits and underscores only, so that they need no more than quotes.
    """
    if len(text) > MAX_QUERY_CHARS:
        raise InvalidField("query", f"has {len(text)} characters; at most {MAX_QUERY_CHARS} are allowed")
    words = words_of(text)[:MAX_QUERY_WORDS]
    if not words:
        raise InvalidField("query", "has no words")
    return " & ".join(f"'{word}'" for word in words) + ":*"
