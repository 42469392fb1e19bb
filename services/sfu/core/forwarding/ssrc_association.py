"""What an SSRC belongs to: the m-line and the simulcast layer of a packet (RFC 9143 section 9.2, RFC 8852).

What names it counts in this order: the MID and RID in the packet, the SSRCs of the offer, what was learnt before, the
payload type where only one m-line has it. Where a client leaves all of these out it is guessed: a wrong m-line or layer
costs quality, a dropped packet the person.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.sfu.core.forwarding.publications import NO_RID, InboundStream, Publication
from services.sfu.core.wire.rtp import RtpHeader, find_extension


class Association(NamedTuple):
    """An m-line and a layer. `is_sure` is False for a guess, which later packets may correct."""

    publication: Publication
    rid: str
    is_sure: bool = True


def find_association(
    publications: Sequence[Publication], learnt: Mapping[int, Association], datagram: bytes, header: RtpHeader
) -> Association | None:
    """What a packet belongs to; None when it names something that there is not, or has a payload type of none."""
    alike = [publication for publication in publications if header.payload_type in publication.codecs]
    if not alike:
        return None
    known = learnt.get(header.ssrc)
    publication, is_sure = _find_publication(alike, known, datagram, header)
    if publication is None:
        return None
    remembered = known.rid if known is not None and known.publication is publication and known.is_sure else None
    rid, is_named = _find_rid(publication, datagram, header, remembered)
    if rid is None:
        return None
    if not is_named and known is not None and known.publication is publication:
        # The same guess as before.
        return Association(publication, known.rid, is_sure=False)
    return Association(publication, rid, is_sure and is_named)


def find_repaired(publications: Sequence[Publication], datagram: bytes, header: RtpHeader) -> InboundStream | None:
    """The stream that a repair packet of a new SSRC repairs, or None when it is of no stream that is there."""
    is_only_one = sum(header.payload_type in publication.repair_types for publication in publications) == 1
    candidates = (_find_repaired(publication, datagram, header, is_only_one) for publication in publications)
    return next((found for found in candidates if found is not None), None)


def _find_publication(
    alike: Sequence[Publication], known: Association | None, datagram: bytes, header: RtpHeader
) -> tuple[Publication | None, bool]:
    mid = _read_text(datagram, header, alike[0].mid_id)
    if mid is not None:
        return next((publication for publication in alike if publication.mid == mid), None), True
    offered = next((publication for publication in alike if header.ssrc in publication.offered_ssrcs), None)
    if offered is not None:
        return offered, True
    if known is not None and known.publication in alike:
        return known.publication, known.is_sure
    if len(alike) == 1:
        return alike[0], True
    # The first m-line that brought nothing so far, else that which was silent for longest.
    return min(alike, key=lambda publication: (bool(publication.layers), publication.last_media_at or 0.0)), False


def _find_rid(
    publication: Publication, datagram: bytes, header: RtpHeader, learnt: str | None
) -> tuple[str | None, bool]:
    """The rid of a packet of a publication, and whether that is sure; None when it names one that there is not.

    Without the extension it is what was `learnt` of its SSRC, else its position among the SSRCs of the offer, else a
    layer that nothing comes of: better a wrong name than nobody to see.
    """
    if publication.ordered_rids == (NO_RID,):
        return NO_RID, True
    named = _read_text(datagram, header, publication.rid_id)
    if named is not None:
        return (named if named in publication.ordered_rids else None), True
    if learnt is not None:
        return learnt, True
    ssrcs, rids = publication.offered_ssrcs, publication.listed_rids
    if len(ssrcs) == len(rids) and header.ssrc in ssrcs:
        return rids[ssrcs.index(header.ssrc)], True
    return min(rids, key=lambda rid: _last_came(publication, rid)), False


def _last_came(publication: Publication, rid: str) -> float:
    stream = publication.layers.get(rid)
    return -1.0 if stream is None else stream.last_packet_at or 0.0


def _find_repaired(
    publication: Publication, datagram: bytes, header: RtpHeader, is_only_one: bool
) -> InboundStream | None:
    """By the SSRC group of the offer (FID), else by MID and repaired RID (RFC 8852).

    Without a MID it must be `is_only_one` of the publications that has the payload type; without a RID there must be
    one stream only.
    """
    if header.payload_type not in publication.repair_types:
        return None
    repaired_ssrc = publication.offered_repairs.get(header.ssrc)
    if repaired_ssrc is not None:
        return next((stream for stream in publication.layers.values() if stream.ssrc == repaired_ssrc), None)
    mid = _read_text(datagram, header, publication.mid_id)
    if mid != publication.mid and not (mid is None and is_only_one):
        return None
    rid = _read_text(datagram, header, publication.repaired_rid_id)
    if rid is not None and publication.ordered_rids != (NO_RID,):
        return publication.layers.get(rid)
    return next(iter(publication.layers.values())) if len(publication.layers) == 1 else None


def _read_text(datagram: bytes, header: RtpHeader, extension_id: int | None) -> str | None:
    value = find_extension(datagram, header, extension_id)
    return None if value is None else value.decode("ascii", "replace")
