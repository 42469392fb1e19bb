"""The codec of a call: the best that all decode, left at once for somebody who does not, and come back to later."""

import random

import pytest

from services.sfu.core.forwarding.publications import InboundStream
from services.sfu.core.session.call_codecs import RETURN_S
from services.sfu.core.session.effects import Effect, SendMedia, SendWantedLayers
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.router import Router
from services.sfu.core.wire.codec_formats import DEFAULT_CODEC_ORDER
from services.sfu.core.wire.sdp import parse_offer
from tests.unit.sfu.builders import key, receivers, rtp
from tests.unit.sfu.test_agreement import AV1, CBP, HIGH, KEY_FRAMES, VP8, VP9, offer_of

Codecs = tuple[tuple[str, str], ...]
EVERYTHING = (VP8, VP9, AV1, CBP)


class Room:
    """A call, and who is told to send in which codec."""

    def __init__(self, order: tuple[str, ...] = ("av1", "vp9", "vp8")) -> None:
        self.router = Router(random.Random(1).randbytes, 1_700_000_000.0, order)
        self.now = 0.0
        self.people: dict[str, Participant] = {}
        self.told: dict[int, str] = {}

    def enter(self, name: str, own: Codecs = EVERYTHING, slot: Codecs = EVERYTHING) -> Participant:
        member, effects = self.router.members.join(key(name), parse_offer(offer_of(own, slot, slots=2)), self.now)
        self.people[name] = member
        self.note(effects)
        self.note(self.router.handle_transport_up(member, self.now))
        return member

    def leave(self, name: str) -> None:
        self.note(self.router.members.remove(self.people.pop(name).key, self.now))

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        # Nobody is silent for too long.
        for member in self.people.values():
            self.router.handle_consent(member, self.now)
        self.note(self.router.tick(self.now))

    def note(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, SendWantedLayers):
                member = self.router.members.get(effect.publisher)
                assert member is not None
                self.told[member.number] = member.publications[1].wanted.partition("/")[0]

    def take_told(self) -> dict[str, str]:
        """What was said since the last time."""
        told, self.told = self.told, {}
        return {name: told[member.number] for name, member in self.people.items() if member.number in told}


def test_everyone_goes_over_to_the_best_that_all_decode() -> None:
    room = Room()
    room.enter("ann")
    assert room.take_told() == {"ann": "av1"}
    room.enter("bob")
    assert room.take_told() == {"bob": "av1"}
    room.enter("cid", own=(VP8, VP9), slot=(VP8, VP9))
    assert room.take_told() == {"ann": "vp9", "bob": "vp9", "cid": "vp9"}
    room.enter("dan", own=(VP8,), slot=(VP8,))
    # He sends what he can.
    assert room.take_told() == {"ann": "vp8", "bob": "vp8", "cid": "vp8"}


def test_a_device_that_has_h264_only_is_seen_and_sees() -> None:
    room = Room()
    for name in ("ann", "bob"):
        room.enter(name)
    room.enter("tv", own=(CBP,), slot=(CBP,))
    assert room.take_told() == {"ann": "h264", "bob": "h264"}
    assert room.people["tv"].publications[1].wanted.partition("/")[0] == "h264"
    room.enter("old", own=(VP8,), slot=(VP8, VP9))
    # There is none that both decode, and no other that more of them do.
    assert room.take_told() == {}
    room.enter("older", own=(VP8,), slot=(VP8,))
    assert room.take_told() == {"ann": "vp8", "bob": "vp8"}


def test_when_who_decodes_less_has_left_the_better_one_comes_back_after_a_while() -> None:
    room = Room()
    for name in ("ann", "bob"):
        room.enter(name)
    room.enter("old", own=(VP8,), slot=(VP8,))
    room.take_told()
    room.leave("old")
    room.pass_time(RETURN_S / 2)
    assert room.take_told() == {}
    # Somebody like it in between begins the time anew.
    room.enter("old", own=(VP8,), slot=(VP8,))
    room.leave("old")
    room.pass_time(RETURN_S * 0.9)
    assert room.take_told() == {}
    room.pass_time(RETURN_S * 0.2)
    assert room.take_told() == {"ann": "av1", "bob": "av1"}


def test_who_comes_into_a_call_of_poorer_ones_sends_that_and_waits_for_nothing() -> None:
    room = Room()
    room.enter("old", own=(VP8,), slot=(VP8,))
    room.enter("ann")
    assert room.take_told() == {}
    room.leave("old")
    # It was never given up.
    room.pass_time(1.0)
    assert room.people["ann"].publications[1].wanted.partition("/")[0] == "av1"


@pytest.mark.parametrize("order", [DEFAULT_CODEC_ORDER, ("vp8", "vp9")])
def test_by_default_nobody_leaves_vp8_but_for_who_cannot_decode_it(order: tuple[str, ...]) -> None:
    room = Room(order)
    room.enter("ann")
    room.enter("bob")
    assert room.take_told() == {}
    room.enter("tv", own=(HIGH, CBP), slot=(CBP,))
    assert room.take_told() == {"ann": "h264", "bob": "h264"}


def test_nobody_who_encrypts_end_to_end_is_sent_what_it_does_not_offer() -> None:
    room = Room()
    for name in ("ann", "bob"):
        # As the web client offers then.
        room.enter(name, own=(VP8,), slot=(VP8,))
    assert room.take_told() == {}


def send(room: Room, name: str, codec: str, number: int, payload: bytes) -> set[int]:
    """Who gets a packet of a person's."""
    publication = room.people[name].publications[1]
    payload_type = next(number for number, known in publication.codecs.items() if known.partition("/")[0] == codec)
    packet = rtp(31, number, payload, pt=payload_type, mid=b"1", timestamp=number * 3000, marker=True)
    effects = room.router.handle_rtp(room.people[name], packet, room.now)
    return {receiver for effect in effects if isinstance(effect, SendMedia) for receiver in receivers(effect)}


def test_receivers_go_over_with_the_publishers_first_key_frame_in_the_other_codec() -> None:
    room = Room()
    ann, bob = room.enter("ann"), room.enter("bob")
    for number in range(5):
        room.pass_time(0.3)
        reached = send(room, "ann", "vp8", number, KEY_FRAMES["VP8"] if not number else b"\x10\x01")
    assert reached == {bob.number}
    # The browser has followed.
    assert send(room, "ann", "av1", 5, KEY_FRAMES["AV1"]) == {bob.number}
    assert send(room, "ann", "av1", 6, b"\x10x") == {bob.number}
    assert [slot.source.codec for slot in bob.slots if slot.source is not None] == ["av1"]
    old = room.enter("old", own=(VP8,), slot=(VP8,))
    room.pass_time(0.3)
    assert send(room, "ann", "av1", 7, b"\x10x") == {bob.number}
    assert old.unseen
    assert send(room, "ann", "vp8", 8, KEY_FRAMES["VP8"]) == {bob.number, old.number}
    assert not old.unseen
    assert ann.publications[1].format == "vp8"


def test_layers_of_a_codec_that_was_left_are_asked_for_no_more() -> None:
    room = Room()
    ann = room.enter("ann")
    room.enter("bob")
    publication = ann.publications[1]
    for number in range(3):
        room.pass_time(0.3)
        send(room, "ann", "vp8", number, KEY_FRAMES["VP8"])
    publication.layers["q"] = InboundStream(publication, 99, "q", ann.offer.media[1].codecs[0])
    send(room, "ann", "vp9", 9, KEY_FRAMES["VP9"])
    for _ in range(40):
        room.pass_time(0.3)
    assert publication.demand.paused == {"q"}
