import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.errors import PacketError
from services.sfu.core.wire.framing import Deframer, frame
from services.sfu.core.wire.rtp import MAX_PACKET_SIZE

DATAGRAMS = st.lists(st.binary(min_size=1, max_size=300), max_size=8)


@given(DATAGRAMS, st.integers(1, 50))
def test_datagrams_come_out_whole_however_the_stream_is_cut(datagrams: list[bytes], step: int) -> None:
    stream = b"".join(map(frame, datagrams))
    deframer = Deframer()
    found = [datagram for at in range(0, len(stream), step) for datagram in deframer.feed(stream[at : at + step])]
    assert found == datagrams


def test_empty_frames_keep_the_path_open_and_say_nothing() -> None:
    assert Deframer().feed(b"\x00\x00" + frame(b"stun") + b"\x00\x00") == [b"stun"]


@pytest.mark.parametrize("size", [MAX_PACKET_SIZE + 1, 0xFFFF])
def test_a_length_that_no_packet_has_ends_the_stream(size: int) -> None:
    with pytest.raises(PacketError, match="tcp_framing"):
        Deframer().feed(size.to_bytes(2, "big"))


@given(st.lists(st.binary(max_size=5000), max_size=5))
def test_nothing_but_packet_error_comes_of_anything(chunks: list[bytes]) -> None:
    deframer = Deframer()
    try:
        for chunk in chunks:
            assert all(len(datagram) <= MAX_PACKET_SIZE for datagram in deframer.feed(chunk))
    except PacketError:
        return
