"""RTP: both readers of header extensions agree, and what is canonical holds no more than came."""

from services.sfu.core.errors import PacketError
from services.sfu.core.wire import rtp
from services.sfu.core.wire.codec_formats import Codec

_VIDEO: tuple[Codec, ...] = ("vp8", "h264", "vp9", "av1")
_HEAD = bytes.fromhex("906f00010000000200000003")
SEEDS = (
    _HEAD + bytes.fromhex("bede0001 10800000") + b"payload",
    _HEAD + bytes.fromhex("10000002 0101ff00 02026162") + b"payload",
    bytes.fromhex("80e000010000000200000003") + bytes.fromhex("90e08001023000") + bytes.fromhex("9d012a80026801"),
    bytes.fromhex("a0e000010000000200000003") + bytes.fromhex("78000867000000000000000568") + b"\x02\x02",
    bytes.fromhex("806f00010000000200000003") + bytes.fromhex("ef000004 6f") + b"old!new",
)


def fuzz(data: bytes) -> None:
    """Raises for anything but a PacketError, and for readers that differ."""
    try:
        header = rtp.parse_header(data)
    except PacketError:
        return
    assert header.payload_at <= header.payload_end <= len(data)
    first: dict[int, bytes] = {}
    for element_id, value in rtp.iter_extensions(data, header):
        first.setdefault(element_id, value)
    for wanted in (*range(1, 15), 255):
        assert rtp.find_extension(data, header, wanted) == first.get(wanted)
    size = header.payload_end - header.payload_at
    for codec in _VIDEO:
        # One byte more: a PictureID of 7 bits becomes one of 15.
        assert len(rtp.canonical_video(data, header, 1, codec).info.payload) <= size + 1
    for audio in ("opus", "red"):
        packet = rtp.canonical_audio(data, header, 1, 1, audio, range(128))
        assert len(packet.info.payload) == size
        assert packet.plain is None or len(packet.plain.info.payload) <= size
    repaired = rtp.unwrap_repair(data, header, 96, 1)
    assert repaired is None or repaired.payload_at == header.payload_at + 2
