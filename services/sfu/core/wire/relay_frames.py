"""What workers of one call say to each other: a publisher's packets from its home, and what is wanted of it there.

A frame is one byte of its kind, the number by which its publisher's home knows it, and the rest:

    MEDIA     epoch (4), an RTP packet as it came
    REPORT    an RTCP packet from the publisher: its clocks, and which streams have ended
    FEEDBACK  an RTCP packet to the publisher: what is missing, and key frames that are wanted
    STATE     version (8), then its publications: all that there is to know of them beside their packets
    WANTS     version (8), then the layers that are wanted

STATE and WANTS say everything each time, and the greatest version counts: a lost one is made good by the next.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple

from services.sfu.core.errors import PacketError

MEDIA: Final = 1
REPORT: Final = 2
FEEDBACK: Final = 3
STATE: Final = 4
WANTS: Final = 5

# What one STATE may hold; more own lines and layers than that no client has.
MAX_PUBLICATIONS: Final = 32
MAX_LAYERS: Final = 12
MAX_RATES: Final = 8
# A STATE is cut here: it must go into one datagram, with what the leg adds.
MAX_STATE_BYTES: Final = 1400

# Of a leg: what names it, and what seals its frames (AES-128).
ID_BYTES: Final = 8
KEY_BYTES: Final = 16

_HEAD: Final = Struct("!BI")
_MEDIA_HEAD: Final = Struct("!BII")
_VERSION: Final = Struct("!Q")
_LAYER: Final = Struct("!IBHB")
_RATE: Final = Struct("!I")

_ON: Final = 1
_DECLARED_ON: Final = 2
_DECLARED_OFF: Final = 4


class LayerFacts(NamedTuple):
    """A stream of a publication: its SSRC, one payload type of its format, and what its receivers choose it by (pixels,
    0 for unknown; bit/s by temporal layer)."""

    ssrc: int
    payload_type: int
    rid: str
    height: int
    rates_bps: tuple[int, ...]


class PublicationFacts(NamedTuple):
    """An own m-line of a publisher, its layers from the lowest. `declared_on` is None while the publisher says
    nothing."""

    mid: str
    is_on: bool
    declared_on: bool | None
    layers: tuple[LayerFacts, ...]


class WantedLayer(NamedTuple):
    """A layer by the m-line and the rid, which is empty where there is none."""

    mid: str
    rid: str


def read_head(frame: bytes) -> tuple[int, int]:
    """A frame's kind and its publisher's number; PacketError("relay_malformed") when it is cut short."""
    if len(frame) < _HEAD.size:
        raise PacketError("relay_malformed")
    head: tuple[int, int] = _HEAD.unpack_from(frame)
    return head


def build_media(number: int, epoch: int, datagram: bytes) -> bytes:
    """A publisher's RTP packet. `epoch` rises each time that the stream begins on the leg: nothing from before it went
    there."""
    return _MEDIA_HEAD.pack(MEDIA, number, epoch) + datagram


def read_media(frame: bytes) -> tuple[int, bytes]:
    """The epoch and the packet of a MEDIA frame."""
    if len(frame) < _MEDIA_HEAD.size:
        raise PacketError("relay_malformed")
    return int.from_bytes(frame[5:9], "big"), frame[9:]


def build_control(kind: int, number: int, payload: bytes) -> bytes:
    """A REPORT or FEEDBACK frame around an RTCP packet."""
    return _HEAD.pack(kind, number) + payload


def read_control(frame: bytes) -> bytes:
    """The RTCP packet of a REPORT or FEEDBACK frame."""
    return frame[_HEAD.size :]


def build_state(number: int, version: int, publications: Sequence[PublicationFacts]) -> bytes:
    """A STATE frame; publications for which there is no room are left out."""
    frame = _HEAD.pack(STATE, number) + _VERSION.pack(version)
    for publication in publications[:MAX_PUBLICATIONS]:
        part = _build_publication(publication)
        if len(frame) + len(part) > MAX_STATE_BYTES:
            break
        frame += part
    return frame


def _build_publication(publication: PublicationFacts) -> bytes:
    declared = publication.declared_on
    flags = _ON * publication.is_on + (0 if declared is None else _DECLARED_ON if declared else _DECLARED_OFF)
    layers = publication.layers[:MAX_LAYERS]
    parts = [_build_text(publication.mid), bytes((flags, len(layers)))]
    for layer in layers:
        rates = layer.rates_bps[:MAX_RATES]
        parts.append(_LAYER.pack(layer.ssrc, layer.payload_type, min(layer.height, 0xFFFF), len(rates)))
        parts.append(_build_text(layer.rid))
        parts += [_RATE.pack(min(rate, 0xFFFFFFFF)) for rate in rates]
    return b"".join(parts)


def read_state(frame: bytes) -> tuple[int, list[PublicationFacts]]:
    """The version and the publications of a STATE frame; PacketError("relay_malformed")."""
    reader = _Reader(frame)
    version = reader.version()
    publications: list[PublicationFacts] = []
    while reader.has_more:
        if len(publications) == MAX_PUBLICATIONS:
            raise PacketError("relay_malformed")
        mid, flags, count = reader.text(), reader.byte(), reader.byte()
        if count > MAX_LAYERS:
            raise PacketError("relay_malformed")
        declared = True if flags & _DECLARED_ON else False if flags & _DECLARED_OFF else None
        layers = tuple(reader.layer() for _ in range(count))
        publications.append(PublicationFacts(mid, flags & _ON != 0, declared, layers))
    return version, publications


def build_wants(number: int, version: int, wanted: Sequence[WantedLayer]) -> bytes:
    """A WANTS frame: all that is wanted of a publisher."""
    names = b"".join(_build_text(layer.mid) + _build_text(layer.rid) for layer in wanted)
    return _HEAD.pack(WANTS, number) + _VERSION.pack(version) + names


def read_wants(frame: bytes) -> tuple[int, list[WantedLayer]]:
    """The version of a WANTS frame, and what is wanted; PacketError("relay_malformed")."""
    reader = _Reader(frame)
    version = reader.version()
    wanted: list[WantedLayer] = []
    while reader.has_more:
        if len(wanted) == MAX_PUBLICATIONS * MAX_LAYERS:
            raise PacketError("relay_malformed")
        wanted.append(WantedLayer(reader.text(), reader.text()))
    return version, wanted


def _build_text(text: str) -> bytes:
    encoded = text.encode("ascii", "replace")[:255]
    return bytes((len(encoded),)) + encoded


class _Reader:
    """Reads what follows a frame's head."""

    def __init__(self, frame: bytes) -> None:
        self._frame = frame
        self._at = _HEAD.size

    @property
    def has_more(self) -> bool:
        return self._at < len(self._frame)

    def _take(self, size: int) -> bytes:
        taken = self._frame[self._at : self._at + size]
        if len(taken) < size:
            raise PacketError("relay_malformed")
        self._at += size
        return taken

    def byte(self) -> int:
        return self._take(1)[0]

    def version(self) -> int:
        return int.from_bytes(self._take(_VERSION.size), "big")

    def text(self) -> str:
        return self._take(self.byte()).decode("ascii", "replace")

    def layer(self) -> LayerFacts:
        ssrc, payload_type, height, count = _LAYER.unpack(self._take(_LAYER.size))
        if count > MAX_RATES:
            raise PacketError("relay_malformed")
        rid = self.text()
        rates = tuple(int.from_bytes(self._take(_RATE.size), "big") for _ in range(count))
        return LayerFacts(ssrc, payload_type, rid, height, rates)
