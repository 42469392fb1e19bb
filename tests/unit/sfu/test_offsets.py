"""Temporal layers that are left out leave no hole, whatever is lost, late or repeated on the way up."""

from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.forwarding.nack import RetransmissionRing
from services.sfu.core.forwarding.offsets import Offsets
from services.sfu.core.wire.codecs import ALL_SPATIAL, ALL_TEMPORAL
from services.sfu.core.wire.rtp import MediaPacket, canonical_video, parse_header
from tests.unit.sfu.builders import rtp, vp8

# Chromium's pattern of three layers; the first frame of each upper layer needs the lowest only.
PATTERN = (0, 2, 1, 2)


def packet(number: int, info: int, *, key_frame: bool = False) -> MediaPacket:
    tid = PATTERN[info % 4]
    payload = vp8(info & 0x7FFF, key_frame=key_frame, tl0=info // 4 & 0xFF, tid=tid, sync=info % 4 < 3)
    datagram = rtp(1, number, payload, pt=96, timestamp=info * 3000)
    return canonical_video(datagram, parse_header(datagram), number + 0x10000, "vp8")


def stream(frames: int, size: int = 2) -> list[MediaPacket]:
    """`size` packets a frame, from a key frame on."""
    return [packet(100 + n, n // size, key_frame=n < size) for n in range(frames * size)]


def start(temporal: int, first: MediaPacket) -> Offsets:
    offsets = Offsets(1000, 5)
    offsets.want_layers(ALL_SPATIAL, temporal)
    offsets.switch(first, 1)
    offsets.advance(first)
    return offsets


def pass_through(offsets: Offsets, packets: list[MediaPacket]) -> list[tuple[int, int]]:
    """(sequence number, PictureID) of what is let through."""
    out = []
    for one in packets:
        if offsets.take(one):
            _, picture_id = offsets.at(one.extended)
            out.append((offsets.sequence_number(one), (one.info.picture_id + picture_id) & 0x7FFF))
    return out


def test_half_the_frames_have_numbers_and_picture_ids_without_holes() -> None:
    packets = stream(16)
    out = pass_through(start(1, packets[0]), packets)
    assert len(out) == 16
    assert [number for number, _ in out] == list(range(1000, 1016))
    pictures = [picture for _, picture in out]
    assert pictures == sorted(pictures)
    assert set(pictures) == set(range(pictures[0], pictures[0] + 8))


def test_layers_are_added_only_where_nothing_is_missing() -> None:
    packets = stream(12, size=1)
    offsets = start(0, packets[0])
    pass_through(offsets, packets[:5])
    offsets.want_layers(ALL_SPATIAL, ALL_TEMPORAL)
    kept = [one.info.temporal for one in packets[5:] if pass_through(offsets, [one])]
    assert kept == [1, 0, 2, 1, 2]


def test_late_packet_of_a_frame_that_was_left_out_fills_its_number_empty() -> None:
    packets = stream(8, size=2)
    offsets = start(0, packets[0])
    late = packets[3]
    out = pass_through(offsets, [*packets[:2], packets[2], *packets[4:]])
    assert pass_through(offsets, [late]) != []
    assert late.extended in offsets.empty
    numbers = [number for number, _ in out] + [offsets.sequence_number(late)]
    assert sorted(numbers) == list(range(1000, 1000 + len(numbers)))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.booleans()), min_size=10, max_size=150))
def test_every_number_stands_for_one_packet_and_is_found_again(steps: list[tuple[int, int, bool]]) -> None:
    packets = stream(len(steps), size=1)
    offsets = start(ALL_TEMPORAL, packets[0])
    ring = RetransmissionRing(256)
    held: list[MediaPacket] = []
    by_number: dict[int, MediaPacket] = {}
    for one, (temporal, fate, wants) in zip(packets, steps, strict=True):
        if wants:
            offsets.want_layers(ALL_SPATIAL, temporal)
        arrived = [one]
        if fate == 0 and one is not packets[0]:
            held.append(one)
            arrived = []
        elif fate == 1 and held:
            arrived = [one, held.pop()]
        for now in arrived:
            ring.put(now)
            if offsets.take(now):
                number = offsets.sequence_number(now)
                assert by_number.setdefault(number, now) is now
    for number, one in by_number.items():
        found = offsets.find(number, ring)
        assert found is None or found is one
    for number in range(1000, 1400):
        found = offsets.find(number, ring)
        assert found is None or by_number.get(number) is found
