import pytest

from services.sfu.core.wire.media_line import TRANSPORT_CC_URI, MediaLine
from tests.unit.sfu.builders import offer


def line(index: int, **options: str | bool) -> MediaLine:
    return offer(**options).media[index]


@pytest.mark.parametrize(
    ("direction", "client_sends", "client_receives"),
    [("sendonly", True, False), ("recvonly", False, True), ("sendrecv", True, True)],
)
def test_the_direction_says_who_sends(direction: str, client_sends: bool, client_receives: bool) -> None:
    found = line(1, direction=direction)
    assert (found.client_sends, found.client_receives) == (client_sends, client_receives)


def test_own_lines_are_answered_with_all_that_is_offered() -> None:
    assert [codec.codec for codec in line(1).answered_codecs] == ["vp8"]
    assert {codec.codec for codec in line(0).answered_codecs} == {"opus", "red"}


def test_a_slot_takes_what_its_codecs_can_decode() -> None:
    assert {name: codec.payload_type for name, codec in line(3).decodable.items()} == {"vp8": 96}


def test_transport_cc_is_for_video_with_its_extension() -> None:
    assert not line(0).has_transport_cc
    assert line(1).has_transport_cc
    assert line(1).extensions[TRANSPORT_CC_URI] == 3
    assert not line(1, transport_cc=False).has_transport_cc


def test_a_repair_type_belongs_to_its_codec() -> None:
    assert line(1).codecs[0].rtx_payload_type == 97
    assert line(1, rtx=False).codecs[0].rtx_payload_type is None
