"""Words of texts and queries: bounded, and a text is found by its own words."""

from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.folding import fold
from services.messaging.search.core import (
    MAX_QUERY_CHARS,
    MAX_WORD_CHARS,
    MAX_WORDS,
    matches,
    query_of,
    words_of,
)

SEEDS = tuple(
    text.encode()
    for text in (
        "Hello wörld, it's a well-known naïve café",
        "日本語のテキスト and ไทย คำ",
        "👍🏽 👨‍👩‍👧 1️⃣ ok",
        "it'' & | ! :* (a) <-> \\'",
        "\u0301\u200d\u00ad\u202e",
    )
)
LINES_PER_BYTE = 300


def fuzz(data: bytes) -> None:
    """Raises for anything but an InvalidField, and for a text that its own words do not find."""
    text = data.decode("utf-8", "ignore")
    words = words_of(text)
    assert len(words) <= MAX_WORDS
    # Two characters with their marks are one word where a script writes no spaces.
    assert all(0 < len(word) <= MAX_WORD_CHARS for word in words)
    # What would end the quotes of a tsquery. The keycap of an asterisk is an emoji, and a word.
    assert not any(set(word) & set("'\\\x00 ") for word in words)
    # NFKC makes up to 18 letters of one.
    assert len(fold(text)) <= 18 * len(text)
    try:
        query = query_of(text[:MAX_QUERY_CHARS])
    except InvalidField:
        return
    assert matches(words_of(text[:MAX_QUERY_CHARS]), query)
