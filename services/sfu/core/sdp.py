"""A strict parser for the offers of clients (RFC 8866, RFC 8829); anything it cannot serve is one SdpError."""

import re
from dataclasses import dataclass, field

from services.sfu.core.errors import SdpError
from services.sfu.core.ids import Kind

# A call of 30 has 60 receive slots; more lines would only cost.
MAX_MEDIA_LINES = 128
MAX_OFFER_SIZE = 64 * 1024
MAX_RIDS = 3

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID_URI = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

# What is answered to, and for which codec of each kind: name, clock rate, channels.
_CODECS: dict[str, str] = {"audio": "opus/48000/2", "video": "vp8/90000"}
_FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb")
_FINGERPRINT_SIZES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_DIRECTIONS = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,64}\Z")
_RID = re.compile(r"[A-Za-z0-9_-]{1,16}\Z")
_ICE_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}\Z")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The hash of a DTLS certificate: algorithm in lower case, value as upper-case hex pairs with colons."""

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True)
class MediaLine:
    """One m-line of an offer, cut down to what the SFU serves.

    `payload_type` is None when the line is not served (rejected by the client, or of a kind unknown here).
    `extensions` maps the URIs of interest to the client's ids. `port` is 0 for a line the client rejects.
    """

    kind: str
    mid: str
    protocol: str
    formats: str
    direction: str
    port: int
    payload_type: int | None = None
    fmtp: str = ""
    feedback: tuple[str, ...] = ()
    extensions: dict[str, int] = field(default_factory=dict)
    rids: tuple[str, ...] = ()
    ssrcs: tuple[int, ...] = ()
    sctp_port: int | None = None

    @property
    def is_own(self) -> bool:
        """Whether the client sends on this line."""
        return self.payload_type is not None and self.direction in ("sendrecv", "sendonly")

    @property
    def is_slot(self) -> bool:
        """Whether the client receives another's media on this line."""
        return self.payload_type is not None and self.direction == "recvonly"

    @property
    def media_kind(self) -> Kind:
        """The kind of a served line."""
        return "audio" if self.kind == "audio" else "video"


@dataclass(frozen=True, slots=True)
class Offer:
    """A client's offer that the SFU can serve, m-lines in their order."""

    ice_ufrag: str
    fingerprint: Fingerprint
    media: tuple[MediaLine, ...]


@dataclass(slots=True)
class _Section:
    """The lines of the session or of one m-line: `a=` attributes by name, in order."""

    media: str = ""
    attributes: dict[str, list[str]] = field(default_factory=dict)

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
    media = tuple(_parse_media(section, session) for section in sections)
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
    if not (first.has("ice-pwd") or session.has("ice-pwd")):
        raise SdpError("a=ice-pwd is missing")
    setup = first.first("setup") or session.first("setup")
    if setup not in ("actpass", "active"):
        raise SdpError("a=setup must be actpass or active")
    return Offer(ufrag, _fingerprint(first, session), media)


def _split(text: str) -> tuple[_Section, list[_Section]]:
    if len(text) > MAX_OFFER_SIZE:
        raise SdpError(f"the offer is longer than {MAX_OFFER_SIZE} characters")
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[0] != "v=0":
        raise SdpError("the offer must begin with v=0")
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
            current.attributes.setdefault(name, []).append(value)
    if not sections:
        raise SdpError("the offer has no m-line")
    return session, sections


def _check_bundle(session: _Section, media: tuple[MediaLine, ...]) -> None:
    groups = [value.split() for value in session.all("group")]
    bundle = next((group[1:] for group in groups if group and group[0] == "BUNDLE"), None)
    if bundle is None:
        raise SdpError("a=group:BUNDLE is missing")
    for line in media:
        if line.port and line.mid not in bundle:
            raise SdpError(f"mid {line.mid} is not in a=group:BUNDLE")


def _parse_media(section: _Section, session: _Section) -> MediaLine:
    parts = section.media.split(" ", 3)
    if len(parts) != 4 or not parts[1].isascii() or not parts[1].isdigit():
        raise SdpError("an m-line is not of the form m=kind port protocol formats")
    kind, port_text, protocol, formats = parts
    if not (_TOKEN.match(kind) and re.fullmatch(r"[A-Za-z0-9/]{1,40}", protocol)):
        raise SdpError("an m-line is not of the form m=kind port protocol formats")
    mid = section.first("mid")
    if mid is None or not _TOKEN.match(mid):
        raise SdpError("an m-line has no a=mid, or a malformed one")
    direction = next((name for name in section.attributes if name in _DIRECTIONS), "sendrecv")
    # A bundle-only line has port 0 and is wanted all the same (RFC 9143 section 6).
    port = 9 if section.has("bundle-only") else min(int(port_text[:6]), 65535)
    line = MediaLine(kind, mid, protocol, formats, direction, port)
    if not port:
        return line
    if kind == "application":
        return _parse_application(section, line)
    if kind not in _CODECS:
        return line
    return _parse_rtp(section, session, line)


