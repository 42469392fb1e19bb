"""The SFU's answer to an offer: ICE-lite, passive DTLS, one host candidate (RFC 8829 section 5.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.sfu.core.ids import Address
from services.sfu.core.wire.codec_formats import read_parameters
from services.sfu.core.wire.media_line import (
    DESCRIPTOR_URI,
    ENCODINGS,
    LEVEL_URI,
    MID_URI,
    REPAIRED_RID_URI,
    RID_URI,
    SEND_TIME_URI,
    TRANSPORT_CC_URI,
    CodecLine,
    MediaLine,
)
from services.sfu.core.wire.sdp import Fingerprint, Offer

# SCTP messages of the channel are small; a client gets no more buffer than this.
MAX_CHANNEL_MESSAGE_SIZE = 65536
SCTP_PORT = 5000

# RFC 8445 section 5.1.2.1 and RFC 6544 section 4.2: host candidates; TCP is what is left when UDP does not go through.
_HOST, _UDP_PREFERENCE, _TCP_PASSIVE = 126, 65535, 4 << 13
# As the registrations write them; the rest is in capitals.
_SPELLINGS = {"opus": "opus", "red": "red"}
# By whether the client sends on the line, and whether it receives on it.
_DIRECTIONS = {
    (True, True): "sendrecv",
    (True, False): "recvonly",
    (False, True): "sendonly",
    (False, False): "inactive",
}


class SlotSsrcs(NamedTuple):
    """The SSRCs that the SFU sends a slot on: the media's, and that of its repairs."""

    media: int
    repair: int


class Candidate(NamedTuple):
    """Where clients reach the worker; over TCP they are the ones who connect (RFC 6544: passive)."""

    address: Address
    is_tcp: bool = False


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """The SFU's end of one participant's transport. The first candidate is the preferred one."""

    ice_ufrag: str
    ice_pwd: str
    fingerprint: Fingerprint
    candidates: Sequence[Candidate]


def build_answer(offer: Offer, transport: LocalTransport, slot_ssrcs: Mapping[str, SlotSsrcs], session_id: int) -> str:
    """The SDP answer; `slot_ssrcs` gives the SSRCs of each receive slot by its MID."""
    served = [line for line in offer.media if is_served(line)]
    streams = name_streams(served)
    lines = [
        "v=0",
        f"o=- {session_id} 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        "a=group:BUNDLE " + " ".join(line.mid for line in served),
        "a=msid-semantic: WMS *",
    ]
    if offer.allows_mixed:
        # A descriptor that brings its templates fits in no element of one byte.
        lines.append("a=extmap-allow-mixed")
    for line in offer.media:
        if not is_served(line):
            lines += [f"m={line.kind} 0 {line.protocol} {line.formats}", "c=IN IP4 0.0.0.0"]
            lines += [f"a=mid:{line.mid}", "a=inactive"]
            continue
        if line.sctp_port is not None:
            lines += _application(line)
        else:
            lines += _rtp(line, slot_ssrcs.get(line.mid), streams.get(line.mid, ""))
        lines += _transport(transport)
    return "\r\n".join(lines) + "\r\n"


def is_served(line: MediaLine) -> bool:
    """Whether the answer takes the m-line rather than rejects it."""
    return line.port != 0 and (bool(line.codecs) or line.sctp_port is not None)


def name_streams(lines: Sequence[MediaLine]) -> dict[str, str]:
    """The stream (a=msid) of each slot by its MID.

    The first slots of each kind are in one, the second ones in another, and so on, for lines that only receive and for
    sendrecv ones apart. Players play what is in one stream together, and a person's sound and picture get slots of one
    (calls.py); simple clients play the stream that the last of their tracks is in, and would lose the others.
    """
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for line in lines:
        if line.client_receives:
            sort = "both" if line.client_sends else "slot"
            number = counts[sort + line.media_kind] = counts.get(sort + line.media_kind, 0) + 1
            names[line.mid] = f"{sort}-{number}"
    return names


def _transport(transport: LocalTransport) -> list[str]:
    # The candidates on every line: aiortc looks at the last of a bundle, browsers at the first.
    return [
        f"a=ice-ufrag:{transport.ice_ufrag}",
        f"a=ice-pwd:{transport.ice_pwd}",
        f"a=fingerprint:{transport.fingerprint.algorithm} {transport.fingerprint.value}",
        "a=setup:passive",
        *(_candidate(number, candidate) for number, candidate in enumerate(transport.candidates, 1)),
        "a=end-of-candidates",
    ]


def _candidate(number: int, candidate: Candidate) -> str:
    """Each is a foundation of its own: they differ in address or in transport."""
    host, port = candidate.address
    preference = (_TCP_PASSIVE if candidate.is_tcp else _UDP_PREFERENCE) - (number - 1)
    priority = (_HOST << 24) + (preference << 8) + 255
    transport, more = ("tcp", " tcptype passive") if candidate.is_tcp else ("udp", "")
    return f"a=candidate:{number} 1 {transport} {priority} {host} {port} typ host{more}"


