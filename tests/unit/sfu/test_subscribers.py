"""Packets that go to many at once: the same as if each went for itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.forwarding.subscribers import CopyGroup
from services.sfu.core.session.router import Router
from services.sfu.core.wire.codecs import ALL_TEMPORAL
from services.sfu.core.wire.rtp import parse_header
from tests.unit.sfu.builders import Page, copies, join, make_router, receivers, video
from tests.unit.sfu.effects import media, sent

Q = 11
NAMES = ("ann", "bob", "cid", "dan", "eve")


@pytest.fixture
def router() -> Router:
    return make_router()


def test_receivers_of_one_format_are_served_together_and_others_apart(router: Router) -> None:
    ann = join(router, "ann")
    alike = [join(router, name) for name in ("bob", "cid", "dan")]
    other = join(router, "eve", transport_cc=False)
    router.handle_rtp(ann, video(Q, 1, 1, key_frame=True), 1.0)
    effects = media(router.handle_rtp(ann, video(Q, 2, 2), 1.1))
    groups = [receivers(effect) for effect in effects if isinstance(effect.to, CopyGroup)]
    assert sorted(groups) == sorted([[member.number for member in alike], [other.number]])
    assert [parse_header(packet).payload_type for packet in sent(effects)] == [96] * 4


def test_a_copy_of_a_group_is_the_same_as_one_written_alone(router: Router) -> None:
    ann = join(router, "ann")
    members = [join(router, name) for name in ("bob", "cid", "dan", "eve")]
    router.handle_rtp(ann, video(Q, 1, 1, key_frame=True, tl0=7), 1.0)
    (effect,) = media(router.handle_rtp(ann, video(Q, 2, 2, tl0=8), 1.1))
    together = copies(effect, 1.1)
    for copy, member in zip(together, members, strict=True):
        page = Page()
        alone = bytes(page.view[: member.slots[1].write(effect.packet, page, 1.1)])
        # All but the transport-wide number, which is new for each packet that is sent.
        assert (copy[:17], copy[19:]) == (alone[:17], alone[19:])
        assert int.from_bytes(alone[17:19], "big") == int.from_bytes(copy[17:19], "big") + 1


def test_late_packet_reaches_all_of_a_group_once(router: Router) -> None:
    ann = join(router, "ann")
    members = [join(router, name) for name in ("bob", "cid")]
    for number in (1, 2, 4):
        router.handle_rtp(ann, video(Q, number, number, key_frame=number == 1), 1.0)
    effects = media(router.handle_rtp(ann, video(Q, 3, 3), 1.1))
    assert sorted(number for effect in effects for number in receivers(effect)) == [m.number for m in members]
    assert router.handle_rtp(ann, video(Q, 3, 3), 1.1) == []


def test_counts_go_on_when_a_slot_leaves_its_group_and_comes_back(router: Router) -> None:
    ann, bob = join(router, "ann"), join(router, "bob")
    slot = bob.slots[1]
    size = 0
    for number in range(1, 31):
        if number in (10, 20):
            slot.want(slot.source, 0 if number == 10 else ALL_TEMPORAL)
        effects = router.handle_rtp(ann, video(Q, number, number, key_frame=number in (1, 20), tid=0), 1.0 + number)
        size += sum(map(len, sent(effects)))
    assert (slot.packets, slot.bytes) == (30, size)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.booleans()), min_size=5, max_size=60))
def test_every_receivers_numbers_have_no_holes_whatever_group_it_is_in(steps: list[tuple[int, int, bool]]) -> None:
    router = make_router()
    ann = join(router, "ann")
    members = [join(router, name) for name in NAMES[1:]]
    numbers: dict[int, list[int]] = {member.slots[1].ssrc: [] for member in members}
    for number, (temporal, chosen, is_key_frame) in enumerate(steps, start=1):
        slot = members[chosen % len(members)].slots[1]
        if slot.source is not None:
            slot.want(slot.source, temporal)
        is_key_frame = is_key_frame or number == 1
        packet = video(Q, number, number, key_frame=is_key_frame, tid=0 if is_key_frame else number % 3)
        for copy in sent(router.handle_rtp(ann, packet, 1.0 + number / 30)):
            header = parse_header(copy)
            numbers[header.ssrc].append(header.sequence_number)
    for found in numbers.values():
        assert found == list(range(found[0], found[0] + len(found)))
