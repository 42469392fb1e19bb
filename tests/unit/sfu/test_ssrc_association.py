"""RFC 9143 section 9.2: by what names an SSRC finds its m-line and layer, the surest first."""

from services.sfu.core.forwarding.publications import Publication
from services.sfu.core.forwarding.ssrc_association import Association, find_association, find_repaired
from services.sfu.core.wire.rtp import parse_header
from tests.unit.sfu.builders import key, offer, rtp


def own(**options: bool) -> list[Publication]:
    return [Publication(line, key("ann")) for line in offer(**options).media if line.client_sends]


def associate(
    publications: list[Publication], packet: bytes, learnt: dict[int, Association] | None = None
) -> Association | None:
    return find_association(publications, learnt or {}, packet, parse_header(packet))


def test_the_mid_and_rid_of_a_packet_count_before_all_else() -> None:
    _, camera, screen = own(simulcast=True, screen=True)
    learnt = {7: Association(screen, "")}
    assert associate([camera, screen], rtp(7, 1, pt=96, mid=b"1", rid=b"h"), learnt) == Association(camera, "h")
    assert associate([camera, screen], rtp(7, 1, pt=96, mid=b"9")) is None
    assert associate([camera, screen], rtp(7, 1, pt=96, mid=b"1", rid=b"x")) is None


def test_without_names_what_was_learnt_counts() -> None:
    _, camera, screen = own(simulcast=True, screen=True)
    learnt = {7: Association(camera, "h")}
    assert associate([camera, screen], rtp(7, 2, pt=96), learnt) == learnt[7]


def test_a_payload_type_of_one_line_only_is_enough() -> None:
    audio, camera = own()
    assert associate([audio, camera], rtp(7, 1, pt=111)) == Association(audio, "")
    assert associate([audio, camera], rtp(7, 1, pt=99)) is None


def test_a_guess_takes_the_line_that_brought_nothing_and_says_so() -> None:
    _, camera, screen = own(screen=True)
    first = associate([camera, screen], rtp(7, 1, pt=96))
    assert first == Association(camera, "", is_sure=False)
    camera.open_stream(7, "", 96)
    assert associate([camera, screen], rtp(8, 1, pt=96)) == Association(screen, "", is_sure=False)


def test_a_repair_finds_its_stream_by_mid_and_repaired_rid() -> None:
    _, camera = own(simulcast=True)
    low, high = camera.open_stream(7, "q", 96), camera.open_stream(8, "h", 96)

    def repaired(packet: bytes) -> object:
        return find_repaired([camera], packet, parse_header(packet))

    assert repaired(rtp(9, 1, pt=97, mid=b"1", rrid=b"h")) is high
    assert repaired(rtp(9, 1, pt=97, mid=b"1", rrid=b"q")) is low
    assert repaired(rtp(9, 1, pt=97, mid=b"1")) is None
    assert repaired(rtp(9, 1, pt=97, mid=b"2", rrid=b"q")) is None
    assert repaired(rtp(9, 1, pt=96, mid=b"1", rrid=b"q")) is None