def _parse_application(section: _Section, line: MediaLine) -> MediaLine:
    if line.protocol != "UDP/DTLS/SCTP" or line.formats != "webrtc-datachannel":
        raise SdpError(f"mid {line.mid}: a data channel must be UDP/DTLS/SCTP webrtc-datachannel")
    port = _integer(section.first("sctp-port") or "5000", f"mid {line.mid}: a=sctp-port")
    if not 0 < port < 65536:
        raise SdpError(f"mid {line.mid}: a=sctp-port is out of range")
    return MediaLine(line.kind, line.mid, line.protocol, line.formats, line.direction, line.port, sctp_port=port)


def _parse_rtp(section: _Section, session: _Section, line: MediaLine) -> MediaLine:
    if line.protocol != "UDP/TLS/RTP/SAVPF":
        raise SdpError(f"mid {line.mid}: the protocol must be UDP/TLS/RTP/SAVPF")
    if not section.has("rtcp-mux"):
        raise SdpError(f"mid {line.mid}: a=rtcp-mux is missing")
    payload_type = _payload_type(section, line)
    offered = {
        value
        for prefix, _, value in (entry.partition(" ") for entry in section.all("rtcp-fb"))
        if prefix in (str(payload_type), "*")
    }
    fmtp = next((v for p, _, v in (e.partition(" ") for e in section.all("fmtp")) if p == str(payload_type)), "")
    return MediaLine(
        kind=line.kind,
        mid=line.mid,
        protocol=line.protocol,
        formats=line.formats,
        direction=line.direction,
        port=line.port,
        payload_type=payload_type,
        fmtp=fmtp,
        feedback=tuple(name for name in _FEEDBACK if name in offered),
        extensions=_extensions(section, session, line.mid),
        rids=_rids(section, line.mid),
        ssrcs=_ssrcs(section, line.mid),
    )


def _payload_type(section: _Section, line: MediaLine) -> int:
    formats = line.formats.split()
    for entry in section.all("rtpmap"):
        number, _, encoding = entry.partition(" ")
        if encoding.strip().lower() == _CODECS[line.kind] and number in formats:
            payload_type = _integer(number, f"mid {line.mid}: a=rtpmap")
            if payload_type > 127:
                raise SdpError(f"mid {line.mid}: payload type {payload_type} is out of range")
            return payload_type
    raise SdpError(f"mid {line.mid}: no {_CODECS[line.kind]} among the codecs")


def _extensions(section: _Section, session: _Section, mid: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in session.all("extmap") + section.all("extmap"):
        number, _, rest = entry.partition(" ")
        uri = rest.split(" ", 1)[0]
        if uri in (MID_URI, RID_URI, LEVEL_URI):
            extension_id = _integer(number.partition("/")[0], f"mid {mid}: a=extmap")
            if not 1 <= extension_id <= 255 or extension_id == 15:
                raise SdpError(f"mid {mid}: extmap id {extension_id} is out of range")
            found[uri] = extension_id
    return found


def _rids(section: _Section, mid: str) -> tuple[str, ...]:
    rids = []
    for entry in section.all("rid"):
        parts = entry.split()
        if len(parts) < 2 or not _RID.match(parts[0]):
            raise SdpError(f"mid {mid}: a=rid is malformed")
        if parts[1] == "send":
            rids.append(parts[0])
    if len(rids) > MAX_RIDS or len(set(rids)) != len(rids):
        raise SdpError(f"mid {mid}: more than {MAX_RIDS} rids, or one twice")
    return tuple(rids)


def _ssrcs(section: _Section, mid: str) -> tuple[int, ...]:
    found: dict[int, None] = {}
    for entry in section.all("ssrc"):
        ssrc = _integer(entry.partition(" ")[0], f"mid {mid}: a=ssrc")
        if ssrc > 0xFFFFFFFF:
            raise SdpError(f"mid {mid}: an a=ssrc is out of range")
        found[ssrc] = None
    return tuple(found)


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


def _integer(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise SdpError(f"{what} is not a number")
    return int(text)
