"""Which host an http or https address leads to.

Addresses are read as browsers read them (https://url.spec.whatwg.org), or not at all: what two programs could read in
two ways is refused.
"""

from typing import NamedTuple

import idna
import regex

from services.runtime.characters import normalized

# No credentials, which pass for a host (`https://bank.example@evil.example`), and no backslash, which browsers take for
# a slash. The host is whatever stands before the path, the query or the fragment.
_ADDRESS = regex.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^/?#@\\:\[\]%]+)(?::(?P<port>[0-9]{1,5}))?(?P<rest>[/?#][^\\]*)?",
    regex.I,
)
# Letters of one of these look like letters of the others; no registry takes them in one label (UTS #39, 5.1).
_LOOK_ALIKE = ("Latin", "Cyrillic", "Greek", "Armenian", "Cherokee", "Coptic", "Lisu", "Deseret")
_SCRIPTS = [regex.compile(rf"\p{{Script={name}}}") for name in _LOOK_ALIKE]
_ASCII_HOST = regex.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
MAX_PORT = 65_535
MAX_HOST_CHARS = 253

# What is read as a dot, a slash or a colon of an address, beyond what compatibility (NFKC) makes one of.
READ_AS = str.maketrans(
    {
        **dict.fromkeys(
            "\u3002\uff61\u06d4\u0701\u0702\ua4f8\ua60e\u2e31\u2e33\u00b7\u30fb\u2024\u2219\u22c5\u05c5", "."
        ),
        **dict.fromkeys("\u2044\u2215\u29f8\u2571\u27cb\u3033\u1735\\\u2216\u29f5\u29f9", "/"),
        # Whole phrases, which compatibility would write out: a text of them grew eighteenfold.
        **dict.fromkeys("\ufdfa\ufdfb", "\u0635"),
        **dict.fromkeys("\u2236\ua789\u02d0\u05c3\u0589", ":"),
    }
)


class WebAddress(NamedTuple):
    """An address in its parts: the scheme in lower case, the host in the one spelling, a port where one was named, and
    the path with all that follows, as it was written."""

    scheme: str
    host: str
    port: int | None
    rest: str


def host_of(url: str) -> str | None:
    """The host that an address leads to, in ASCII and lower case, without a dot at its end.

    None for what is no plain http or https address: with credentials, a backslash, an escape in the host, a port that
    is none, a host that browsers refuse, or one that mixes scripts whose letters look alike (its punycode is plain).
    """
    parts = split_address(url)
    return parts.host if parts else None


def split_address(url: str) -> WebAddress | None:
    """What host_of reads, in its parts; None for the same."""
    match = _ADDRESS.fullmatch(url)
    if match is None or (match["port"] and int(match["port"]) > MAX_PORT):
        return None
    host = ascii_host(match["host"])
    port = int(match["port"]) if match["port"] else None
    return WebAddress(match["scheme"].lower(), host, port, match["rest"] or "") if host else None


def ascii_host(host: str) -> str | None:
    """A host in ASCII and lower case, without a dot at its end; None where browsers refuse it, or scripts are mixed."""
    name = host.lower().removesuffix(".")
    if name.startswith("["):
        return name
    if not name.isascii():
        if any(_mixes_scripts(label) for label in normalized("NFKC", name).translate(READ_AS).split(".")):
            return None
        try:
            name = idna.encode(name, uts46=True, std3_rules=False).decode("ascii").lower().removesuffix(".")
        except (idna.IDNAError, UnicodeError):
            return None
    return name if len(name) <= MAX_HOST_CHARS and _ASCII_HOST.fullmatch(name) else None


def _mixes_scripts(label: str) -> bool:
    return sum(bool(script.search(label)) for script in _SCRIPTS) > 1
