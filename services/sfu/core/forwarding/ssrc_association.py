"""Whose an SSRC is: the m-line and the simulcast layer of a packet (RFC 9143 section 9.2, RFC 8852).

What names it counts in this order: the MID and RID in the packet, the SSRCs of the offer, what was learnt before, the
payload type where only one m-line has it. Where a client leaves all of these out it is guessed: a wrong m-line or layer
costs quality, a dropped packet the person.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.sfu.core.forwarding.publications import Publication
from services.sfu.core.wire.rtp import RtpHeader


class Association(NamedTuple):
    """An m-line and a layer. `is_sure` is False for a guess, that later packets may correct."""

    publication: Publication
    rid: str
    is_sure: bool = True


def find_association(
    publications: Sequence[Publication], learnt: Mapping[int, Association], datagram: bytes, header: RtpHeader
) -> Association | None:
    """The association of a packet; None when it names one that there is not, or has a payload type of none."""
    alike = [publication for publication in publications if header.payload_type in publication.codecs]
    if not alike:
        return None
    known = learnt.get(header.ssrc)
    publication, is_sure = _find_publication(alike, known, datagram, header)
    if publication is None:
        return None
    remembered = known.rid if known is not None and known.publication is publication and known.is_sure else None
    rid, is_named = publication.read_rid(datagram, header, remembered)
    if rid is None:
        return None
    if not is_named and known is not None and known.publication is publication:
        # The same guess as before.
        return Association(publication, known.rid, is_sure=False)
    return Association(publication, rid, is_sure and is_named)


def _find_publication(
    alike: Sequence[Publication], known: Association | None, datagram: bytes, header: RtpHeader
) -> tuple[Publication | None, bool]:
    mid = alike[0].read_mid(datagram, header)
    if mid is not None:
        return next((publication for publication in alike if publication.mid == mid), None), True
    offered = next((publication for publication in alike if publication.offers(header.ssrc)), None)
    if offered is not None:
        return offered, True
    if known is not None and known.publication in alike:
        return known.publication, known.is_sure
    if len(alike) == 1:
        return alike[0], True
    # The first m-line that brought nothing so far, else that which was silent for longest.
    return min(alike, key=lambda publication: (bool(publication.layers), publication.last_media_at or 0.0)), False
