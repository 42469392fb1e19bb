"""Offers: one SdpError, or an answer of as many m-lines, in which no line is the client's own."""

from services.sfu.core.errors import SdpError
from services.sfu.core.session.agreement import agree, list_decodable_formats
from services.sfu.core.wire.answer import Candidate, LocalTransport, build_answer
from services.sfu.core.wire.sdp import Fingerprint, parse_offer
from tests.unit.sfu.builders import offer_text

_TRANSPORT = LocalTransport("ours", "secret", Fingerprint("sha-256", "CD"), [Candidate(("192.0.2.1", 7800))])
_NAMES = frozenset("vostacmb")
SEEDS = (
    offer_text().encode(),
    offer_text(simulcast=True).encode(),
    b"v=0\nm=audio 9 UDP/TLS/RTP/SAVPF 111\na=mid:0\n",
)
# Regular expressions and the answer's lines for each codec.
LINES_PER_BYTE = 400


def fuzz(data: bytes) -> None:
    """Raises for anything but an SdpError, and for an answer that is out of shape."""
    try:
        offer = parse_offer(data.decode("utf-8", "replace"))
    except SdpError:
        return
    agreed = agree(offer, [list_decodable_formats(offer)])
    lines = build_answer(agreed, _TRANSPORT, {}, 1).split("\r\n")
    assert lines.pop() == ""
    assert sum(line.startswith("m=") for line in lines) == len(offer.media)
    for line in lines:
        assert line[0] in _NAMES
        assert line[1] == "="
        assert line.isprintable()
    assert len(lines) < 64 * (len(offer.media) + 1)
