"""A strict parser for the offers of clients (RFC 8866, RFC 8829); anything it cannot serve is one SdpError."""

import re
from dataclasses import dataclass, field, replace

from services.sfu.core.errors import SdpError
from services.sfu.core.wire.media_line import (
    ENCODINGS,
    RID_URI,
    Extension,
    MediaLine,
    integer,
    list_received,
    list_sent,
    read_codecs,
    read_extensions,
    read_rids,
    read_ssrcs,
)

# A call of 30 has 60 receive slots; more lines would only cost.
MAX_MEDIA_LINES = 128
MAX_OFFER_SIZE = 64 * 1024
# Browsers have a hundred lines an m-line of video. Raising these lets an offer hold up the worker for longer; lowering
# them refuses offers with many codecs or candidates.
MAX_LINES = 2500
MAX_ATTRIBUTES = 400
# As there are payload types.
MAX_FORMATS = 128
MAX_PARAMETERS_SIZE = 1024

_FINGERPRINT_SIZES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_DIRECTIONS = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})
# The first is what offers should say; the others mean the same here (RFC 8829 section 5.1.2).
_RTP_PROTOCOLS = frozenset(
    f"{transport}RTP/{profile}" for transport in ("UDP/TLS/", "TCP/DTLS/", "") for profile in ("SAVPF", "SAVP")
)
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,64}\Z")
_ICE_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}\Z")
_ICE_PWD = re.compile(r"[A-Za-z0-9+/]{22,256}\Z")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The hash of a DTLS certificate: algorithm in lower case, value as upper-case hex pairs with colons."""

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A client's offer that the SFU can serve, m-lines in their order."""

    ice_ufrag: str
    fingerprint: Fingerprint
    media: tuple[MediaLine, ...]
    ice_pwd: str = ""
    # It takes header extension elements of one and of two bytes in turn (RFC 8285 section 4.1.2).
    allows_mixed: bool = False
    # As it came, for other workers of the call.
    text: str = field(default="", repr=False, compare=False)


@dataclass(slots=True)
class _Section:
    """The lines of the session or of one m-line: `a=` attributes by name, in order."""

    media: str = ""
    attributes: dict[str, list[str]] = field(default_factory=dict)
    count: int = 0

    def add_attribute(self, name: str, value: str) -> None:
        self.count += 1
        if self.count > MAX_ATTRIBUTES:
            raise SdpError(f"the session, or an m-line, has more than {MAX_ATTRIBUTES} attributes")
        if name == "fmtp" and len(value) > MAX_PARAMETERS_SIZE:
            raise SdpError(f"an a=fmtp is longer than {MAX_PARAMETERS_SIZE} characters")
        self.attributes.setdefault(name, []).append(value)

    def all(self, name: str) -> list[str]:
        return self.attributes.get(name, [])

    def first(self, name: str) -> str | None:
        values = self.attributes.get(name)
        return values[0] if values else None

    def has(self, name: str) -> bool:
        return name in self.attributes


def parse_offer(text: str) -> Offer:
    """The offer of a client; SdpError names the first thing that is wrong with it."""
    session, sections = _split(text)
    common = read_extensions(session.all("extmap"), "the session")
    direction = _direction(session, "sendrecv")
    media = tuple(_parse_media(section, common, direction) for section in sections)
    mids = [line.mid for line in media]
    if len(set(mids)) != len(mids):
        raise SdpError("two m-lines have the same a=mid")
    _check_bundle(session, media)
    served = [section for section, line in zip(sections, media, strict=True) if line.port]
    if not served:
        raise SdpError("the offer has no active m-line")
    first = served[0]
    ufrag = first.first("ice-ufrag") or session.first("ice-ufrag")
    if ufrag is None or not _ICE_UFRAG.match(ufrag):
        raise SdpError("a=ice-ufrag is missing or malformed")
    password = first.first("ice-pwd") or session.first("ice-pwd")
    if password is None or not _ICE_PWD.match(password):
        raise SdpError("a=ice-pwd is missing or malformed")
    setup = first.first("setup") or session.first("setup")
    if setup not in ("actpass", "active"):
        raise SdpError("a=setup must be actpass or active")
    return Offer(ufrag, _fingerprint(first, session), media, password, session.has("extmap-allow-mixed"), text)


def _split(text: str) -> tuple[_Section, list[_Section]]:
    if len(text) > MAX_OFFER_SIZE:
        raise SdpError(f"the offer is longer than {MAX_OFFER_SIZE} characters")
    lines = text.replace("\r\n", "\n").split("\n")
    if len(lines) > MAX_LINES or lines[0] != "v=0":
        raise SdpError(f"the offer must begin with v=0, and have no more than {MAX_LINES} lines")
    session = _Section()
    sections: list[_Section] = []
    current = session
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        if len(line) < 2 or line[1] != "=" or not line.isprintable():
            raise SdpError(f"line {number} is not of the form x=value")
        if line[0] == "m":
            if len(sections) == MAX_MEDIA_LINES:
                raise SdpError(f"the offer has more than {MAX_MEDIA_LINES} m-lines")
            current = _Section(media=line[2:])
            sections.append(current)
        elif line[0] == "a":
            name, _, value = line[2:].partition(":")
            current.add_attribute(name, value)
    if not sections:
        raise SdpError("the offer has no m-line")
    return session, sections


