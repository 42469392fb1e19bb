"""File names that say what a file is: the end of a name belongs to its type, and nothing in it hides that end."""

from mimetypes import MimeTypes

import regex

from services.messaging.kernel.characters import normalized
from services.messaging.kernel.media_types import SUFFIXES, alike

MAX_FILE_NAME_CHARS = 255
# Where nothing of the sender's name can be kept.
NAMELESS = "file"
# Files of which nothing is known; tables give them the end of programs.
UNKNOWN_TYPE = "application/octet-stream"
UNKNOWN_SUFFIX = "bin"

# Seen as no character: controls, marks of direction (also U+061C and U+200E), joiners, fillers, tags.
_UNSEEN = regex.compile(
    r"(?![\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd])"
    r"[\p{Cc}\p{Cf}\p{Cs}\p{Noncharacter_Code_Point}\p{Default_Ignorable_Code_Point}\u2800]"
)
# What scripts and emoji are made of: joiners and selectors after a letter or a symbol beyond ASCII, keycaps, and the
# flags of England, Scotland and Wales, which are spelled in tags.
_BEYOND_ASCII = r"[^\x00-\x7f\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]"
_PART_OF_WRITING = regex.compile(
    rf"(?<={_BEYOND_ASCII}\ufe0f?)[\u200c\u200d](?={_BEYOND_ASCII})"
    rf"|(?<={_BEYOND_ASCII})[\ufe0e\ufe0f]|(?<=[0-9#])\ufe0f(?=\u20e3)"
    r"|(?<=\U0001f3f4[\U000e0020-\U000e007e]*)[\U000e0020-\U000e007f]"
)
_SPACES = regex.compile(r"\s+")
# Parts of a path, of a stream of NTFS, or of a pattern, on some system, and what such a system takes for one of them.
_UNFIT = regex.compile(
    r'[/\\:*?"<>|\u2044\u2215\u2216\u29f5\u29f8\u29f9\ufe68\uff0f\uff3c\ua789\uff1a\ufe55\u00a5\u20a9]'
)
# What is read, or taken by some program, as a dot.
_DOTS = r".\u2024\u2025\u2026\u3002\ufe12\ufe52\uff0e\uff61\u06d4\u0701\u0702\ua4f8\ua60e\u2e31\u2e33\u00b7\u30fb\u05c5"
_ENDS = regex.compile(rf"[{_DOTS}\s]+(?=$)|^[{_DOTS}\s]+")
_DOT = regex.compile(rf"[{_DOTS}]")
# More than 30 in a row are no text of any language (UAX #15, stream-safe format).
# Devices of Windows, with any ending.
_DEVICE = regex.compile(r"(?:con|prn|aux|nul|clock\$|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])\s*", regex.I)

# Of the machine that this runs on nothing is read, so that every replica decides alike.
_TYPES = MimeTypes(filenames=())
# What systems run, mount, install or obey when it is opened; the library knows but some of them.
_ACTIVE = (
    *("ade", "adp", "apk", "app", "appimage", "application", "appref-ms", "appx", "appxbundle", "bas", "bash", "bat"),
    *("cer", "chm", "cmd", "com", "command", "cpl", "crt", "csh", "deb", "der", "desktop", "diagcab", "dll", "dmg"),
    *(
        "docm",
        "dotm",
        "exe",
        "fish",
        "gadget",
        "hlp",
        "hta",
        "htm",
        "html",
        "img",
        "inf",
        "ini",
        "ins",
        "ipa",
        "iso",
        "isp",
    ),
    *("jar", "jnlp", "js", "jse", "ksh", "library-ms", "lnk", "mad", "maf", "mam", "mda", "mdb", "mde", "mht", "mhtml"),
    *("mjs", "msc", "msh", "msi", "msix", "msixbundle", "msp", "mst", "ocx", "osd", "out", "pcd", "phar", "php", "pif"),
    *("pkg", "pl", "potm", "ppam", "ppsm", "pptm", "prf", "prg", "ps1", "ps1xml", "ps2", "psc1", "psd1", "psm1", "pst"),
    *(
        "py",
        "pyc",
        "pyw",
        "pyz",
        "rb",
        "reg",
        "rpm",
        "run",
        "scf",
        "scr",
        "sct",
        "search-ms",
        "settingcontent-ms",
        "sh",
    ),
    *("shb", "shs", "svg", "svgz", "swf", "sys", "terminal", "theme", "tmp", "udl", "url", "vb", "vbe", "vbp", "vbs"),
    *("vhd", "vhdx", "vsmacros", "vxd", "webloc", "website", "wasm", "workflow", "wsb", "wsc", "wsf", "wsh", "xbap"),
    *("xhtml", "xht", "xlam", "xll", "xlsb", "xlsm", "xltm", "xml", "xnk", "xsl", "zsh", "7z", "rar", "gz", "tar"),
    *("doc", "docx", "xls", "xlsx", "ppt", "pptx", "rtf", "odt", "ods", "odp"),
)
# Ends of names that say of what type a file is. One letter says nothing: people have initials.
_KNOWN = frozenset(
    suffix
    for suffix in (*(name[1:] for name in _TYPES.types_map[True]), *SUFFIXES, *_ACTIVE)
    if len(suffix) > 1 and not suffix.isdigit()
)


