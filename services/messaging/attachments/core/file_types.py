"""Whether the first bytes of a file are of the type that it says it is.

Only the beginning is looked at, as every program does that opens a file by its form. A file that is of two forms at
once (a picture with an archive behind it) passes for the first; its name and type keep programs from trying the second.
"""

import codecs

import puremagic
import regex

from services.messaging.kernel.media_types import ALIASES, SUFFIXES, alike, media_type

# Raising it reads more bytes of each file that is sent; lowering it misses types that are told by what stands further
# on.
HEAD_BYTES = 4096

# ISO base media files (ISO/IEC 14496-12) name their brand: pictures, or else films and sounds of any maker.
_BRAND_AT, _BRAND_BYTES = 4, 4
_STILL_BRANDS = {
    **dict.fromkeys(("avif", "avis"), "image/avif"),
    **dict.fromkeys(("heic", "heix", "hevc", "hevx", "heim", "heis", "hevm", "hevs", "mif1", "msf1"), "image/heic"),
}
# RIFF files name their form; the library takes any for any.
_RIFF_FORMS = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
# A frame of MPEG audio (ISO/IEC 11172-3): eleven bits set, and layer III; the library knows few of the versions.
_LAYER_MASK, _LAYER_3 = 0xE6, 0xE2
# Older QuickTime files begin with one of these boxes.
_QUICKTIME_BOXES = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_TEXTS = regex.compile(r"text/.*|application/(json|xml|.*\+json|.*\+xml)")
_NOT_IN_TEXTS = regex.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
# What is text to the eye and a document to a program (compare https://mimesniff.spec.whatwg.org, section 7.1).
_DOCUMENTS = regex.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:%PDF-|%!PS-Adobe-|\{\\rtf|<\?xml|<\?php|#!AMR"
    rb"|<(?:!DOCTYPE\s+HTML|html|head|body|script|iframe|svg)[\s/>])",
    regex.I,
)
_OWN_TYPES = frozenset({*SUFFIXES.values(), *ALIASES.values()})
# Programs, to types of which the library knows nothing.
_PROGRAMS = (b"MZ", b"\x7fELF", b"\xfe\xed\xfa", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"#!")
_SHORTCUT = b"L\x00\x00\x00\x01\x14\x02\x00"
_PAGES = frozenset({"text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml"})


def is_of_type(head: bytes, content_type: str) -> bool:
    """Whether a file that begins so is what its type says; `head` is the whole file, or its first HEAD_BYTES."""
    if _TEXTS.fullmatch(content_type):
        return _is_text(head) and (content_type in _PAGES or not _DOCUMENTS.match(_plain_text(head)))
    found = _types_of(head)
    if content_type in _OWN_TYPES:
        return bool(found & alike(content_type))
    # What the service was configured to take beyond its own table.
    return content_type in found or not (found or head.startswith((*_PROGRAMS, _SHORTCUT)) or _DOCUMENTS.match(head))


def _types_of(head: bytes) -> set[str]:
    """The names of the types that the beginning can be of."""
    if head[_BRAND_AT : _BRAND_AT + _BRAND_BYTES] == b"ftyp":
        return {_brand_type(head)}
    if head[_BRAND_AT : _BRAND_AT + _BRAND_BYTES] in _QUICKTIME_BOXES:
        return {"video/quicktime"}
    if head.startswith(b"RIFF"):
        return {_RIFF_FORMS.get(head[8:12], "application/x-riff")}
    if len(head) > 1 and head[0] == 0xFF and head[1] & _LAYER_MASK == _LAYER_3:
        return {"audio/mpeg"}
    try:
        matches = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return set()
    names = (media_type(match.mime_type, f"x{match.extension}") for match in matches)
    return {name for name in names if name}


def _brand_type(head: bytes) -> str:
    size = int.from_bytes(head[:4], "big")
    major, others = head[8:12], head[16 : max(16, min(size, len(head)))]
    brands = [major, *(others[place : place + 4] for place in range(0, len(others), 4))]
    stills = [_STILL_BRANDS[name] for name in (brand.decode("latin-1") for brand in brands) if name in _STILL_BRANDS]
    if major.decode("latin-1") not in _STILL_BRANDS or not stills:
        return "video/mp4"
    return "image/avif" if "image/avif" in stills else stills[0]


def _is_text(head: bytes) -> bool:
    """Of any 8-bit encoding, or of UTF-16 with its mark."""
    return not _NOT_IN_TEXTS.search(_plain_text(head))


def _plain_text(head: bytes) -> bytes:
    if not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return head
    # The cut may have gone through a character.
    return head[: len(head) // 2 * 2].decode("utf-16", "ignore").encode()