def _check_bundle(session: _Section, media: tuple[MediaLine, ...]) -> None:
    groups = [value.split() for value in session.all("group")]
    bundle = next((frozenset(group[1:]) for group in groups if group and group[0] == "BUNDLE"), None)
    if bundle is None:
        raise SdpError("a=group:BUNDLE is missing")
    for line in media:
        if line.port and line.mid not in bundle:
            raise SdpError(f"mid {line.mid} is not in a=group:BUNDLE")


def _direction(section: _Section, default: str) -> str:
    """That of an m-line, or of the session for those that name none (RFC 8866 section 6.7)."""
    return next((name for name in section.attributes if name in _DIRECTIONS), default)


def _parse_media(section: _Section, common: dict[str, Extension], default_direction: str) -> MediaLine:
    parts = section.media.split(" ", 3)
    if len(parts) != 4 or not parts[1].isascii() or not parts[1].isdigit():
        raise SdpError("an m-line is not of the form m=kind port protocol formats")
    kind, port_text, protocol, formats = parts
    if not (_TOKEN.match(kind) and re.fullmatch(r"[A-Za-z0-9/]{1,40}", protocol)):
        raise SdpError("an m-line is not of the form m=kind port protocol formats")
    mid = section.first("mid")
    if mid is None or not _TOKEN.match(mid):
        raise SdpError("an m-line has no a=mid, or a malformed one")
    direction = _direction(section, default_direction)
    # A bundle-only line has port 0 and is wanted all the same (RFC 9143 section 6).
    port = 9 if section.has("bundle-only") else min(int(port_text[:6]), 65535)
    line = MediaLine(kind, mid, protocol, formats, direction, port)
    if not port:
        return line
    if kind == "application":
        return _parse_application(section, line)
    if kind not in ENCODINGS:
        return line
    return _parse_rtp(section, common, line)


def _parse_application(section: _Section, line: MediaLine) -> MediaLine:
    if line.protocol != "UDP/DTLS/SCTP" or line.formats != "webrtc-datachannel":
        raise SdpError(f"mid {line.mid}: a data channel must be UDP/DTLS/SCTP webrtc-datachannel")
    port = integer(section.first("sctp-port") or "5000", f"mid {line.mid}: a=sctp-port")
    if not 0 < port < 65536:
        raise SdpError(f"mid {line.mid}: a=sctp-port is out of range")
    return replace(line, sctp_port=port)


def _parse_rtp(section: _Section, common: dict[str, Extension], line: MediaLine) -> MediaLine:
    if line.formats.count(" ") >= MAX_FORMATS:
        raise SdpError(f"mid {line.mid}: more than {MAX_FORMATS} formats")
    if line.protocol not in _RTP_PROTOCOLS:
        raise SdpError(f"mid {line.mid}: the protocol must be UDP/TLS/RTP/SAVPF")
    if not section.has("rtcp-mux"):
        raise SdpError(f"mid {line.mid}: a=rtcp-mux is missing")
    ssrcs, rtx_ssrcs = read_ssrcs(section.all("ssrc"), section.all("ssrc-group"), line.mid)
    extensions = common | read_extensions(section.all("extmap"), f"mid {line.mid}")
    sent = list_sent(extensions)
    rids = read_rids(section.all("rid"), section.all("simulcast"), line.mid)
    return replace(
        line,
        codecs=read_codecs(line.media_kind, line.formats, section.attributes, line.mid),
        extensions=sent,
        received_extensions=list_received(extensions),
        # Without the extension that names them (RFC 8853 section 5.5) one stream is asked for.
        rids=rids if RID_URI in sent else (),
        ssrcs=ssrcs,
        rtx_ssrcs=rtx_ssrcs,
    )


def _fingerprint(section: _Section, session: _Section) -> Fingerprint:
    for entry in section.all("fingerprint") + session.all("fingerprint"):
        algorithm, _, value = entry.partition(" ")
        size = _FINGERPRINT_SIZES.get(algorithm.lower())
        if size is None:
            continue
        if not re.fullmatch(rf"[0-9A-Fa-f]{{2}}(:[0-9A-Fa-f]{{2}}){{{size - 1}}}", value):
            raise SdpError("a=fingerprint is malformed")
        return Fingerprint(algorithm.lower(), value.upper())
    raise SdpError("a=fingerprint with sha-256, sha-384 or sha-512 is missing")
