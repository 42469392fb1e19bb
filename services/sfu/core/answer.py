"""The SFU's answer to an offer: ICE-lite, passive DTLS, one host candidate, Opus and VP8 (RFC 8829 section 5.3)."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.sfu.core.ids import Address
from services.sfu.core.sdp import LEVEL_URI, MID_URI, RID_URI, Fingerprint, MediaLine, Offer

# SCTP messages of the channel are small; a client gets no more buffer than this.
MAX_CHANNEL_MESSAGE_SIZE = 65536
SCTP_PORT = 5000

_HOST_PRIORITY = 2130706431


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """The SFU's end of one participant's transport. `candidate` is the address that clients reach the worker at."""

    ice_ufrag: str
    ice_pwd: str
    fingerprint: Fingerprint
    candidate: Address


def build_answer(offer: Offer, transport: LocalTransport, slot_ssrcs: Mapping[str, int], session_id: int) -> str:
    """The SDP answer; `slot_ssrcs` gives the SSRC of each receive slot by its MID."""
    served = [line for line in offer.media if is_served(line)]
    lines = [
        "v=0",
        f"o=- {session_id} 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        "a=group:BUNDLE " + " ".join(line.mid for line in served),
        "a=msid-semantic: WMS *",
    ]
    for line in offer.media:
        if not is_served(line):
            lines += [f"m={line.kind} 0 {line.protocol} {line.formats}", "c=IN IP4 0.0.0.0"]
            lines += [f"a=mid:{line.mid}", "a=inactive"]
            continue
        if line.sctp_port is not None:
            lines += _application(line)
        else:
            lines += _rtp(line, slot_ssrcs.get(line.mid))
        lines += _transport(transport)
    return "\r\n".join(lines) + "\r\n"


def is_served(line: MediaLine) -> bool:
    """Whether the answer takes the m-line rather than rejects it."""
    return line.port != 0 and (line.payload_type is not None or line.sctp_port is not None)


def _transport(transport: LocalTransport) -> list[str]:
    host, port = transport.candidate
    # The candidate on every line: aiortc looks at the last of a bundle, browsers at the first.
    return [
        f"a=ice-ufrag:{transport.ice_ufrag}",
        f"a=ice-pwd:{transport.ice_pwd}",
        f"a=fingerprint:{transport.fingerprint.algorithm} {transport.fingerprint.value}",
        "a=setup:passive",
        f"a=candidate:1 1 udp {_HOST_PRIORITY} {host} {port} typ host",
        "a=end-of-candidates",
    ]


def _application(line: MediaLine) -> list[str]:
    return [
        f"m=application 9 {line.protocol} {line.formats}",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{line.mid}",
        f"a=sctp-port:{SCTP_PORT}",
        f"a=max-message-size:{MAX_CHANNEL_MESSAGE_SIZE}",
    ]


def _rtp(line: MediaLine, slot_ssrc: int | None) -> list[str]:
    payload_type = line.payload_type
    rtpmap = "opus/48000/2" if line.kind == "audio" else "VP8/90000"
    lines = [
        f"m={line.kind} 9 {line.protocol} {payload_type}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=mid:{line.mid}",
        "a=rtcp-mux",
        f"a=rtpmap:{payload_type} {rtpmap}",
    ]
    if line.kind == "audio":
        lines.append(f"a=fmtp:{payload_type} minptime=10;useinbandfec=1")
    lines += [f"a=rtcp-fb:{payload_type} {name}" for name in line.feedback]
    if line.is_own:
        return lines + _own(line)
    if slot_ssrc is None:
        return [*lines, "a=inactive"]
    return lines + _slot(line, slot_ssrc)


def _own(line: MediaLine) -> list[str]:
    wanted = [MID_URI, LEVEL_URI] if line.kind == "audio" else [MID_URI] + [RID_URI] * bool(line.rids)
    lines = ["a=recvonly"]
    lines += [f"a=extmap:{line.extensions[uri]} {uri}" for uri in wanted if uri in line.extensions]
    if line.rids:
        lines += [f"a=rid:{rid} recv" for rid in line.rids]
        lines.append("a=simulcast:recv " + ";".join(line.rids))
    return lines


def _slot(line: MediaLine, ssrc: int) -> list[str]:
    lines = ["a=sendonly"]
    if line.kind == "audio" and LEVEL_URI in line.extensions:
        lines.append(f"a=extmap:{line.extensions[LEVEL_URI]} {LEVEL_URI}")
    # A stream id of its own: the slots of one user change, and players must not tie the wrong ones together.
    name = f"slot-{line.mid}"
    return [*lines, f"a=msid:{name} {name}", f"a=ssrc:{ssrc} cname:parley", f"a=ssrc:{ssrc} msid:{name} {name}"]
