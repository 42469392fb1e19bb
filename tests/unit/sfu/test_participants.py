from random import Random

import pytest

from services.sfu.core.errors import PacketError
from services.sfu.core.ids import ParticipantNumber
from services.sfu.core.session.participants import MAX_SSRCS, MAX_STREAMS, Participant
from services.sfu.core.wire.rtp import parse_header
from tests.unit.sfu.builders import key, offer, rtp, video


def participant(**options: int) -> Participant:
    return Participant(ParticipantNumber(1), key("ann"), offer(**options), Random(1).randbytes, 0.0)


def bring(ann: Participant, packet: bytes, now: float = 1.0) -> None:
    stream = ann.find_stream(packet, parse_header(packet), now)
    stream.receive(packet, parse_header(packet), now)


def test_own_lines_are_publications_and_the_others_are_slots_with_ssrcs_of_their_own() -> None:
    ann = participant(slots=2, screen=True)
    assert [(p.kind, p.is_screen) for p in ann.publications] == [("audio", False), ("video", False), ("video", True)]
    assert [slot.kind for slot in ann.slots] == ["audio", "audio", "video", "video"]
    ssrcs = {ann.feedback_ssrc, *(ssrc for slot in ann.slots for ssrc in (slot.ssrc, slot.repair_ssrc))}
    assert len(ssrcs) == 1 + 2 * len(ann.slots)


def test_streams_begin_in_the_lower_half_of_the_numbers() -> None:
    """Where the packets around the first roll-over are lost, the receiver counts it all the same (RFC 3711, 3.3.1)."""
    distinct = Random(1)
    highest = lambda size: b"\xff\xff" if size == 2 else distinct.randbytes(size)  # noqa: E731
    ann = Participant(ParticipantNumber(1), key("ann"), offer(slots=2), highest, 0.0)
    for slot in ann.slots:
        assert slot._offsets._next_sequence_number == slot._next_repair == 0x7FFF


def test_streams_at_a_time_and_ssrcs_over_a_life_are_bounded() -> None:
    ann = participant()
    for ssrc in range(1, MAX_SSRCS + 1):
        bring(ann, video(ssrc, 1, 1, key_frame=True), float(ssrc))
    assert len(ann.streams) == MAX_STREAMS
    with pytest.raises(PacketError, match="ssrc_flood"):
        bring(ann, video(MAX_SSRCS + 1, 1, 1, key_frame=True), 200.0)


def test_a_repair_of_no_stream_is_refused() -> None:
    ann = participant()
    packet = rtp(9, 1, b"\x00\x01x", pt=97, mid=b"1")
    with pytest.raises(PacketError, match="unknown_ssrc"):
        ann.find_repair(packet, parse_header(packet))
    bring(ann, video(7, 1, 1, key_frame=True))
    stream, repaired = ann.find_repair(packet, parse_header(packet))
    assert stream is ann.streams[7]
    assert repaired is not None
    assert (repaired.ssrc, repaired.sequence_number, repaired.payload_type) == (7, 1, 96)


def test_the_slot_map_has_a_line_for_each_slot() -> None:
    ann = participant(slots=2)
    assert [(entry.mid, entry.publisher) for entry in ann.slot_map()] == [(slot.mid, None) for slot in ann.slots]
