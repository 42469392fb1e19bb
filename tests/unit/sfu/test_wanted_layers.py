"""Calls with publishers that send only what is wanted: they are told in time, and nobody's picture stands still."""

from random import Random

import pytest

from services.sfu.core.forwarding.layer_demand import AWAIT_S, HOLD_S
from services.sfu.core.ids import UserId
from services.sfu.core.selection.video_requests import VideoRequest, VideoRequests
from services.sfu.core.session.effects import Effect, SendMedia, SendWantedLayers
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.router import Router
from services.sfu.core.wire import rtcp
from tests.unit.sfu.builders import join, key, make_router, offer, receivers
from tests.unit.sfu.effects import key_frame_requests
from tests.unit.sfu.pausing import PausingCamera
from tests.unit.sfu.publishing import send_layers

# Between two steps of the clock, and between two frames of the camera.
STEP_S, FRAME_S = 0.02, 0.1
HIDDEN = VideoRequests((), 0)


def tile(height: int) -> VideoRequests:
    return VideoRequests((VideoRequest(UserId("ann"), "", False, height, False),))


class Call:
    """Ann's camera, and receivers whose paths bear what they say."""

    def __init__(self, **options: bool) -> None:
        self.router: Router = make_router()
        self.now = 1.0
        self.ann = join(self.router, "ann", self.now, simulcast=True)
        self.camera = PausingCamera(self.router, self.ann, **options)
        self.effects: list[Effect] = []
        self.router.handle_mute(self.ann, False, False, self.now)
        self.paths: dict[str, float] = {}
        self.seen_at: dict[str, float] = {}
        self._frame_at = 0.0
        self._remb_at = 0.0

    def enter(self, user: str, bps: float, requests: VideoRequests | None = None) -> Participant:
        person, effects = self.router.members.join(key(user), offer(transport_cc=False), self.now)
        self.paths[user] = bps
        self.seen_at[user] = self.now
        self.hear([*effects, *self.router.handle_transport_up(person, self.now)])
        self.hear(self.router.handle_mute(person, True, True, self.now))
        if requests is not None:
            self.request(user, requests)
        return person

    def person(self, user: str) -> Participant:
        return next(p for p in self.router.members.participants if p.key.user_id == user)

    def request(self, user: str, requests: VideoRequests) -> None:
        self.hear(self.router.handle_video_requests(self.person(user), requests, self.now))

    def leave(self, user: str) -> None:
        del self.paths[user], self.seen_at[user]
        self.hear(self.router.members.remove(self.person(user).key, self.now))

    def hear(self, effects: list[Effect]) -> None:
        self.effects += effects
        self.camera.hear(effects, self.now)
        for effect in effects:
            if isinstance(effect, SendMedia):
                for number in receivers(effect):
                    participant = self.router.members.get(number)
                    assert participant is not None
                    self.seen_at[participant.key.user_id] = self.now

    def run(self, seconds: float) -> None:
        """Let time pass; nobody who has the camera on a slot waits for half a second."""
        for _ in range(round(seconds / STEP_S)):
            self.now += STEP_S
            if self.now - self._remb_at >= 0.5:
                self._remb_at = self.now
                # As STUN does in place of media.
                self.router.handle_consent(self.ann, self.now)
                for user, bps in self.paths.items():
                    self.hear(self.router.handle_rtcp(self.person(user), rtcp.build_remb(1, int(bps), []), self.now))
            if self.now - self._frame_at >= FRAME_S - STEP_S / 2:
                self._frame_at = self.now
                self.hear(self.camera.send_frame(self.now))
            self.hear(self.router.tick(self.now))
            self.check()

    def check(self) -> None:
        paused = self.ann.publications[1].demand.paused
        for user in self.paths:
            slot = self.person(user).slots[1]
            if slot.publication is not self.ann.publications[1]:
                self.seen_at[user] = self.now
            for stream in (slot.source, slot.wanted):
                assert stream is None or stream.rid not in paused, (user, stream.rid)
            assert self.now - self.seen_at[user] <= 0.5, (user, self.now)

    @property
    def active(self) -> str:
        return "".join(rid for rid in "qhf" if rid.encode() in self.camera.active)


@pytest.mark.parametrize("says_bye", [True, False])
def test_in_a_call_of_two_one_layer_is_sent(says_bye: bool) -> None:
    call = Call(says_bye=says_bye)
    call.enter("bob", 2_000_000)
    call.run(HOLD_S + 3)
    assert call.active == "f"
    call.run(30)
    assert (call.active, call.camera.changes) == ("f", 1)


def test_a_layer_is_sent_again_when_a_receiver_comes_who_takes_it() -> None:
    call = Call()
    call.enter("bob", 2_000_000, tile(0))
    call.run(HOLD_S + 3)
    call.enter("cid", 120_000, tile(0))
    call.run(10)
    assert call.active == "qf"
    call.request("cid", HIDDEN)
    call.run(HOLD_S + 1)
    assert call.active == "f"


