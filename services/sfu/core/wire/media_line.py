"""One RTP m-line of an offer: its codecs, feedback, header extensions, rids and SSRCs, cut down to what is served."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from services.sfu.core.errors import SdpError
from services.sfu.core.ids import Kind
from services.sfu.core.wire.codec_formats import Codec, Format, list_decodable, name_format, read_parameters

MAX_RIDS = 3
# Of a kind of media; browsers have up to 17. Raising it lets an offer hold up the worker for longer; lowering it misses
# codecs that two clients have in common.
MAX_CODECS = 24

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID_URI = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID_URI = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
TRANSPORT_CC_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
DESCRIPTOR_URI = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
_SERVED_URIS = frozenset(
    {MID_URI, RID_URI, REPAIRED_RID_URI, LEVEL_URI, TRANSPORT_CC_URI, SEND_TIME_URI, DESCRIPTOR_URI}
)

# The encodings of rtpmap lines, in lower case.
ENCODINGS: dict[Kind, dict[str, Codec]] = {
    "audio": {"opus/48000/2": "opus", "red/48000/2": "red", "opus/48000": "opus"},
    "video": {"vp8/90000": "vp8", "h264/90000": "h264", "vp9/90000": "vp9", "av1/90000": "av1"},
}
_RTX_ENCODING = "rtx/90000"
_FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb", "transport-cc")
# RFC 8851 section 10 bounds no length; an element of two bytes holds 255.
_RID = re.compile(r"[A-Za-z0-9_-]{1,255}\Z")
# With the marker bit these look like RTCP (RFC 5761 section 4).
_LIKE_RTCP = range(64, 96)
# Ids that only matter in the answer, where an offer has more extensions than ids (RFC 8285 section 6).
_PLACEHOLDER_IDS = range(4096, 4352)


@dataclass(frozen=True, slots=True)
class CodecLine:
    """A codec of an m-line with the client's numbers; `rtx_payload_type` is None without RFC 4588 for it."""

    codec: Codec
    payload_type: int
    fmtp: str = ""
    feedback: tuple[str, ...] = ()
    rtx_payload_type: int | None = None

    @property
    def format(self) -> Format:
        """The codec with its profile."""
        return name_format(self.codec, self.fmtp)


@dataclass(frozen=True, slots=True)
class MediaLine:
    """One m-line of an offer, cut down to what the SFU serves. On sendrecv the client sends and receives.

    `codecs` are in the client's order, empty when the line is not served (rejected by the client, or of a kind unknown
    here). `extensions` maps the URIs of interest to the client's ids for what it sends, `received_extensions` for what
    it receives. `port` is 0 for a line the client rejects.
    `rtx_ssrcs` maps the SSRC of a repair stream to that which it repairs.
    """

    kind: str
    mid: str
    protocol: str
    formats: str
    direction: str
    port: int
    codecs: tuple[CodecLine, ...] = ()
    extensions: dict[str, int] = field(default_factory=dict)
    received_extensions: dict[str, int] = field(default_factory=dict)
    rids: tuple[str, ...] = ()
    ssrcs: tuple[int, ...] = ()
    rtx_ssrcs: dict[int, int] = field(default_factory=dict)
    sctp_port: int | None = None

    @property
    def client_sends(self) -> bool:
        """Whether the client sends on this line."""
        return bool(self.codecs) and self.direction in ("sendrecv", "sendonly")

    @property
    def client_receives(self) -> bool:
        """Whether the client receives another's media on this line."""
        return bool(self.codecs) and self.direction in ("sendrecv", "recvonly")

    @property
    def media_kind(self) -> Kind:
        """The kind of a served line."""
        return "audio" if self.kind == "audio" else "video"

    @property
    def payload_type(self) -> int | None:
        """That of the first codec."""
        return self.codecs[0].payload_type if self.codecs else None

    @property
    def feedback(self) -> tuple[str, ...]:
        """That of the first codec."""
        return self.codecs[0].feedback if self.codecs else ()

    @property
    def plays_stereo(self) -> bool:
        """Whether the client plays Opus of the line in stereo (RFC 7587 section 6.1)."""
        return any(codec.codec == "opus" and read_parameters(codec.fmtp).get("stereo") == "1" for codec in self.codecs)

    @property
    def has_transport_cc(self) -> bool:
        """Whether the line takes part in transport-wide congestion control: video only (docs/design/bandwidth.md)."""
        is_sent = not self.client_sends or TRANSPORT_CC_URI in self.extensions
        # What goes to the client has ids of one-byte elements only (packet_formats.py).
        is_taken = not self.client_receives or 0 < self.received_extensions.get(TRANSPORT_CC_URI, 0) < 15
        return self.kind == "video" and "transport-cc" in self.feedback and is_sent and is_taken

    @property
    def answered_codecs(self) -> tuple[CodecLine, ...]:
        """What the answer takes: all that the client sends, the agreed one first (agreement.py), and on a slot those
        that together decode all that it can. On own video that is a slot too, the first is first among these."""
        if self.client_sends and (self.kind == "audio" or not self.client_receives):
            return self.codecs
        return tuple(dict.fromkeys(self.decodable.values()))

    @property
    def decodable(self) -> dict[Format, CodecLine]:
        """The formats that can be sent to the client on this line, each with the codec line that it goes out under."""
        found: dict[Format, CodecLine] = {}
        for codec in self.codecs:
            if codec.format not in found:
                found |= {name: codec for name in sorted(list_decodable(codec.format)) if name not in found}
        return found


