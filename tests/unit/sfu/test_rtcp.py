import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.errors import PacketError
from services.sfu.core.wire import rtcp


def test_what_is_built_is_read_back() -> None:
    block = rtcp.ReportBlock(5, 128, -3, 70000, 90, 11, 12)
    sender = rtcp.SenderReport(6, 1 << 63, 4_000_000_000, 7, 8)
    compound = b"".join(
        (
            rtcp.build_receiver_report(1, [block]),
            rtcp.build_sender_report(sender),
            rtcp.build_cname(1, b"parley"),
            rtcp.build_nack(1, 9, [65534, 65535, 3, 40]),
            rtcp.build_pli(1, 10),
            rtcp.build_remb(1, 5_000_000, [10, 11]),
        )
    )
    reports = rtcp.parse_compound(compound)
    assert reports[:2] == [block, sender]
    assert reports[2] == rtcp.Nack(9, (65534, 65535, 3, 40))
    assert reports[3] == rtcp.KeyFrameRequest(10)
    assert isinstance(reports[4], rtcp.Remb)
    assert 4_990_000 <= reports[4].bitrate_bps <= 5_000_000


def test_fir_asks_for_each_of_its_streams() -> None:
    fci = b"".join(ssrc.to_bytes(4, "big") + b"\x01\x00\x00\x00" for ssrc in (3, 4))
    packet = b"\x84\xce\x00\x06" + bytes(8) + fci
    assert rtcp.parse_compound(packet) == [rtcp.KeyFrameRequest(3), rtcp.KeyFrameRequest(4)]


def test_transport_cc_is_not_taken_for_nacks() -> None:
    assert rtcp.parse_compound(b"\x8f\xcd\x00\x03" + bytes(12)) == [rtcp.TransportFeedback(bytes(4))]


def test_bye_names_its_streams() -> None:
    assert rtcp.parse_compound(b"\x82\xcb\x00\x02" + b"\0\0\0\1\0\0\0\2") == [rtcp.Bye((1, 2))]


def test_padding_is_cut() -> None:
    assert rtcp.parse_compound(b"\xa1\xcb\x00\x02" + b"\0\0\0\1" + b"\0\0\0\4") == [rtcp.Bye((1,))]


@pytest.mark.parametrize(
    "packet",
    [
        b"\x80",
        b"\x00\xc8\x00\x00",
        b"\x80\xc8\x00\x09",
        b"\x80\xc8\x00\x00",
        b"\x81\xc9\x00\x01" + bytes(4),
        b"\x81\xcd\x00\x01" + bytes(4),
        b"\xa0\xc9\x00\x01" + b"\0\0\0\x09",
    ],
)
def test_lengths_that_do_not_add_up_are_refused(packet: bytes) -> None:
    with pytest.raises(PacketError, match="rtcp_malformed"):
        rtcp.parse_compound(packet)


@given(
    st.binary(max_size=120),
    st.integers(0, 31),
    st.sampled_from([200, 201, 202, 203, 204, 205, 206, 207]),
    st.booleans(),
)
def test_any_bytes_give_reports_or_a_packet_error(body: bytes, count: int, packet_type: int, padded: bool) -> None:
    header = bytes((0x80 | 0x20 * padded | count, packet_type)) + (len(body) // 4).to_bytes(2, "big")
    try:
        rtcp.parse_compound(header + body)
    except PacketError:
        return
