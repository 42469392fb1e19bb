"""What begins or ends is followed at once in a small call, and with others' changes at a tick in a larger one."""

from random import Random

import pytest

from services.sfu.core.session.budgets import MAX_CHANGES_PER_S
from services.sfu.core.session.effects import SendSlotMap
from services.sfu.core.session.layer_updates import LayerUpdates
from services.sfu.core.session.lifecycle import State
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.registry import Registry
from services.sfu.core.session.slot_updates import SMALL_CALL, SlotUpdates
from tests.unit.sfu.builders import join, key, make_router, offer, video
from tests.unit.sfu.effects import key_frame_requests

CAMERA = 31


def call_of(people: int) -> tuple[SlotUpdates, list[Participant]]:
    registry = Registry()
    members = [
        Participant(registry.next_number(), key(f"u{number}"), offer(), Random(number).randbytes, 0.0)
        for number in range(people)
    ]
    for member in members:
        member.state = State.CONNECTED
        registry.add_participant(member)
    return SlotUpdates(registry, LayerUpdates(registry)), members


@pytest.mark.parametrize(("people", "at_once"), [(SMALL_CALL, True), (SMALL_CALL + 1, False)])
def test_a_camera_that_begins_is_asked_for_at_once_only_in_a_small_call(people: int, at_once: bool) -> None:
    router = make_router()
    members = [join(router, f"u{number}") for number in range(people)]
    ann = members[0]
    # Until a camera is on, it has no slot.
    router.tick(9.0)
    assert bool(key_frame_requests(router.handle_rtp(ann, video(CAMERA, 1, 1), 10.0), ann)) is at_once
    assert bool(key_frame_requests(router.tick(10.02), ann)) is not at_once


def test_who_changes_too_often_is_followed_in_the_next_second() -> None:
    updates, (ann, bob) = call_of(2)
    assert [updates.may_follow(ann, 1.0) for _ in range(MAX_CHANGES_PER_S + 1)] == [*[True] * MAX_CHANGES_PER_S, False]
    assert updates.tick(1.5) == []
    assert SendSlotMap(bob.number) in updates.tick(2.0)
    assert updates.tick(2.1) == []


@pytest.mark.parametrize("has_left", [True, False])
def test_who_has_left_is_not_followed(has_left: bool) -> None:
    updates, (ann, *_) = call_of(SMALL_CALL + 1)
    assert not updates.may_follow(ann, 1.0)
    if has_left:
        updates.forget(ann)
    assert bool(updates.tick(1.1)) is not has_left
