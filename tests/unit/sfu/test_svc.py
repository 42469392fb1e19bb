"""Receivers of one scalable stream: layers by height and bandwidth, left out by the descriptor, of payloads that cannot
be read."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sfu.core.ids import UserId
from services.sfu.core.selection.video_requests import VideoRequest, VideoRequests
from services.sfu.core.session.effects import SendRepair
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.router import Router
from services.sfu.core.wire import rtcp
from tests.unit.sfu.builders import Page
from tests.unit.sfu.descriptors import k_svc, l1t3, l3t3, two_of_three
from tests.unit.sfu.effects import key_frame_requests
from tests.unit.sfu.scalable import SSRC, Pictures, Stream, check, enter, layers, scalable_router

# Bytes of a packet by layer: at 25 pictures of two packets a second some 40, 160 and 800 kbit/s.
SIZES = (80, 320, 1100)


@pytest.fixture
def router() -> Router:
    return scalable_router()


def flow(stream: Stream, pictures: int, now: float, key_frames: tuple[int, ...] = ()) -> float:
    """Send so many pictures, 25 a second; gives the time then."""
    for n in range(pictures):
        now += 0.04
        stream.send(now, is_key=n in key_frames, sizes=SIZES)
    return now


def show(router: Router, receiver: Participant, height: int, now: float) -> None:
    request = VideoRequest(UserId("ann"), "", False, height, False)
    router.handle_video_requests(receiver, VideoRequests((request,), None), now)


def bound(router: Router, receiver: Participant, bps: int, now: float) -> None:
    router.handle_rtcp(receiver, rtcp.build_remb(1, bps, []), now)


@pytest.mark.parametrize("pictures", [l1t3, l3t3, k_svc])
@pytest.mark.parametrize("codec", ["VP9", "AV1", "H264"])
def test_a_receiver_with_room_gets_everything_that_it_needs(router: Router, pictures: Pictures, codec: str) -> None:
    ann, bob = enter(router, "ann", codec), enter(router, "bob", codec)
    stream = Stream(router, ann, pictures)
    now = flow(stream, 50, 1.0, key_frames=(0,))
    router.tick(now)
    flow(stream, 48, now, key_frames=(2,))
    got = stream.got[bob.number]
    check(got)
    newest = got[-1].frame
    assert newest.spatial == newest.structure.targets[-1].spatial
    if pictures is k_svc:
        # Between key frames the upper layer alone.
        assert layers(got[-40:]) == {(2, 0)}


@pytest.mark.parametrize("pictures", [l3t3, k_svc])
def test_requested_heights_bound_the_layer_for_each_receiver(router: Router, pictures: Pictures) -> None:
    ann = enter(router, "ann")
    people = {height: enter(router, f"p{height}") for height in (180, 360, 720)}
    stream = Stream(router, ann, pictures)
    for height, person in people.items():
        show(router, person, height, 0.5)
    now = flow(stream, 50, 1.0, key_frames=(0, 25))
    for person in people.values():
        stream.got[person.number].clear()
    stream.send(now + 0.04, is_key=True, sizes=SIZES)
    flow(stream, 23, now + 0.04)
    for spatial, (height, person) in enumerate(people.items()):
        got = stream.got[person.number]
        check(got)
        assert max(one.frame.spatial for one in got) == spatial
        assert person.slots[1].height == height
        expected = {spatial} if pictures is k_svc else set(range(spatial + 1))
        assert {one.frame.spatial for one in got[20:]} == expected


def test_layers_that_are_described_and_not_sent_are_none(router: Router) -> None:
    ann, bob = enter(router, "ann"), enter(router, "bob")
    stream = Stream(router, ann, two_of_three)
    now = flow(stream, 50, 1.0, key_frames=(0, 40))
    assert bob.slots[1].height == 360
    stream.effects.clear()
    now = flow(stream, 30, now)
    show(router, bob, 720, now)
    flow(stream, 30, now)
    check(stream.got[bob.number])
    assert layers(stream.got[bob.number][-20:]) == {(1, 0)}
    assert not key_frame_requests(stream.effects, ann)


def test_a_narrow_path_gets_fewer_layers_and_asks_for_no_key_frame_where_none_is_needed(router: Router) -> None:
    ann, bob = enter(router, "ann"), enter(router, "bob")
    stream = Stream(router, ann, l3t3)
    # From when its rates are known.
    now = flow(stream, 60, 1.0, key_frames=(0, 40))
    stream.effects.clear()
    got = stream.got[bob.number]
    assert layers(got[-48:]) >= {(2, 0), (2, 2)}
    bound(router, bob, 120_000, now)
    now = flow(stream, 24, now)
    check(got)
    assert {spatial for spatial, _ in layers(got[-12:])} == {0}
    assert not key_frame_requests(stream.effects, ann)
    # Back up there is no other way.
    bound(router, bob, 5_000_000, now)
    now = flow(stream, 12, now)
    assert SSRC in key_frame_requests(stream.effects, ann)
    flow(stream, 12, now, key_frames=(0,))
    check(got)
    assert (2, 0) in layers(got[-12:])


def test_of_k_svc_a_narrow_path_waits_for_the_key_frame_that_it_asks_for(router: Router) -> None:
    ann, bob, cid = (enter(router, name) for name in ("ann", "bob", "cid"))
    stream = Stream(router, ann, k_svc)
    now = flow(stream, 75, 1.0, key_frames=(0, 25, 50))
    stream.effects.clear()
    bound(router, bob, 120_000, now)
    now = flow(stream, 10, now)
    assert SSRC in key_frame_requests(stream.effects, ann)
    flow(stream, 20, now, key_frames=(0,))
    for person, spatial in ((bob, 0), (cid, 2)):
        check(stream.got[person.number])
        assert layers(stream.got[person.number][-10:]) == {(spatial, 0)}


def test_what_is_lost_on_the_way_up_leaves_its_numbers_free(router: Router) -> None:
    ann, bob = enter(router, "ann"), enter(router, "bob")
    show(router, bob, 180, 0.5)
    stream = Stream(router, ann, l3t3)
    now = flow(stream, 50, 1.0, key_frames=(0, 25))
    before = len(stream.got[bob.number])
    stream.send(now + 0.04, lost=1, sizes=SIZES)
    flow(stream, 4, now + 0.04)
    numbers = [one.number for one in stream.got[bob.number][before - 1 :]]
    steps = [later - one for one, later in pairwise(numbers)]
    assert sorted(steps)[-1] == 2
    assert steps.count(1) == len(steps) - 1


@settings(max_examples=20, deadline=None)
@given(st.sampled_from((l1t3, l3t3, k_svc)), st.integers(0, 10_000))
def test_a_number_stands_for_the_same_bytes_whatever_is_wanted_lost_and_repaired(pictures: Pictures, seed: int) -> None:
    """As SRTP needs it: of these receivers the codec has no stream of repairs, though another of theirs has."""
    chance, router = random.Random(seed), scalable_router()
    ann, bob = enter(router, "ann"), enter(router, "bob")
    stream = Stream(router, ann, pictures)
    first: dict[int, bytes] = {}
    again = 0
    for n in range(70):
        now = 1.0 + n / 25
        if chance.random() < 0.1:
            show(router, bob, chance.choice((0, 180, 360, 720)), now)
        # The first key frame arrives: else, now and then, there is no other one, and nothing to repair.
        lost = chance.choice((0, 1, None, None)) if n else None
        stream.send(now, is_key=n == 0 or chance.random() < 0.08, lost=lost, sizes=SIZES)
        for number, copy in stream.take_copies(bob.number):
            assert first.setdefault(number, copy) == copy
        if first:
            newest = next(reversed(first))
            nack = rtcp.build_nack(1, bob.slots[1].ssrc, [newest - back & 0xFFFF for back in range(0, 40, 3)])
            for effect in router.handle_rtcp(bob, nack, now + 0.02):
                if isinstance(effect, SendRepair):
                    page = Page()
                    copy = bytes(page.view[: effect.slot.write_repair(effect.packet, page, now)])
                    assert first[int.from_bytes(copy[2:4], "big")] == copy
                    again += 1
    assert again


def test_who_comes_later_begins_with_a_key_frame(router: Router) -> None:
    ann = enter(router, "ann")
    enter(router, "bob")
    stream = Stream(router, ann, l3t3)
    now = flow(stream, 30, 1.0, key_frames=(0,))
    cid = enter(router, "cid")
    stream.effects.clear()
    now = flow(stream, 8, now)
    assert cid.number not in stream.got
    assert SSRC in key_frame_requests(stream.effects, ann)
    flow(stream, 12, now, key_frames=(0,))
    check(stream.got[cid.number])
    assert stream.got[cid.number][0].frame.begins_sequence
