"""Whether a link leads where its text says: the host that a person reads is the host that opens."""

from collections.abc import Iterator

import regex

from services.runtime.characters import normalized
from services.runtime.web_hosts import MAX_HOST_CHARS, READ_AS, ascii_host, host_of

__all__ = ["as_read", "dotted_names", "host_of", "names_its_host", "stands_in"]

_UNSEEN = regex.compile(r"[\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800]")
# These turn the direction of reading, so that the text is not read in the order in which it is checked.
_TURNS = regex.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# Written so that programs do not see an address where people do: `bank[.]example`, `bank(dot)example`, `bank .example`.
# In texts whose runs of spaces are one space: a text that is made to be slow to read must not be.
_DEFANGED = regex.compile(r" ?(?:[\[({] ?(?:\.|dot|punkt|point) ?[\])}]| dot ) ?")
_SPACED_DOT = regex.compile(r"(?<=[\p{L}\p{N}]) \. ?(?=\p{L}{2})")
_SPACED_SCHEME = regex.compile(r"(?<=^|\W)(?:hxxps?|https?) ?: ?/{0,3} ?")
_SPACES = regex.compile(r"\s+")
_SCHEME = regex.compile(r"^(?:[a-z][a-z0-9+.-]*:)?//*|^(?:https?|mailto):", regex.I)
# The letters that touch a link.
_WORD_END, _WORD_START = regex.compile(r"\S*+$"), regex.compile(r"\S*+")
_WORD_BREAKS = regex.compile(r"[\s,;|<>\"'`()\[\]{}\u00ab\u00bb\u2018-\u201f\u300c-\u300f]+")
# In steps that give nothing back, so that no text is read more than once: what may stand in hosts, and within it the
# dots that part no two labels.
_HOST_CHARS = regex.compile(r"[\p{L}\p{M}\p{N}_.-]++")
_LOOSE_DOT = regex.compile(r"(?<![\p{L}\p{M}\p{N}_])\.|\.(?![\p{L}\p{M}\p{N}_])")
_TOP_LEVEL = regex.compile(r"[\p{L}\p{M}]{2,}|xn--[a-z0-9-]+")
_NUMBERS = regex.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
# Punctuation that a sentence puts around an address.
_OPENING, _CLOSING = "([{<\"'", ".,;:!?)]}>\"'"
# Ends of names of files that are no top-level domains.
_FILES = frozenset(
    (
        *("pdf", "txt", "csv", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "png", "jpg", "jpeg", "gif", "webp"),
        *("heic", "mp4", "mp3", "wav", "json", "xml", "yaml", "html", "htm", "tar", "gz", "exe"),
    )
)


def as_read(text: str) -> str:
    """A text as people read it: compatible spellings are one, and what nobody sees is gone."""
    seen: str = _UNSEEN.sub("", _SPACES.sub(" ", text)).translate(READ_AS)
    plain: str = _SPACES.sub(" ", normalized("NFKC", seen).translate(READ_AS).casefold())
    return plain


def stands_in(text: str, url: str) -> bool:
    """Whether the address is a word of the text, alone or in punctuation. Within another address it is none."""
    cut = (word.partition(url) for word in text.split())
    return any(found and not before.strip(_OPENING) and not after.strip(_CLOSING) for before, found, after in cut)


def names_its_host(text: str, start: int, end: int, url: str) -> bool:
    """Whether the link on `text[start:end]` to `url` says nothing of another host.

    A text without a host (`look here`) says nothing; the devices show the host beside it. The letters that touch the
    link belong to what is read: the link on `bank` in `www.bank.example` is read as www.bank.example.
    """
    host = host_of(url)
    shown = text[start:end]
    if host is None or _TURNS.search(shown) or not as_read(shown).strip():
        return False
    if _is_address_of(shown, host):
        return True
    before = _WORD_END.search(text, max(0, start - MAX_HOST_CHARS), start)
    after = _WORD_START.match(text, end, end + MAX_HOST_CHARS)
    around = f"{before[0] if before else ''}{shown}{after[0] if after else ''}"
    return all(_same(each, host) for read in (shown, around) for each in _hosts_in(read))


def _is_address_of(shown: str, host: str) -> bool:
    """Whether the text is one whole address, of this host: what its path holds is no other host then."""
    named = host_of(shown.strip())
    return named is not None and _same(named, host)


def _hosts_in(text: str) -> Iterator[str]:
    """What a person reads as hosts in a text."""
    plain = _SPACED_SCHEME.sub(" http://", _SPACED_DOT.sub(".", _DEFANGED.sub(".", as_read(text))))
    for word in _WORD_BREAKS.split(plain):
        has_scheme = _SCHEME.match(word)
        authority = regex.split(r"[/?#]", _SCHEME.sub("", word), maxsplit=1)[0]
        found = [name for name in dotted_names(authority) if _is_host(name)]
        yield from found
        if has_scheme and not found and (bare := authority.rpartition("@")[2].partition(":")[0].strip(".")):
            yield bare


def dotted_names(text: str) -> Iterator[str]:
    """Labels with single dots between them. A label begins and ends with a letter, a mark, a digit or an underscore."""
    for run in _HOST_CHARS.findall(text):
        for piece in _LOOSE_DOT.sub(" ", run).split(" "):
            name = piece.strip("-")
            if "." in name:
                yield name


def _is_host(name: str) -> bool:
    last = name.rpartition(".")[2]
    return bool(_NUMBERS.fullmatch(name) or (_TOP_LEVEL.fullmatch(last) and last not in _FILES))


def _same(named: str, host: str) -> bool:
    """Whether a host that was read is the host that opens; `www.` makes no difference."""
    return _bare(ascii_host(named) or named) == _bare(host)


def _bare(host: str) -> str:
    return host.removeprefix("www.")
