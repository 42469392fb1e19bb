"""In which encoding a page is written: a short list of names, since Python knows encodings that are programs."""

import codecs
import re

DEFAULT = "utf-8"
# Where a page has to say it (https://html.spec.whatwg.org/#charset). Raising it reads more of each page twice.
_LOOKED_AT_BYTES = 1_024
# In possessive steps: a run of spaces is read once, and not once for each way of parting it.
_IN_HEADER = re.compile(r"charset\s*+=\s*+[\"']?+\s*+([A-Za-z0-9_:.+-]{1,40})", re.I)
_IN_PAGE = re.compile(rb"<meta\b[^>]{0,200}?\bcharset\s*+=\s*+[\"']?+\s*+([A-Za-z0-9_:.+-]{1,40})", re.I)
# By https://encoding.spec.whatwg.org/#names-and-labels, of each encoding the names that are met with.
_NAMES = {
    "utf-8": ("utf-8", "utf8"),
    "utf-16-le": ("utf-16", "utf-16le"),
    "utf-16-be": ("utf-16be",),
    "cp1252": ("windows-1252", "cp1252", "iso-8859-1", "iso8859-1", "latin1", "latin-1", "us-ascii", "ascii"),
    **{f"iso8859-{part}": (f"iso-8859-{part}", f"iso8859-{part}") for part in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 16)},
    "cp1254": ("iso-8859-9", "windows-1254", "cp1254", "latin5"),
    "iso8859-15": ("iso-8859-15", "latin9"),
    **{f"cp{page}": (f"windows-{page}", f"cp{page}") for page in (1250, 1251, 1253, 1255, 1256, 1257, 1258)},
    "cp874": ("windows-874", "tis-620", "iso-8859-11"),
    "koi8-r": ("koi8-r", "koi8"),
    "koi8-u": ("koi8-u",),
    "cp866": ("ibm866", "cp866"),
    "gb18030": ("gb18030", "gbk", "gb2312"),
    "big5hkscs": ("big5", "big5-hkscs"),
    "euc_jp": ("euc-jp",),
    "cp932": ("shift_jis", "shift-jis", "sjis", "windows-31j"),
    "iso2022_jp": ("iso-2022-jp",),
    "cp949": ("euc-kr", "ks_c_5601-1987", "windows-949"),
}
# Of Unicode (U+FEFF), as a page begins with it.
_MARKS = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
_ENCODINGS = {name: encoding for encoding, names in _NAMES.items() for name in names}
# What each byte is, in the encodings of one byte a character.
_TABLES = {
    encoding: bytes(range(256)).decode(encoding, "replace")
    for encoding in _NAMES
    if encoding.startswith(("cp12", "cp8", "iso8859", "koi8"))
}


def decode(body: bytes, content_type: str) -> str:
    """A page as text: in the encoding of the mark that it begins with, else that which its header names, else that
    which it names itself, else UTF-8. What is not of it becomes U+FFFD; in UTF-16 the page ends there.

    Python asks about each fault in some encodings, which takes a hundred times as long as the rest: not here.
    """
    encoding = _marked(body) or _named_in(content_type) or _named_by(body) or DEFAULT
    if table := _TABLES.get(encoding):
        return codecs.charmap_decode(body, "strict", table)[0]
    if not encoding.startswith("utf-16"):
        return body.decode(encoding, "replace")
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as fault:
        return body[: fault.start].decode(encoding)


def _marked(body: bytes) -> str | None:
    return next((encoding for encoding, mark in _MARKS.items() if body.startswith(mark)), None)


def _named_in(content_type: str) -> str | None:
    match = _IN_HEADER.search(content_type)
    return _ENCODINGS.get(match[1].lower()) if match else None


def _named_by(body: bytes) -> str | None:
    match = _IN_PAGE.search(body[:_LOOKED_AT_BYTES])
    encoding = _ENCODINGS.get(match[1].decode("ascii").lower()) if match else None
    # A page in which this could be read is not in UTF-16, as browsers know, too.
    return DEFAULT if encoding and encoding.startswith("utf-16") else encoding
