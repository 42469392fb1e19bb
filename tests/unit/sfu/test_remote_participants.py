"""A participant of another worker, by what its home says."""

from random import Random

import pytest

from services.sfu.core.errors import PacketError
from services.sfu.core.ids import LegNumber, ParticipantNumber
from services.sfu.core.session.participants import Home, Participant
from services.sfu.core.session.registry import Registry
from services.sfu.core.session.remote_participants import SILENT_HOME_S, RemoteParticipants
from services.sfu.core.wire.relay_frames import LayerFacts, PublicationFacts, build_state
from tests.unit.sfu.builders import key, offer, video

Q, H = 21, 22
LOW = LayerFacts(Q, 96, "q", 180, (60_000,))
HIGH = LayerFacts(H, 96, "h", 360, (200_000, 100_000))


class World:
    """Ann, of another worker."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.remotes = RemoteParticipants(self.registry)
        self.home = Home(LegNumber(1), ParticipantNumber(40))
        number, random = self.registry.next_number(), Random(1).randbytes
        self.ann = Participant(number, key("ann"), offer(simulcast=True), random, 0.0, self.home)
        self.registry.add_participant(self.ann)
        self.camera = self.ann.publications[1]

    def say(self, version: int, *layers: LayerFacts, is_on: bool = True, now: float = 1.0) -> bool:
        """A state of the camera; whether anything changed by it."""
        frame = build_state(40, version, [PublicationFacts("1", is_on, None, layers)])
        return self.remotes.handle_state(self.ann, self.home, frame, now) is not None


@pytest.fixture
def world() -> World:
    return World()


def test_it_only_publishes(world: World) -> None:
    assert (world.ann.slots, world.ann.slots_by_ssrc) == ([], {})
    assert world.ann.decodable
    assert world.registry.locals == []
    assert all(publication.repairs for publication in world.ann.publications)


def test_what_is_named_is_there_before_it_comes_and_is_paused(world: World) -> None:
    assert not world.camera.is_on(1.0)
    assert world.say(1, LOW, HIGH)
    assert world.camera.is_on(1.0)
    assert {rid: stream.ssrc for rid, stream in world.camera.layers.items()} == {"q": Q, "h": H}
    assert world.camera.demand.paused == {"q", "h"}
    assert (world.camera.layers["h"].height, world.camera.layers["h"].known_bps) == (360, (200_000.0, 100_000.0))


def test_the_last_state_counts_and_an_older_one_does_not(world: World) -> None:
    world.say(5, LOW)
    assert not world.say(4, LOW, is_on=False)
    assert world.camera.is_on(1.0)
    assert not world.say(6, LOW)
    assert world.say(7, LOW, is_on=False)
    assert not world.camera.is_on(1.0)


def test_what_does_not_fit_the_offer_is_passed_over(world: World) -> None:
    odd = (LayerFacts(1, 96, "z", 0, ()), LayerFacts(2, 5, "q", 0, ()))
    facts = [PublicationFacts("99", True, None, (LOW,)), PublicationFacts("1", True, None, odd)]
    frame = build_state(40, 1, facts)
    world.remotes.handle_state(world.ann, world.home, frame, 1.0)
    assert world.camera.layers == {}


def test_a_layer_that_goes_on_under_another_ssrc_is_followed(world: World) -> None:
    world.say(1, LOW, HIGH)
    assert world.say(2, LOW._replace(ssrc=77), HIGH)
    assert world.camera.layers["q"].ssrc == 77


def test_a_stream_that_begins_anew_is_another_and_what_is_from_before_is_late(world: World) -> None:
    world.say(1, LOW)
    first = world.ann.streams[Q]
    world.remotes.begin(world.ann, world.home, 3, video(Q, 1, 1, key_frame=True, rid=b"q"), 1.0)
    assert world.ann.streams[Q] is first
    world.remotes.begin(world.ann, world.home, 4, video(Q, 40_000, 1, key_frame=True, rid=b"q"), 1.0)
    assert world.ann.streams[Q] is not first
    assert world.ann.streams[Q].known_bps == first.known_bps
    with pytest.raises(PacketError) as caught:
        world.remotes.begin(world.ann, world.home, 3, video(Q, 2, 2, rid=b"q"), 1.0)
    assert caught.value.reason == "relay_late"


def test_what_its_home_has_not_named_is_refused(world: World) -> None:
    with pytest.raises(PacketError) as caught:
        world.remotes.begin(world.ann, world.home, 1, video(Q, 1, 1, rid=b"q"), 1.0)
    assert caught.value.reason == "unknown_ssrc"
    with pytest.raises(PacketError):
        world.remotes.begin(world.ann, world.home, 1, b"short", 1.0)


def test_a_home_that_is_silent_makes_it_off_once(world: World) -> None:
    world.say(1, LOW)
    assert world.remotes.tick(1.0 + SILENT_HOME_S - 0.1)[0] == []
    assert world.remotes.tick(1.0 + SILENT_HOME_S)[0] == [world.ann]
    assert world.remotes.tick(2.0 + SILENT_HOME_S)[0] == []
    assert not world.camera.is_on(7.0)
    assert world.say(2, LOW, now=8.0)
