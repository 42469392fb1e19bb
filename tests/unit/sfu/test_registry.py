from random import Random

from services.sfu.core.session.participants import Participant
from services.sfu.core.session.registry import Registry
from tests.unit.sfu.builders import key, offer


def enter(registry: Registry, user: str) -> Participant:
    participant = Participant(registry.next_number(), key(user), offer(), Random(1).randbytes, 0.0)
    registry.add_participant(participant)
    return participant


def test_a_call_begins_with_the_first_participant_and_ends_with_the_last() -> None:
    registry = Registry()
    ann, bob = enter(registry, "ann"), enter(registry, "bob")
    assert registry.call_of(ann) is registry.call_of(bob)
    assert registry.find(key("ann")) is ann
    for participant in (ann, bob):
        registry.call_of(participant).leave(participant, 1.0)
        registry.remove_participant(participant)
    assert not registry.calls
    assert not registry.participants
    assert registry.find(key("ann")) is None


def test_a_number_is_never_given_again() -> None:
    registry = Registry()
    ann = enter(registry, "ann")
    registry.call_of(ann).leave(ann, 1.0)
    registry.remove_participant(ann)
    assert enter(registry, "ann").number > ann.number