def safe_file_name(file_name: str, content_type: str) -> str:
    """The name under which a file of this type is kept and handed out, in NFC, of at most 255 code points.

    It ends as its type does: `setup.exe` of a ZIP becomes `setup_exe.zip`. Nothing in it is unseen, turns the
    direction of reading, leads to another folder, or is a device of Windows. A name that is so already stays as it is.
    """
    plain = _seen(_SPACES.sub(" ", normalized("NFC", file_name)))
    plain = _UNFIT.sub("_", _SPACES.sub(" ", plain))
    stem, suffix = _parted(_ENDS.sub("", plain), suffixes_of(content_type))
    stem = _without_known_ends(_ENDS.sub("", stem)) or NAMELESS
    if _DEVICE.fullmatch(_DOT.split(stem)[0]):
        stem = f"_{stem}"
    most = MAX_FILE_NAME_CHARS - len(suffix) - 1
    return normalized("NFC", f"{_ENDS.sub('', stem[:most])}.{suffix}")


def suffixes_of(content_type: str) -> tuple[str, ...]:
    """The ends of names, without a dot, that files of this type have; the usual one first."""
    if content_type == UNKNOWN_TYPE:
        return (UNKNOWN_SUFFIX,)
    ours = [suffix for suffix, name in SUFFIXES.items() if name == content_type]
    theirs = [suffix[1:] for suffix in _TYPES.guess_all_extensions(content_type, strict=True)]
    related = [suffix for suffix, name in SUFFIXES.items() if name in alike(content_type)]
    return tuple(dict.fromkeys([*(ours or theirs), *related])) or (UNKNOWN_SUFFIX,)


def _seen(name: str) -> str:
    """Without what nobody sees, but for what joins letters and emoji."""
    kept = {match.start() for match in _PART_OF_WRITING.finditer(name)}
    return "".join(char for place, char in enumerate(name) if place in kept or not _UNSEEN.match(char))


def _parted(name: str, suffixes: tuple[str, ...]) -> tuple[str, str]:
    """What comes before the end that fits the type, and that end, as it was written or the usual one."""
    stem, dot, last = name.rpartition(".")
    if dot and last.lower() in suffixes:
        return stem, last
    return name, suffixes[0]


def _without_known_ends(stem: str) -> str:
    """`invoice.pdf` becomes `invoice_pdf`: where systems hide the last end of a name, it would pass for the type."""
    pieces = _DOT.split(stem)
    kept: str = pieces[0]
    at = len(kept)
    for piece in pieces[1:]:
        dot = stem[at]
        at += 1 + len(piece)
        is_end = normalized("NFKC", _UNSEEN.sub("", piece)).strip().casefold() in _KNOWN
        kept += ("_" if is_end else dot) + piece
    return kept
