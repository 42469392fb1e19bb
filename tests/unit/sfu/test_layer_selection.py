"""Which layer a receiver gets whose path has just become narrow."""

import pytest

from services.sfu.core.selection.tunables import CAUTION_S
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.router import Router
from services.sfu.core.wire import rtcp
from services.sfu.core.wire.transport_cc import build_feedback
from tests.unit.sfu.builders import join, make_router
from tests.unit.sfu.effects import key_frame_requests
from tests.unit.sfu.publishing import LAYERS, send_layers


@pytest.fixture
def router() -> Router:
    return make_router()


def feed_back(router: Router, receiver: Participant, delay_s: float, now: float) -> None:
    """Feedback of the last four packets: they took `delay_s`, and left the queue at some 300 kbit/s."""
    base = receiver.path.history.next_number - 4
    fci = build_feedback(base, [now + delay_s + place * 0.03 for place in range(4)], 0)
    router.handle_rtcp(receiver, rtcp.build_transport_feedback(1, 2, fci), now)


def watch(router: Router, publisher: Participant, receiver: Participant) -> float:
    """Two seconds of a good path; gives the time then."""
    now = 1.0
    for part in range(20):
        now = send_layers(router, publisher, 0.1, now, first=1 + part * 3, written=True)
        if receiver.path.history.next_number >= 4:
            feed_back(router, receiver, 0.02, now)
    return now


def test_silent_receiver_gets_no_more_of_the_large_layer_but_the_key_frame_of_a_small_one(router: Router) -> None:
    ann, bob = join(router, "ann", simulcast=True), join(router, "bob")
    layers, slot = ann.publications[1].layers, bob.slots[1]
    now = watch(router, ann, bob)
    assert slot.source is layers["h"]
    send_layers(router, ann, 0.1, now, first=61, written=True)
    effects = router.tick(now + 0.8)
    assert slot.source is None
    assert slot.wanted is layers["q"]
    assert LAYERS[b"q"] in key_frame_requests(effects, ann)
    send_layers(router, ann, 0.1, now + 0.8, first=91)
    assert slot.source is layers["q"]


def test_receiver_that_answers_is_not_silent(router: Router) -> None:
    ann, bob = join(router, "ann", simulcast=True), join(router, "bob")
    now = watch(router, ann, bob)
    router.tick(now + 5.0)
    assert bob.slots[1].source is ann.publications[1].layers["h"]


def test_receiver_that_never_answered_is_not_silent(router: Router) -> None:
    ann, bob = join(router, "ann", simulcast=True), join(router, "bob")
    now = send_layers(router, ann, 1.0, 1.0, written=True)
    router.tick(now + 5.0)
    assert bob.path.history.next_number > 10
    assert bob.slots[1].source is ann.publications[1].layers["h"]


def test_nothing_better_is_sent_while_a_queue_stands(router: Router) -> None:
    ann, bob = join(router, "ann", simulcast=True), join(router, "bob")
    layers, slot = ann.publications[1].layers, bob.slots[1]
    now = send_layers(router, ann, 0.1, watch(router, ann, bob), first=61, written=True)
    feed_back(router, bob, 0.4, now)
    assert slot.source is None
    assert slot.wanted is layers["q"]
    bob.path.estimator.handle_probe(5_000_000)
    now = send_layers(router, ann, 0.6, now, first=91)
    assert slot.source is layers["q"]
    assert slot.wanted is None


def test_layer_that_did_not_fit_has_to_have_more_room_for_some_seconds(router: Router) -> None:
    ann, bob = join(router, "ann", simulcast=True), join(router, "bob", transport_cc=False)
    layers, slot = ann.publications[1].layers, bob.slots[1]
    now, first = 1.0, 1
    for remb_bps, seconds, rid in [
        (250_000, 3.0, "q"),
        (650_000, 2.0, "h"),
        (250_000, 1.0, "q"),
        (650_000, 2.0, "q"),
        (1_200_000, 2.0, "h"),
        (250_000, 1.0, "q"),
        (250_000, CAUTION_S, "q"),
        (650_000, 2.0, "h"),
    ]:
        for _ in range(int(seconds)):
            router.handle_rtcp(bob, rtcp.build_remb(1, remb_bps, []), now)
            now = send_layers(router, ann, 1.0, now, first=first)
            first += 30
        assert slot.source is layers[rid], now
