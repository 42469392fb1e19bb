"""What is one emoji, and which spellings are the same one, by Unicode's own data (emoji-test.txt, UTS #51)."""

from collections.abc import Iterator

import regex
from emoji import EMOJI_DATA, STATUS

# VS15 and VS16 ask for a black-and-white or a coloured picture of the character before; the emoji stays the same.
_SELECTORS = {0xFE0E: None, 0xFE0F: None}
# At the beginning, after another one, after a joiner and among tags, a selector has no character to choose for.
_STRAY_SELECTOR = regex.compile("(?:^|[\ufe0e\ufe0f\u200d\U000e0020-\U000e007f])[\ufe0e\ufe0f]")
_SKIN_TONES = dict.fromkeys(range(0x1F3FB, 0x1F400))
# Flags first: to know whether a letter of a flag begins one, \X goes back over all that stand before it, so that a text
# of nothing else took the square of its length.
_GRAPHEME = regex.compile(r"[\U0001f1e6-\U0001f1ff]{2}[\p{GCB=Extend}\p{GCB=SpacingMark}\p{GCB=ZWJ}]*+|\X")
# Skin tones and hair alone are emoji too (RGI_Emoji holds them); all other components are not.
_QUALIFIED = {
    spelling.translate(_SELECTORS): spelling
    for spelling, facts in EMOJI_DATA.items()
    if facts["status"] in (STATUS["fully_qualified"], STATUS["component"])
}
# Of whatever can be one in a text, a first character: texts without any are not looked at further.
_BEGINNINGS = frozenset(spelling[0] for spelling in _QUALIFIED) - set("#*0123456789")


def qualified(value: str) -> str | None:
    """The fully-qualified spelling of one emoji; None for everything that is not exactly one RGI emoji.

    Minimally qualified and unqualified spellings, and those with other presentation selectors, are the same emoji.
    """
    if _STRAY_SELECTOR.search(value):
        return None
    return _QUALIFIED.get(value.translate(_SELECTORS))


def bare(value: str) -> str:
    """Without presentation selectors: spellings of one emoji are equal so, whether or not it is one of Unicode's."""
    return value.translate(_SELECTORS)


def without_tone(value: str) -> str:
    """A bare emoji without its skin tones."""
    return value if value in _QUALIFIED and len(value) == 1 else value.translate(_SKIN_TONES)


def split_emojis(text: str) -> tuple[list[str], str]:
    """The emojis of a text, bare and in their order, and the text with a space in the place of each."""
    if _BEGINNINGS.isdisjoint(text) and "\u20e3" not in text:
        return [], text
    found: list[str] = []
    rest = "".join(_taken_out(text, found))
    return found, rest


def _taken_out(text: str, found: list[str]) -> Iterator[str]:
    for grapheme in _GRAPHEME.findall(text):
        if grapheme[0] in _BEGINNINGS or "\u20e3" in grapheme:
            known = qualified(grapheme)
            # What joins several without being one of Unicode's (yet) is taken for its parts.
            parts = [grapheme] if known else [part for part in grapheme.split("\u200d") if qualified(part)]
            if parts:
                found += map(bare, parts)
                yield " "
                continue
        yield grapheme
