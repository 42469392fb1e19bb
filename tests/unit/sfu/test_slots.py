"""One slot by itself: what goes out, what is sent again, and what its receiver's reports mean."""

from services.sfu.core.congestion.downlink import DownlinkPath
from services.sfu.core.forwarding.publications import InboundStream, Publication
from services.sfu.core.forwarding.sender_clock import RtpClock
from services.sfu.core.forwarding.slots import FIRST_REPORT_S, RESEND_INTERVAL_S, Numbering, ReceiveSlot
from services.sfu.core.ids import ParticipantNumber
from services.sfu.core.wire.rtcp import ReportBlock
from services.sfu.core.wire.rtp import MediaPacket, parse_header
from tests.unit.sfu.builders import Page, key, offer, video


def on_camera() -> tuple[ReceiveSlot, InboundStream]:
    """A slot that waits for the key frame of a camera."""
    publication = Publication(offer().media[1], key("ann"))
    slot = ReceiveSlot(ParticipantNumber(2), offer().media[3], Numbering(50, 100, 51, 200, 9000), DownlinkPath(True))
    slot.assign(publication)
    stream = publication.open_stream(7, "", 96)
    slot.want(stream)
    return slot, stream


def forward(stream: InboundStream, number: int, now: float = 1.0) -> MediaPacket:
    datagram = video(7, number, number, key_frame=number == 1)
    packet, _ = stream.receive(datagram, parse_header(datagram), now)
    assert packet is not None
    for to in stream.subscribers.route(packet, now):
        if isinstance(to, ReceiveSlot):
            to.write(packet, Page(), now)
        else:
            to.render(packet, now)
    return packet


def test_a_slot_begins_with_the_key_frame_that_it_waited_for() -> None:
    slot, stream = on_camera()
    assert (slot.source, slot.wanted) == (None, stream)
    forward(stream, 1)
    assert (slot.source, slot.wanted) == (stream, None)
    forward(stream, 2)
    assert slot.packets == 2


def test_a_lost_packet_is_found_by_the_slots_own_number_and_not_too_often() -> None:
    slot, stream = on_camera()
    packets = [forward(stream, number) for number in (1, 2, 3)]
    page = Page()
    first = parse_header(bytes(page.view[: slot.write(packets[0], page, 1.0)])).sequence_number
    assert slot.find_lost((first + 1) & 0xFFFF, 2.0) is packets[1]
    assert slot.find_lost((first + 1) & 0xFFFF, 2.0 + RESEND_INTERVAL_S / 2) is None
    assert slot.find_lost((first + 1) & 0xFFFF, 2.1) is packets[1]
    assert slot.find_lost((first + 9) & 0xFFFF, 2.1) is None
    assert slot.find_probe() is packets[2]


def test_the_first_report_says_nothing_and_the_next_what_was_lost_since() -> None:
    slot, stream = on_camera()
    for number in range(1, 31):
        forward(stream, number)
    assert slot.handle_report(ReportBlock(50, 0, 0, 110, 900, 0, 0)) == (0, 0)
    assert slot.handle_report(ReportBlock(50, 0, 3, 120, 900, 0, 0)) == (10, 3)
    assert (slot.downlink.packets_lost, slot.downlink.jitter_s) == (3, 0.01)


def test_a_sender_report_follows_the_clock_of_the_publisher() -> None:
    slot, stream = on_camera()
    forward(stream, 1)
    stream.clock = RtpClock(5 << 32, 3000)
    stream.publication.clock.note_report(5 << 32, 100 << 32)
    # At 100 s that of its first packet, which goes out under the slot's own.
    first = slot.sender_report(100 << 32, 1.1)
    later = slot.sender_report(102 << 32, 3.1)
    assert first is not None
    assert later is not None
    assert (first.ntp, first.rtp_timestamp, first.packet_count) == (100 << 32, 9001, 1)
    assert (later.ntp, later.rtp_timestamp) == (102 << 32, 9001 + 180_000)


def test_a_sender_report_follows_the_last_packet_of_a_publisher_that_does_not_report() -> None:
    slot, stream = on_camera()
    assert slot.sender_report(1, 1.0) is None
    forward(stream, 1)
    assert slot.sender_report(1, 0.9 + FIRST_REPORT_S) is None
    before, after = slot.sender_report(1, 1.0 + FIRST_REPORT_S), slot.sender_report(2, 1.5 + FIRST_REPORT_S)
    assert before is not None
    assert after is not None
    assert (after.packet_count, after.rtp_timestamp - before.rtp_timestamp) == (1, 45_000)


def test_a_slot_that_is_freed_takes_nothing_more() -> None:
    slot, stream = on_camera()
    forward(stream, 1)
    slot.free()
    forward(stream, 2)
    assert (slot.publication, slot.source, slot.find_probe()) == (None, None, None)
    assert slot.packets == 1