def test_a_path_that_becomes_narrow_gets_the_lower_layer_back_and_a_wide_one_the_higher() -> None:
    call = Call()
    call.enter("bob", 2_000_000)
    call.run(HOLD_S + 3)
    call.paths["bob"] = 150_000
    call.run(HOLD_S + 3)
    assert call.active == "h" or call.active == "q"
    call.paths["bob"] = 2_000_000
    call.run(20)
    assert call.active == "f"
    source = call.person("bob").slots[1].source
    assert source is not None
    assert source.rid == "f"


@pytest.mark.parametrize("says_bye", [True, False])
def test_nothing_is_sent_while_nobody_looks_and_the_camera_counts_as_on(says_bye: bool) -> None:
    call = Call(says_bye=says_bye)
    call.enter("bob", 2_000_000, HIDDEN)
    call.run(HOLD_S + 2)
    assert call.active == ""
    call.run(60)
    camera = call.ann.publications[1]
    assert camera.is_on(call.now)
    assert not camera.muted
    call.effects.clear()
    call.request("bob", tile(0))
    assert any(isinstance(effect, SendWantedLayers) for effect in call.effects)
    call.run(1)
    assert call.person("bob").slots[1].source is not None


def test_a_publisher_alone_in_its_call_sends_nothing_until_somebody_comes() -> None:
    call = Call()
    call.run(HOLD_S + 2)
    assert call.active == ""
    call.enter("bob", 2_000_000)
    call.run(1)
    assert call.active


def test_a_key_frame_is_requested_as_soon_as_a_layer_is_wanted() -> None:
    call = Call()
    call.enter("bob", 2_000_000, HIDDEN)
    call.run(HOLD_S + 2)
    call.effects.clear()
    call.request("bob", tile(0))
    assert key_frame_requests(call.effects, call.ann)


def test_a_camera_that_is_switched_off_while_paused_is_off() -> None:
    call = Call()
    call.enter("bob", 2_000_000, HIDDEN)
    call.run(HOLD_S + 2)
    call.hear(call.router.handle_mute(call.ann, False, True, call.now))
    assert not call.ann.publications[1].is_on(call.now)


def test_a_layer_that_does_not_come_though_it_is_asked_for_is_done_without() -> None:
    call = Call()
    call.enter("bob", 2_000_000, tile(0))
    call.enter("cid", 60_000, tile(0))
    call.run(HOLD_S + 3)
    assert call.active == "qf"
    call.leave("bob")
    call.run(HOLD_S + 1)
    assert call.active == "q"
    # Its own path bears no more: the publisher cannot.
    numbers = call.camera.numbers
    assert numbers[b"h"] < numbers[b"q"]
    call.paths["cid"] = 2_000_000
    call.camera.able = {b"q", b"h"}
    call.run(AWAIT_S + 3)
    source = call.person("cid").slots[1].source
    assert source is not None
    assert source.rid == "h"


def test_a_publisher_that_does_not_follow_goes_on_as_ever() -> None:
    router = make_router()
    ann, bob = join(router, "ann", simulcast=True), join(router, "bob", transport_cc=False)
    now, first = 1.0, 1
    for remb_bps, seconds, rid in [(3_000_000, HOLD_S + 4, "f"), (250_000, HOLD_S + 4, "q"), (3_000_000, 15, "f")]:
        for _ in range(int(seconds)):
            router.handle_rtcp(bob, rtcp.build_remb(1, remb_bps, []), now)
            now = send_layers(router, ann, 1.0, now, first=first)
            first += 30
        source = bob.slots[1].source
        assert source is not None
        assert source.rid == rid
    assert ann.publications[1].is_on(now)


@pytest.mark.parametrize("seed", range(4))
def test_whoever_comes_and_goes_every_layer_that_is_taken_is_asked_for_and_nothing_flaps(seed: int) -> None:
    random = Random(seed)
    call = Call(says_bye=seed % 2 == 0)
    names = iter(f"person-{number}" for number in range(100))
    began = call.now
    for _ in range(25):
        users = sorted(call.paths)
        step = random.choice(["enter", "leave", "request", "path", "hide"])
        if step == "enter" or not users:
            call.enter(next(names), random.choice([60_000, 200_000, 2_000_000]), tile(random.choice([0, 90, 180, 720])))
        elif step == "leave":
            call.leave(random.choice(users))
        elif step == "path":
            call.paths[random.choice(users)] = random.choice([60_000, 200_000, 2_000_000])
        else:
            call.request(random.choice(users), HIDDEN if step == "hide" else tile(random.choice([0, 90, 180, 720])))
        call.run(random.uniform(0.1, 4.0))
    # A layer can be paused once a hold-off, and be asked for again after each.
    assert call.camera.changes <= 2 * 3 * ((call.now - began) / HOLD_S + 1)
