"""Which codec a participant's own video is taken in, so that everyone in the call sees a picture.

An offer is answered once. So the answer names first the codec that most receivers in the call can decode, and of equal
ones the one that later receivers will most surely decode: VP8, else the client's own order, with H.264's most common
profile first. A client that follows WantedLayers goes over to a better one, as the deployment ranks them, while all in
the call decode it (call_codecs.py).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from services.sfu.core.wire.codec_formats import Format, lower_level, rank_format
from services.sfu.core.wire.media_line import DESCRIPTOR_URI, CodecLine, MediaLine
from services.sfu.core.wire.sdp import Offer

# What one receiver can decode: the codec lines of its video slots by format.
DecodableFormats = dict[Format, CodecLine]


def list_decodable_formats(offer: Offer) -> DecodableFormats:
    """What the client of an offer can decode, over all of its video slots."""
    decodable: DecodableFormats = {}
    for line in offer.media:
        if line.client_receives and line.kind == "video":
            decodable = line.decodable | decodable
    return decodable


def agree(offer: Offer, receivers: Sequence[DecodableFormats], order: tuple[str, ...] = ()) -> Offer:
    """The offer with the agreed codec of each own video first; `receivers`: what each in the call can decode.

    `order`: how the deployment ranks codecs. Where that is VP8 first, which says itself what there is to know, no
    dependency descriptor is taken: it would be some bytes of each packet for nothing.
    """
    return replace(offer, media=tuple(_agree(line, receivers, order) for line in offer.media))


def _agree(line: MediaLine, receivers: Sequence[DecodableFormats], order: tuple[str, ...]) -> MediaLine:
    if not line.client_sends or line.kind != "video":
        return line

    def count(offered: Format) -> int:
        return sum(offered in decodable for decodable in receivers)

    by_format = {codec.format: codec for codec in line.codecs}
    extensions = line.extensions
    if DESCRIPTOR_URI in extensions and choose_format(by_format, lambda _: 0, order) == "vp8":
        extensions = {uri: number for uri, number in extensions.items() if uri != DESCRIPTOR_URI}
    chosen = by_format.pop(choose_format(by_format, count))
    codecs = (chosen, *by_format.values())
    if receivers:
        codecs = tuple(_lower(codec, receivers) if codec.codec == "h264" else codec for codec in codecs)
    return replace(line, codecs=codecs, extensions=extensions)


def choose_format(formats: Iterable[Format], count: Callable[[Format], int], order: tuple[str, ...] = ()) -> Format:
    """Of a publisher's formats that which most can decode (`count`), and of equal ones the best of `order`; the others
    come behind those, the most common first."""
    return min(formats, key=lambda name: (-count(name), rank_format(name, order)))


def _lower(codec: CodecLine, receivers: Sequence[DecodableFormats]) -> CodecLine:
    """An H.264 codec line with the lowest level of those who decode it (RFC 6184 section 8.2.2)."""
    fmtp = codec.fmtp
    for decodable in receivers:
        if codec.format in decodable:
            fmtp = lower_level(fmtp, decodable[codec.format].fmtp)
    return codec if fmtp == codec.fmtp else replace(codec, fmtp=fmtp)
