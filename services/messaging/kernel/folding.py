"""One spelling for what people take for the same letters: for comparing, never for showing."""

import unicodedata

import regex

from services.messaging.kernel.characters import normalized

# Forms of one Arabic letter (hamza seats, alef maqsura, ta marbuta; Persian and Urdu yeh, kaf and heh), and the stretch
# between letters.
_ARABIC = str.maketrans(
    {"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ة": "ه", "ـ": None, "ی": "ي", "ک": "ك", "ہ": "ه", "ۃ": "ه"}
)
# Latin letters whose stroke, dot or ligature Unicode does not take apart.
_LATIN = str.maketrans(
    {"đ": "d", "ð": "d", "ø": "o", "ł": "l", "ħ": "h", "ŧ": "t", "ı": "i", "ƒ": "f", "ɓ": "b", "ɗ": "d", "ƙ": "k"}
    | {"ŋ": "n", "ƴ": "y", "æ": "ae", "œ": "oe", "þ": "th", "ĸ": "k", "ȷ": "j", "ɨ": "i", "ʉ": "u", "ɛ": "e", "ɔ": "o"}
)
# What keyboards put for an apostrophe, the letter among them (Ukrainian, Hawaiian), and for a hyphen. Between Hebrew
# letters, geresh and gershayim are such; the Catalan middle dot and the underscore part as hyphens do.
_APOSTROPHES = dict.fromkeys(map(ord, "’‘‛ʼʻʹʾʿ′＇`´ꞌ׳״"), "'")
_HYPHENS = dict.fromkeys(map(ord, "‐‑־֊﹣－_·"), "-")
_JOINERS = _APOSTROPHES | _HYPHENS
_HEBREW_QUOTE = regex.compile(r'(?<=\p{Hebrew}\p{M}*)"(?=\p{Hebrew})')

# Soft hyphens, joiners, marks of direction, variation selectors, fillers: nobody sees them.
_UNSEEN = regex.compile(r"[\p{Default_Ignorable_Code_Point}\p{Cf}]")
# Scripts that write no spaces between words, and Hangul, where particles and compounds are written to the word.
UNSPACED_SCRIPTS = (
    *("Han", "Hira", "Kana", "Bopo", "Hang"),
    *("Thai", "Lao", "Khmr", "Mymr", "Tale", "Talu", "Lana", "Java"),
)
UNSPACED = "".join(rf"\p{{scx={script}}}" for script in UNSPACED_SCRIPTS)
# There a zero-width space says where a line may break; elsewhere it parts words.
_ZERO_WIDTH_SPACE = regex.compile(rf"(?<![{UNSPACED}])\u200b", regex.V1)
# Accents and vowel points, without which people write as well: those of all alphabets, of Arabic, Hebrew and Syriac.
# In other scripts a mark is a vowel, a tone or a joining, and makes another word.
_OPTIONAL_MARK = regex.compile(
    r"[[\p{sc=Zinh}\p{sc=Latn}\p{sc=Grek}\p{sc=Cyrl}\p{sc=Arab}\p{sc=Hebr}\p{sc=Syrc}\u0344\u0345]&&\p{M}--[\u3099\u309a]]",
    regex.V1,
)
# Except where the mark makes another letter: Cyrillic й ў (breve) and ї (diaeresis), ѓ ќ (acute).
_LETTERS_WITH_MARKS = regex.compile("[иИуУ]\u0306|[іІ]\u0308|[гГкК]\u0301")
# Devanagari: a dot below for sounds of other languages, and two spellings of one nasal.
_NUKTA = regex.compile("(?<=[\u0900-\u097f])\u093c")
_NASAL = regex.compile("(?:[\u0919\u091e\u0923\u0928\u092e]\u094d(?=[\u0915-\u0939])|\u0901)")
# Letters without their vowel: Malayalam and Bengali write them as one character, or as letter and virama.
_DEAD_LETTERS = str.maketrans({"ൺ": "ണ്", "ൻ": "ന്", "ർ": "ര്", "ൽ": "ല്", "ൾ": "ള്", "ൿ": "ക്", "ৎ": "ত্"})
# Thai and Lao: a tone mark before or after the dot of a following am.
_TONE_BEFORE_DOT = regex.compile("([\u0e48-\u0e4b])(\u0e4d)|([\u0ec8-\u0ecb])(\u0ecd)")
_KATAKANA = {number: number - 0x60 for number in (*range(0x30A1, 0x30F7), 0x30FD, 0x30FE)}
_DIGIT = regex.compile(r"\p{Nd}")


def fold(text: str) -> str:
    """The text with one spelling for all: NFKC, case folded, without optional marks and what nobody sees, digits as
    ASCII, katakana as hiragana, one apostrophe and one hyphen of all their kinds."""
    plain = normalized("NFKD", _ZERO_WIDTH_SPACE.sub(" ", text.translate(_JOINERS)))
    plain = _HEBREW_QUOTE.sub("'", _UNSEEN.sub("", plain).translate(_JOINERS))
    plain = _without_marks(_without_marks(plain.translate(_ARABIC)).casefold()).translate(_ARABIC).translate(_LATIN)
    plain = _NASAL.sub("\u0902", _NUKTA.sub("", plain)).translate(_DEAD_LETTERS)
    plain = _TONE_BEFORE_DOT.sub(r"\2\1\4\3", plain)
    plain = _DIGIT.sub(lambda match: str(unicodedata.decimal(match.group(), match.group())), plain)
    return normalized("NFC", plain).translate(_KATAKANA)


def _without_marks(text: str) -> str:
    """Without optional marks, taken apart."""
    apart = normalized("NFKD", text)
    kept: list[str] = []
    at = 0
    for match in _LETTERS_WITH_MARKS.finditer(apart):
        kept += [_OPTIONAL_MARK.sub("", apart[at : match.start()]), match.group()]
        at = match.end()
    return "".join([*kept, _OPTIONAL_MARK.sub("", apart[at:])])
