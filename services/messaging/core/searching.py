"""The words of texts and queries: what people take for the same is the same. For search alone; texts stay as sent."""

import re
import unicodedata
from collections.abc import Iterator

from services.messaging.core.errors import InvalidField

# Words of one text that are indexed. Higher: bigger index. Lower: the end of long texts is not found.
MAX_WORDS = 1_000
MAX_QUERY_CHARS = 200
MAX_QUERY_WORDS = 10
# Longer ones are cut, in texts and queries alike.
MAX_WORD_CHARS = 64

_WORD = re.compile(r"\w+")
# Scripts that put no spaces between words: Thai and Lao, Myanmar, Khmer, kana, Han.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+)"
)
# Forms of one Arabic letter, and the stretch between letters.
_ARABIC = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ة": "ه", "ـ": None})


def words_of(text: str) -> list[str]:
    """The different words of a text, in their order: NFKD without marks, case folded, Arabic letter forms as one.

    Where a script puts no spaces, each two neighbouring characters are a word, and the last one is.
    """
    found = (word for run in _runs(text) for word in ([*_pairs(run), run[-1]] if _is_unspaced(run) else [run]))
    return list(dict.fromkeys(found))[:MAX_WORDS]


def query_of(text: str) -> str:
    """A query in PostgreSQL's tsquery form: all words, the last as a prefix. Raises InvalidField.

    Words hold letters, digits and underscores only, so that they need no more than quotes.
    """
    if len(text) > MAX_QUERY_CHARS:
        raise InvalidField("query", f"has {len(text)} characters; at most {MAX_QUERY_CHARS} are allowed")
    words = list(dict.fromkeys(word for run in _runs(text) for word in _asked(run)))[:MAX_QUERY_WORDS]
    if not words:
        raise InvalidField("query", "has no words")
    return " & ".join(words).removesuffix(":*") + ":*"


def _runs(text: str) -> Iterator[str]:
    """The words as spaces and scripts part them."""
    plain = unicodedata.normalize("NFKD", text.translate(_ARABIC)).casefold()
    unmarked = "".join(char for char in plain if not unicodedata.combining(char))
    for word in _WORD.findall(unmarked.translate(_ARABIC)):
        yield from (run if _is_unspaced(run) else run[:MAX_WORD_CHARS] for run in _UNSPACED.split(word) if run)


def _asked(run: str) -> list[str]:
    if not _is_unspaced(run):
        return [f"'{run}'"]
    # A single character is the beginning of a pair, or a last one: as a prefix it finds both.
    return [f"'{pair}'" for pair in _pairs(run)] or [f"'{run}':*"]


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)]


def _is_unspaced(run: str) -> bool:
    return _UNSPACED.match(run) is not None