def _application(line: MediaLine) -> list[str]:
    return [
        f"m=application 9 {line.protocol} {line.formats}",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{line.mid}",
        f"a=sctp-port:{SCTP_PORT}",
        f"a=max-message-size:{MAX_CHANNEL_MESSAGE_SIZE}",
    ]


def _rtp(line: MediaLine, ssrcs: SlotSsrcs | None, stream: str) -> list[str]:
    types = [t for codec in line.answered_codecs for t in (codec.payload_type, codec.rtx_payload_type) if t is not None]
    lines = [
        f"m={line.kind} 9 {line.protocol} " + " ".join(map(str, types)),
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=mid:{line.mid}",
        "a=rtcp-mux",
    ]
    for codec in line.answered_codecs:
        lines += _codec(line, codec)
    direction = _DIRECTIONS[line.client_sends, ssrcs is not None]
    lines.append(f"a={direction}")
    if direction != "inactive":
        lines += _extmaps(line)
    if line.client_sends and line.rids:
        lines += [f"a=rid:{rid} recv" for rid in line.rids]
        lines.append("a=simulcast:recv " + ";".join(line.rids))
    return lines if ssrcs is None else lines + _sent(line, ssrcs, stream)


def _codec(line: MediaLine, codec: CodecLine) -> list[str]:
    number = codec.payload_type
    encoding = next(name for name, known in ENCODINGS[line.media_kind].items() if known == codec.codec)
    lines = [f"a=rtpmap:{number} {_SPELLINGS.get(codec.codec, codec.codec.upper())}{encoding[encoding.index('/') :]}"]
    fmtp = _opus(line, codec) if codec.codec == "opus" else codec.fmtp
    if fmtp:
        lines.append(f"a=fmtp:{number} {fmtp}")
    lines += [f"a=rtcp-fb:{number} {name}" for name in codec.feedback if _is_taken(line, name)]
    if codec.rtx_payload_type is not None:
        lines += [f"a=rtpmap:{codec.rtx_payload_type} rtx/90000", f"a=fmtp:{codec.rtx_payload_type} apt={number}"]
    return lines


def _opus(line: MediaLine, codec: CodecLine) -> str:
    """What the SFU takes (RFC 7587 section 6.1): of voice no packets of silence. Who sends in stereo sends more than
    voice, where a pause is part of it."""
    common = "minptime=10;useinbandfec=1"
    if not line.client_sends:
        return common
    is_stereo = read_parameters(codec.fmtp).get("sprop-stereo") == "1"
    return f"{common};stereo=1" if is_stereo else f"{common};usedtx=1"


def _is_taken(line: MediaLine, feedback: str) -> bool:
    """Transport-cc or REMB, never both: two estimates of one path would fight."""
    if feedback == "transport-cc":
        return line.has_transport_cc
    return feedback != "goog-remb" or not line.has_transport_cc


def _sent(line: MediaLine, ssrcs: SlotSsrcs, stream: str) -> list[str]:
    """What the SFU sends on a slot."""
    name = f"{stream} slot-{line.mid}"
    lines = [f"a=msid:{name}"]
    repaired = any(codec.rtx_payload_type is not None for codec in line.answered_codecs)
    if repaired:
        lines.append(f"a=ssrc-group:FID {ssrcs.media} {ssrcs.repair}")
    for ssrc in (ssrcs.media, ssrcs.repair) if repaired else (ssrcs.media,):
        lines += [f"a=ssrc:{ssrc} cname:parley", f"a=ssrc:{ssrc} msid:{name}"]
    return lines


def _extmaps(line: MediaLine) -> list[str]:
    """The extensions of what is served on the line; MID, RID and the dependency descriptor are for what it sends."""
    bandwidth = TRANSPORT_CC_URI if line.has_transport_cc else SEND_TIME_URI
    common = LEVEL_URI if line.kind == "audio" else bandwidth
    uris = [MID_URI, common, *((RID_URI, REPAIRED_RID_URI) if line.rids else ())]
    if line.kind == "video":
        uris.append(DESCRIPTOR_URI)
    lines = []
    for uri in uris:
        comes = line.client_sends and uri in line.extensions
        goes = line.client_receives and uri in line.received_extensions
        if comes or (goes and uri == common):
            # Without a direction of its own it has that of the line (RFC 8285 section 7).
            is_plain = (comes, goes) == (line.client_sends, line.client_receives)
            direction = "" if is_plain else "/recvonly" if comes else "/sendonly"
            number = line.extensions[uri] if comes else line.received_extensions[uri]
            lines.append(f"a=extmap:{number}{direction} {uri}")
    return lines
