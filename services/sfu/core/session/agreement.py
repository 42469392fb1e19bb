"""Which codec a participant's own video is taken in, so that everyone in the call sees a picture.

An offer is answered once. So it is the codec that most receivers in the call can decode, and of equal ones the one that
later receivers will most surely decode: VP8, else the client's own order, with H.264's most common profile first.
"""

from collections.abc import Sequence
from dataclasses import replace

from services.sfu.core.wire.codec_formats import Format, lower_level, rank_format
from services.sfu.core.wire.media_line import CodecLine, MediaLine
from services.sfu.core.wire.sdp import Offer

# What one receiver takes: the codec lines of its video slots by format.
Takes = dict[Format, CodecLine]


def list_takes(offer: Offer) -> Takes:
    """What the client of an offer can decode, over all of its video slots."""
    takes: Takes = {}
    for line in offer.media:
        if line.is_slot and line.kind == "video":
            takes = line.takes | takes
    return takes


def agree(offer: Offer, company: Sequence[Takes]) -> Offer:
    """The offer with the agreed codec of each own video first; `company` are the receivers in the call."""
    return replace(offer, media=tuple(_agree(line, company) for line in offer.media))


def _agree(line: MediaLine, company: Sequence[Takes]) -> MediaLine:
    if not line.is_own or line.kind != "video":
        return line

    def order(codec: CodecLine) -> tuple[int, int]:
        return -sum(codec.format in takes for takes in company), rank_format(codec.format)

    chosen = min(line.codecs, key=order)
    fmtp = chosen.fmtp
    if chosen.codec == "h264":
        for takes in company:
            if chosen.format in takes:
                fmtp = lower_level(fmtp, takes[chosen.format].fmtp)
    others = (codec for codec in line.codecs if codec is not chosen)
    return replace(line, codecs=(replace(chosen, fmtp=fmtp), *others))
