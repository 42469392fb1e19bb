"""Who is in a call, from the join to the leave, without a socket."""

from collections.abc import Iterable

import pytest

from services.sfu.core.ids import CallId
from services.sfu.core.session.effects import (
    AnnounceConnected,
    AnnounceSilence,
    Disconnect,
    Effect,
    LeaveReason,
    SendSlotMap,
)
from services.sfu.core.session.lifecycle import SILENCE_S
from services.sfu.core.session.router import Router
from services.sfu.core.wire import rtcp
from tests.unit.sfu.builders import join, key, make_router, offer, rtp, video

Q = 11


@pytest.fixture
def router() -> Router:
    return make_router()


def test_connected_is_announced_once_at_the_first_media(router: Router) -> None:
    ann = join(router, "ann")
    first = router.handle_rtp(ann, rtp(7, 1, mid=b"0"), 1.0)
    assert AnnounceConnected(ann.key) in first
    assert AnnounceConnected(ann.key) not in router.handle_rtp(ann, rtp(7, 2, mid=b"0"), 1.1)


def announced(effects: Iterable[Effect]) -> list[Effect]:
    return [effect for effect in effects if isinstance(effect, AnnounceConnected | AnnounceSilence)]


@pytest.mark.parametrize("sound", ["media", "reports", "consent"])
def test_silence_is_announced_once_and_so_is_its_end(router: Router, sound: str) -> None:
    ann, bob = join(router, "ann"), join(router, "bob")
    router.handle_rtp(ann, rtp(7, 1, mid=b"0"), 1.0)
    assert announced(router.tick(1.0 + SILENCE_S - 0.1)) == []
    silent = announced(router.tick(8.5))
    assert silent == [AnnounceSilence(ann.key, 7.5)]
    assert announced(router.tick(9.6)) == []
    # What was on its slot stays there.
    assert bob.slots[0].publication is ann.publications[0]
    ways = {
        "media": lambda: router.handle_rtp(ann, rtp(7, 2, mid=b"0"), 10.0),
        "reports": lambda: router.handle_rtcp(ann, rtcp.build_receiver_report(1), 10.0),
        "consent": lambda: router.handle_consent(ann, 10.0),
    }
    assert announced(ways[sound]()) == [AnnounceConnected(ann.key)]
    assert announced(ways[sound]()) == []
    assert announced(router.tick(10.0 + SILENCE_S + 1)) == [AnnounceSilence(ann.key, SILENCE_S + 1)]


def test_dead_participants_are_dropped_in_time(router: Router) -> None:
    ann = join(router, "ann")
    waiting, _ = router.members.join(key("bob"), offer(), 0.0)
    router.tick(14.0)
    assert router.members.get(waiting.number) is waiting
    assert Disconnect(waiting.number, waiting.key, LeaveReason.NEVER_CONNECTED) in router.tick(15.1)
    router.handle_consent(ann, 16.0)
    assert not any(isinstance(effect, Disconnect) for effect in router.tick(45.9))
    assert Disconnect(ann.number, ann.key, LeaveReason.CONSENT_EXPIRED) in router.tick(47.0)
    assert router.members.call_count == 0


def test_a_second_join_replaces_the_first_and_its_late_signals_mean_nothing(router: Router) -> None:
    first = join(router, "ann")
    second, effects = router.members.join(key("ann"), offer(), 1.0)
    assert Disconnect(first.number, first.key, LeaveReason.REPLACED) in effects
    assert router.handle_transport_closed(first, 1.0) == []
    assert router.members.find(key("ann")) is second


def test_waiting_publisher_moves_up_when_a_slot_is_freed(router: Router) -> None:
    ann, bob, cid = join(router, "ann"), join(router, "bob"), join(router, "cid")
    assert [entry.publisher for entry in ann.slot_map()] == [bob.key, bob.key]
    effects = router.members.remove(bob.key, 2.0)
    assert SendSlotMap(ann.number) in effects
    assert [entry.publisher for entry in ann.slot_map()] == [cid.key, cid.key]


def test_many_joins_and_leaves_leave_nothing(router: Router) -> None:
    for turn in range(200):
        ann, bob = join(router, "ann", device=f"d{turn}"), join(router, "bob")
        router.handle_rtp(ann, video(Q, 1, 1, key_frame=True), 1.0)
        router.handle_rtp(ann, video(Q, 5, 5), 1.0)
        router.members.remove(ann.key, 2.0)
        assert not any(slot.publication for slot in bob.slots)
    router.members.end_call(CallId("call-1"), 4.0)
    assert (len(router.members), router.members.call_count) == (0, 0)
    assert router.tick(5.0) == []


def test_stop_ends_everyone(router: Router) -> None:
    join(router, "ann")
    router.members.join(key("bob"), offer(), 0.0)
    reasons = [effect.reason for effect in router.members.stop(1.0) if isinstance(effect, Disconnect)]
    assert reasons == [LeaveReason.WORKER_STOPPED] * 2
