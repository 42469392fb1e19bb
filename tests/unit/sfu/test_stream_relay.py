"""One stream on the legs to other workers."""

from services.sfu.core.forwarding.stream_relay import KEPT_PACKETS, Epochs, StreamRelay
from services.sfu.core.ids import LegNumber, ParticipantNumber
from services.sfu.core.wire.codecs import PayloadInfo
from services.sfu.core.wire.relay_frames import read_head, read_media
from services.sfu.core.wire.rtp import MediaPacket

ONE, TWO = LegNumber(1), LegNumber(2)


def packet(index: int, *, key_frame: bool = False) -> MediaPacket:
    return MediaPacket(index, index & 0xFFFF, 0, False, "vp8", PayloadInfo(b"", is_key_frame=key_frame))


def made(*legs: LegNumber) -> StreamRelay:
    relay = StreamRelay(ParticipantNumber(9))
    relay.follow([(leg, Epochs()) for leg in legs])
    return relay


def test_a_leg_begins_with_a_key_frame_and_gets_all_after_it() -> None:
    relay = made(ONE)
    assert relay.waits(ONE)
    assert relay.forward(packet(1), b"1") == []
    ((leg, frame),) = relay.forward(packet(2, key_frame=True), b"2")
    assert (leg, read_head(frame)[1], read_media(frame)) == (ONE, 9, (1, b"2"))
    assert [read_media(frame) for _, frame in relay.forward(packet(3), b"3")] == [(1, b"3")]
    assert not relay.waits(ONE)


def test_what_comes_late_from_before_the_key_frame_does_not_go_there() -> None:
    relay = made(ONE)
    relay.forward(packet(5, key_frame=True), b"5")
    assert relay.forward(packet(4), b"4") == []
    assert relay.find(ONE, 4) is None


def test_each_leg_begins_for_itself_and_those_that_go_on_are_not_cut() -> None:
    relay, epochs = StreamRelay(ParticipantNumber(9)), Epochs()
    assert relay.follow([(ONE, epochs)])
    relay.forward(packet(1, key_frame=True), b"1")
    assert not relay.follow([(ONE, epochs)])
    assert relay.follow([(ONE, epochs), (TWO, Epochs())])
    assert [leg for leg, _ in relay.forward(packet(2), b"2")] == [ONE]
    assert [leg for leg, _ in relay.forward(packet(3, key_frame=True), b"3")] == [ONE, TWO]


def test_a_leg_that_comes_again_begins_with_a_greater_epoch() -> None:
    relay, epochs = StreamRelay(ParticipantNumber(9)), Epochs()
    for expected in (1, 2, 3):
        relay.follow([(ONE, epochs)])
        ((_, frame),) = relay.forward(packet(expected, key_frame=True), b"x")
        assert read_media(frame)[0] == expected
        relay.follow([])


def test_what_was_lost_is_found_while_it_is_kept() -> None:
    relay = made(ONE, TWO)
    relay.forward(packet(1, key_frame=True), b"1")
    relay.forward(packet(2), b"2")
    found = relay.find(ONE, 2)
    assert found is not None
    assert read_media(found) == (1, b"2")
    relay.forward(packet(2 + KEPT_PACKETS), b"later")
    assert relay.find(ONE, 2) is None
    assert relay.find(ONE, 3) is None
    assert relay.find(LegNumber(3), 1) is None


def test_a_number_of_an_earlier_round_is_not_taken_for_another() -> None:
    relay = made(ONE)
    relay.forward(packet(0x10005, key_frame=True), b"new")
    found = relay.find(ONE, 5)
    assert found is not None
    assert read_media(found)[1] == b"new"