def read_codecs(kind: Kind, formats: str, attributes: dict[str, list[str]], mid: str) -> tuple[CodecLine, ...]:
    """The served codecs in the order of the m-line, none for video of other codecs. Raises SdpError without Opus, or on
    numbers out of range."""
    encodings = dict(_numbered(attributes.get("rtpmap", ())))
    parameters = dict(_numbered(attributes.get("fmtp", ())))
    repairs = _repairs(formats, encodings, parameters)
    offered = frozenset(_numbered(attributes.get("rtcp-fb", ())))
    found: dict[Format, CodecLine] = {}
    for number in formats.split():
        codec = ENCODINGS[kind].get(encodings.get(number, "").strip().lower())
        if codec is None or len(found) == MAX_CODECS:
            continue
        fmtp = parameters.get(number, "")
        name, payload_type = name_format(codec, fmtp), _payload_type(number, mid)
        if name in found or payload_type in _LIKE_RTCP:
            continue
        feedback = tuple(name for name in _FEEDBACK if (number, name) in offered or ("*", name) in offered)
        repair = repairs.get(number)
        repair_type = None if repair is None or "nack" not in feedback else _payload_type(repair, mid)
        found[name] = CodecLine(codec, payload_type, fmtp, feedback, repair_type)
    if kind == "audio" and "opus" not in found:
        raise SdpError(f"mid {mid}: no opus among the codecs")
    return tuple(found.values())


class Extension(NamedTuple):
    """A header extension of an offer: its id, and the direction in which it is used (RFC 8285 section 7)."""

    id: int
    direction: str = ""


def list_sent(extensions: Mapping[str, Extension]) -> dict[str, int]:
    """The ids of those that the client sends."""
    return {uri: e.id for uri, e in extensions.items() if e.direction not in ("recvonly", "inactive")}


def list_received(extensions: Mapping[str, Extension]) -> dict[str, int]:
    """The ids of those that the client receives."""
    return {uri: e.id for uri, e in extensions.items() if e.direction not in ("sendonly", "inactive")}


def read_extensions(entries: Sequence[str], where: str) -> dict[str, Extension]:
    """The header extensions of interest by their URIs."""
    found: dict[str, Extension] = {}
    for entry in entries:
        number, _, rest = entry.partition(" ")
        uri = rest.split(" ", 1)[0]
        if uri in _SERVED_URIS:
            number, _, direction = number.partition("/")
            extension_id = integer(number, f"{where}: a=extmap")
            if extension_id in _PLACEHOLDER_IDS:
                continue
            if not 1 <= extension_id <= 255:
                raise SdpError(f"{where}: extmap id {extension_id} is out of range")
            found[uri] = Extension(extension_id, direction)
    return found


def read_rids(entries: Sequence[str], simulcast: Sequence[str], mid: str) -> tuple[str, ...]:
    """The rids that the client sends, at most MAX_RIDS, in the order of `a=simulcast` where that names them.

    Of alternatives it is the first; a layer that begins paused (~) is one like the others (RFC 8853 section 5).
    """
    rids = []
    for entry in entries:
        parts = entry.split()
        if len(parts) < 2 or not _RID.match(parts[0]):
            raise SdpError(f"mid {mid}: a=rid is malformed")
        if parts[1] == "send":
            rids.append(parts[0])
    if len(set(rids)) != len(rids):
        raise SdpError(f"mid {mid}: one of the rids is there twice")
    listed = _simulcast(simulcast)
    known = frozenset(rids)
    return tuple(rid for rid in listed or rids if rid in known)[:MAX_RIDS]


def _simulcast(entries: Sequence[str]) -> list[str]:
    """The rids of an `a=simulcast` line that the client sends; none of a line that is not understood."""
    words = entries[0].split() if entries else []
    sent = next((words[at + 1] for at in range(len(words) - 1) if words[at] == "send"), "")
    first = [layer.split(",")[0].removeprefix("~") for layer in sent.split(";")]
    return list(dict.fromkeys(rid for rid in first if rid))


def read_ssrcs(entries: Sequence[str], groups: Sequence[str], mid: str) -> tuple[tuple[int, ...], dict[int, int]]:
    """The media SSRCs, and repaired by repairing SSRC (`a=ssrc-group:FID`); malformed groups mean nothing."""
    found: dict[int, None] = {}
    for entry in entries:
        ssrc = integer(entry.partition(" ")[0], f"mid {mid}: a=ssrc")
        if ssrc > 0xFFFFFFFF:
            raise SdpError(f"mid {mid}: an a=ssrc is out of range")
        found[ssrc] = None
    repairs: dict[int, int] = {}
    for group in groups:
        parts = group.split()
        if len(parts) == 3 and parts[0] == "FID" and all(p.isascii() and p.isdigit() for p in parts[1:]):
            media, repair = int(parts[1][:11]), int(parts[2][:11])
            if media in found and repair in found:
                repairs[repair] = media
    return tuple(ssrc for ssrc in found if ssrc not in repairs), repairs


def integer(text: str, what: str) -> int:
    """A plain decimal number of an offer. Raises SdpError that names `what`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise SdpError(f"{what} is not a number")
    return int(text)


def _numbered(entries: Sequence[str]) -> list[tuple[str, str]]:
    return [(number, rest) for number, _, rest in (entry.partition(" ") for entry in entries)]


def _repairs(formats: str, encodings: dict[str, str], parameters: dict[str, str]) -> dict[str, str]:
    """RTX payload types by the payload type that they repair."""
    found: dict[str, str] = {}
    for number in formats.split():
        if encodings.get(number, "").strip().lower() == _RTX_ENCODING:
            name, _, repaired = parameters.get(number, "").partition("=")
            if name.strip() == "apt":
                found[repaired.split(";")[0].strip()] = number
    return found


def _payload_type(number: str, mid: str) -> int:
    payload_type = integer(number, f"mid {mid}: a=rtpmap")
    if payload_type > 127:
        raise SdpError(f"mid {mid}: payload type {payload_type} is out of range")
    return payload_type
