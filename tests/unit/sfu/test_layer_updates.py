from random import Random

from services.sfu.core.selection.tunables import LAYER_INTERVAL_S
from services.sfu.core.session.layer_updates import LayerUpdates
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.registry import Registry
from services.sfu.core.wire.rtp import parse_header
from tests.unit.sfu.builders import key, offer, video
from tests.unit.sfu.effects import key_frame_requests


def pair() -> tuple[LayerUpdates, Participant, Participant]:
    """A publisher, and a receiver that has its camera on a slot."""
    registry = Registry()
    people = []
    for user in ("ann", "bob"):
        person = Participant(registry.next_number(), key(user), offer(), Random(user).randbytes, 0.0)
        registry.add_participant(person)
        people.append(person)
    ann, bob = people
    packet = video(7, 1, 1, key_frame=True)
    ann.find_stream(packet, parse_header(packet), 1.0).receive(packet, parse_header(packet), 1.0)
    slot = bob.slots[1]
    slot.assign(ann.publications[1])
    ann.publications[1].slots.append(slot)
    return LayerUpdates(registry), ann, bob


def test_a_slot_that_waits_for_a_stream_asks_its_publisher_for_a_key_frame() -> None:
    updates, ann, bob = pair()
    effects = updates.select([bob], 1.0)
    assert bob.slots[1].wanted is ann.streams[7]
    assert key_frame_requests(effects, ann) == [7]


def test_each_receiver_is_looked_at_once_an_interval() -> None:
    updates, _, bob = pair()
    updates.tick(1.0)
    assert bob.path.selected_at == 1.0
    updates.tick(1.0 + LAYER_INTERVAL_S / 2)
    assert bob.path.selected_at == 1.0
    updates.tick(1.0 + LAYER_INTERVAL_S)
    assert bob.path.selected_at == 1.0 + LAYER_INTERVAL_S


def test_a_sudden_drop_of_the_estimate_does_not_wait_for_the_interval() -> None:
    updates, _, bob = pair()
    updates.tick(1.0)
    bob.path.allocated_bps = 10 * bob.path.estimate_bps(1.1)
    updates.select_after_drop(bob, 1.1)
    assert bob.path.selected_at == 1.1
    updates.select_after_drop(bob, 1.2)
    assert bob.path.selected_at == 1.1
