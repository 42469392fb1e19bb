import pytest

from services.sfu.core.forwarding.packet_formats import NUMBER_AT, PacketFormat, packet_format_of
from services.sfu.core.wire.codecs import PayloadInfo
from services.sfu.core.wire.rtp import HEADER_SIZE, MediaPacket
from tests.unit.sfu.builders import offer

OPUS = MediaPacket(70_000, 4464, 960, False, "opus", PayloadInfo(b"opus", is_key_frame=True), 20)
RED = MediaPacket(70_000, 4464, 960, True, "red", PayloadInfo(b"red+opus", is_key_frame=True), 20, OPUS)
VP8 = MediaPacket(1, 1, 3000, True, "vp8", PayloadInfo(b"\x90\x80\x80\x07frame", picture_id=7, picture_id_at=2))


def test_formats_of_alike_lines_are_the_same_key() -> None:
    lines = [offer().media[index] for index in (2, 2, 3)]
    one, other, video = (packet_format_of(line) for line in lines)
    assert one == other
    assert hash(one) == hash(other)
    assert one != video


def test_a_format_has_the_extensions_of_its_line() -> None:
    audio, video = packet_format_of(offer().media[2]), packet_format_of(offer().media[3])
    assert (audio.level_id, audio.stamp_id) == (1, 0)
    assert (video.level_id, video.stamp_id, video.is_numbered) == (0, 3, True)


@pytest.mark.parametrize(
    ("types", "codec", "payload_type"), [((("red", 63), ("opus", 111)), "red", 63), ((("opus", 111),), "opus", 111)]
)
def test_red_goes_out_as_the_opus_within_where_the_client_takes_no_red(
    types: tuple[tuple[str, int], ...], codec: str, payload_type: int
) -> None:
    packet, found = PacketFormat(types, 0, 0, is_numbered=False).choose_codec(RED)
    assert (packet.codec, found) == (codec, payload_type)


def test_a_template_has_space_for_the_number_and_the_offset_of_the_picture_id() -> None:
    template = PacketFormat((("vp8", 96),), 0, 3, is_numbered=True).render(VP8, 96, 5.0)
    assert template.start == 0x9000 | 0x80 | 96
    assert template.sent == (5.0, template.size)
    packet = bytearray(template.size)
    template.pack_into(packet, 0, template.start, 1, 3000, 9, template.rest)
    assert packet[NUMBER_AT - 1] == 3 << 4 | 1
    assert packet[template.picture_id_at : template.picture_id_at + 2] == b"\x80\x07"
    assert template.size == HEADER_SIZE + 8 + len(VP8.info.payload)


def test_an_empty_template_has_no_payload_and_a_repair_has_its_prefix() -> None:
    plain = PacketFormat((("vp8", 96),), 0, 0, is_numbered=False)
    empty = plain.render(VP8, 96, 5.0, is_empty=True)
    assert (empty.size, empty.picture_id_at, empty.sent) == (HEADER_SIZE, 0, None)
    assert plain.render(VP8, 97, 5.0, prefix=b"\x00\x01").rest == b"\x00\x01" + VP8.info.payload
