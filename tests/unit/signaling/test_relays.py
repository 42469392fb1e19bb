"""What the workers of a call are told of each other: who is remote where, under which keys, and in which order."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from services.runtime.errors import StoreUnavailable
from services.signaling.core.calls import CallAttempt, ring
from services.signaling.core.inputs import MediaConnected
from services.signaling.core.model import Call, CallId, DeviceId, Leg, LegState, UserId, Worker, WorkerId
from services.signaling.mapping.relays import encode_relays
from services.signaling.relays.core import Carrier, Joined, Round, carriers_of, derive, tell
from services.signaling.relays.rounds import BackgroundRounds
from services.signaling.relays.service import ROUND_INTERVAL_S
from tests.support.waiting import until
from tests.unit.signaling.fake_relays import SECRET
from tests.unit.signaling.fakes import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    GROUP_TALK,
    OTHER_WORKER,
    PHONE,
    START,
    TABLET,
    TIMEOUTS,
    WORKER,
    World,
)

WORKERS = [Worker(WorkerId(f"w{number}"), f"10.0.0.{number}:7000", START) for number in range(3)]
USERS = [UserId(f"u{number}") for number in range(6)]
ROUND = Round(7, SECRET)


def make_call(places: list[tuple[int | None, int | None]]) -> Call:
    """Each user's worker and former worker by number; 0 is the call's own. None: the user is not in the call."""
    placed = CallAttempt(CallId("call"), GROUP_TALK, USERS[0], PHONE, {}, True, group=True, capacity=32)
    legs = []
    for user_id, (worker, former) in zip(USERS, places, strict=False):
        if worker is None:
            legs.append(Leg(user_id))
        else:
            elsewhere = WORKERS[worker] if worker else None
            before = None if former is None else WORKERS[former]
            legs.append(Leg(user_id, LegState.JOINED, PHONE, worker=elsewhere, former_worker=before))
    return replace(ring(placed, WORKERS[0], START, TIMEOUTS), legs=tuple(legs), spread=True)


def carrier(worker: Worker, *users: UserId, device: DeviceId = PHONE) -> Carrier:
    joined = (Joined(user_id, device, number, f"offer of {user_id}") for number, user_id in enumerate(users))
    return Carrier(worker, f"{worker.address[:-5]}:7800", tuple(joined))


@given(
    st.lists(st.tuples(st.none() | st.integers(0, 2), st.none() | st.integers(0, 2)), min_size=1, max_size=6),
    st.lists(st.sets(st.sampled_from(USERS)), min_size=3, max_size=3),
)
def test_whoever_is_in_the_call_is_remote_once_on_each_other_worker_and_nowhere_where_it_is(
    places: list[tuple[int | None, int | None]], joined: list[set[UserId]]
) -> None:
    call = make_call(places)
    carriers = [carrier(worker, *sorted(users)) for worker, users in zip(WORKERS, joined, strict=True)]
    told = dict(tell(call, ROUND, carriers))
    in_call = {leg.user_id for leg in call.joined}
    for here, worker in enumerate(WORKERS):
        expected = (set().union(*joined) & in_call) - joined[here]
        remotes = Counter(remote.joined.user_id for remote in told[worker].remotes)
        assert remotes == Counter(dict.fromkeys(expected, 1))
        for remote in told[worker].remotes:
            there = next(number for number, known in enumerate(WORKERS) if known.worker_id == remote.worker_id)
            assert remote.joined.user_id in joined[there]
            leg = call.leg_of(remote.joined.user_id)
            assert leg
            is_settled = any(
                remote.joined.user_id in users and call.carries(leg, WORKERS[number].worker_id)
                for number, users in enumerate(joined)
            )
            # On two at once it is taken from where it is to be.
            assert not is_settled or call.carries(leg, remote.worker_id)
        assert {peer.worker_id for peer in told[worker].peers} == {w.worker_id for w in WORKERS} - {worker.worker_id}


def test_both_ends_have_the_same_keys_and_no_two_directions_one() -> None:
    told = dict(tell(make_call([(0, None), (1, None), (2, None)]), ROUND, [carrier(worker) for worker in WORKERS]))
    peers = {(here.worker_id, peer.worker_id): peer for here, relays in told.items() for peer in relays.peers}
    assert len(peers) == 6
    for (here, there), peer in peers.items():
        other = peers[there, here]
        assert (peer.send_leg_id, peer.send_key) == (other.receive_leg_id, other.receive_key)
        assert (len(peer.send_leg_id), len(peer.send_key)) == (8, 16)
    assert len({peer.send_key for peer in peers.values()}) == len({peer.send_leg_id for peer in peers.values()}) == 6


def test_keys_are_others_once_a_worker_begins_anew_and_in_another_call_or_under_another_secret() -> None:
    one, two, _ = WORKERS
    anew = replace(two, start_time=START + timedelta(seconds=1))
    moved = replace(two, address="10.9.9.9:7000")
    first = derive(SECRET, CallId("a"), one, two)
    others = [
        derive(SECRET, CallId("b"), one, two),
        derive(b"t" * 32, CallId("a"), one, two),
        derive(SECRET, CallId("a"), two, one),
        derive(SECRET, CallId("a"), one, anew),
        derive(SECRET, CallId("a"), anew, one),
        derive(SECRET, CallId("a"), one, replace(two, start_time=None)),
    ]
    assert len({first, *others}) == 7
    assert derive(SECRET, CallId("a"), one, moved) == first


def test_the_derivation_stays_as_it_is() -> None:
    # Replicas of two releases tell the workers of one call.
    leg_id, key = derive(SECRET, CallId("call"), WORKERS[0], WORKERS[1])
    assert (leg_id.hex(), key.hex()) == ("5036e3c527f3a9a9", "30929143a06220c6c66a6d1bc08f4637")


def test_secrets_and_offers_are_not_in_what_is_logged() -> None:
    told = tell(make_call([(0, None), (1, None)]), ROUND, [carrier(WORKERS[0], USERS[0]), carrier(WORKERS[1])])
    text = repr(told) + repr(ROUND)
    assert "offer of" not in text
    assert repr(SECRET) not in text
    assert all(repr(peer.send_key) not in text for _, relays in told for peer in relays.peers)


def test_what_a_worker_is_told_is_written_as_it_is() -> None:
    told = dict(tell(make_call([(0, None), (1, None)]), ROUND, [carrier(WORKERS[0], USERS[0]), carrier(WORKERS[1])]))
    request = encode_relays(told[WORKERS[1]])
    (peer,), (participant,) = request.peers, request.participants
    assert (request.call_id, request.revision) == ("call", 7)
    assert (peer.worker_id, peer.media_address) == ("w0", "10.0.0.0:7800")
    known = told[WORKERS[1]].peers[0]
    assert (peer.send_leg_id, peer.send_key) == (known.send_leg_id, known.send_key)
    assert (peer.receive_leg_id, peer.receive_key) == (known.receive_leg_id, known.receive_key)
    assert (participant.user_id, participant.device_id, participant.worker_id) == ("u0", PHONE, "w0")
    assert (participant.number, participant.sdp_offer) == (0, "offer of u0")


def test_a_device_that_moves_is_looked_for_where_it_was_too() -> None:
    assert carriers_of(make_call([(0, None), (2, 1)])) == [WORKERS[0], WORKERS[2], WORKERS[1]]
    assert carriers_of(make_call([(1, None), (None, 2)])) == [WORKERS[1]]


# Rounds.


@pytest.fixture
async def world() -> World:
    """Alice and Bob on the call's own worker, Carol on the other one."""
    made = World()
    made.members.conversations[GROUP_TALK] = [ALICE, BOB, CAROL, DAVE]
    for worker, cpu_ratio in ((WORKER, 0.0), (OTHER_WORKER, 0.1)):
        made.hear(worker, max_participants=2, cpu_ratio=cpu_ratio, media_address="10.0.0.1:1")
    call = await made.start(talk=GROUP_TALK)
    for user_id in (BOB, CAROL):
        await made.service.join_call(call.call_id, user_id, TABLET)
    for user_id, device, worker in ((ALICE, PHONE, WORKER), (BOB, TABLET, WORKER), (CAROL, TABLET, OTHER_WORKER)):
        made.relay_workers.join(worker, user_id, device)
        await made.service.note_media(call.call_id, MediaConnected(user_id, device, worker.worker_id))
    return made


def call_id(world: World) -> CallId:
    return world.store.running()[0].call_id


async def test_each_worker_is_told_of_the_others_devices(world: World) -> None:
    assert await world.relays.tell(call_id(world))
    assert world.relay_workers.remotes(WORKER) == {CAROL: OTHER_WORKER.worker_id}
    assert world.relay_workers.remotes(OTHER_WORKER) == {ALICE: WORKER.worker_id, BOB: WORKER.worker_id}
    (peer,) = world.relay_workers.told[WORKER.worker_id].peers
    assert peer.media_address == "10.0.0.1:7200"


async def test_who_left_the_call_is_told_of_no_more_though_its_worker_still_has_it(world: World) -> None:
    await world.service.leave_call(call_id(world), BOB, TABLET)
    assert await world.relays.tell(call_id(world))
    assert world.relay_workers.remotes(OTHER_WORKER) == {ALICE: WORKER.worker_id}


async def test_a_worker_that_does_not_answer_changes_nothing_for_the_others_until_it_does(world: World) -> None:
    await world.relays.tell(call_id(world))
    before = dict(world.relay_workers.told)
    world.relay_workers.silent.add(OTHER_WORKER.worker_id)
    assert not await world.relays.tell(call_id(world))
    assert world.relay_workers.told == before
    world.relay_workers.silent.clear()
    assert await world.relays.tell(call_id(world))
    assert world.relay_workers.told[WORKER.worker_id].revision == 3


async def test_a_worker_that_is_gone_is_left_out(world: World) -> None:
    await world.relays.tell(call_id(world))
    world.relay_workers.silent.add(OTHER_WORKER.worker_id)
    world.workers.remove(OTHER_WORKER.worker_id)
    await world.relays.tell(call_id(world))
    assert world.relay_workers.told[WORKER.worker_id].peers == ()


async def test_a_call_that_is_on_one_worker_again_has_no_others_and_is_left_alone_then(world: World) -> None:
    await world.relays.tell(call_id(world))
    await world.service.leave_call(call_id(world), CAROL, TABLET)
    world.clock.advance(2 * ROUND_INTERVAL_S)
    world.relay_workers.silent.add(WORKER.worker_id)
    assert not await world.relays.tell(call_id(world))
    world.relay_workers.silent.clear()
    world.rounds.noted.clear()
    world.clock.advance(2 * ROUND_INTERVAL_S)
    await world.relay_sweep.sweep()
    assert world.rounds.noted == [call_id(world)]
    assert await world.relays.tell(call_id(world))
    told = world.relay_workers.told[WORKER.worker_id]
    assert (told.peers, told.remotes) == ((), ())
    world.rounds.noted.clear()
    world.clock.advance(2 * ROUND_INTERVAL_S)
    await world.relay_sweep.sweep()
    assert world.rounds.noted == []


async def test_a_spread_call_is_told_again_and_again_and_by_one_replica(world: World) -> None:
    await world.relays.tell(call_id(world))
    world.rounds.noted.clear()
    await world.relay_sweep.sweep()
    assert world.rounds.noted == []
    world.clock.advance(ROUND_INTERVAL_S)
    await world.relay_sweep.sweep()
    await world.relay_sweep.sweep()
    assert world.rounds.noted == [call_id(world)]
    assert REGISTRY.get_sample_value("signaling_calls_spread") == 1


async def test_a_call_whose_first_round_a_replica_did_not_live_to_begin_is_found(world: World) -> None:
    world.rounds.noted.clear()
    await world.relay_sweep.sweep()
    assert world.rounds.noted == [call_id(world)]


async def test_nothing_is_said_of_calls_that_were_never_spread_or_have_ended(world: World) -> None:
    talk = call_id(world)
    for user_id, device in ((ALICE, PHONE), (BOB, TABLET), (CAROL, TABLET)):
        await world.service.leave_call(talk, user_id, device)
    assert await world.relays.tell(talk)
    single = await world.start()
    assert await world.relays.tell(single.call_id)
    assert world.relay_workers.told == {}


# In the background.


async def test_rounds_of_a_call_follow_each_other_and_what_comes_meanwhile_is_one_more() -> None:
    begun: list[str] = []
    gate = asyncio.Event()

    async def one(call: CallId) -> None:
        begun.append(call)
        await gate.wait()

    rounds = BackgroundRounds(one)
    await rounds.start()
    try:
        rounds.note(CallId("a"))
        rounds.note(CallId("a"))
        await until(lambda: begun == ["a"], what="the first round begins")
        for _ in range(3):
            rounds.note(CallId("a"))
        rounds.note(CallId("b"))
        await until(lambda: begun == ["a", "b"], what="another call does not wait")
        gate.set()
        await until(lambda: begun == ["a", "b", "a"], what="one more")
    finally:
        await rounds.stop()


async def test_rounds_outlive_an_outage_and_a_fault() -> None:
    done: list[str] = []

    async def one(call: CallId) -> None:
        done.append(call)
        raise StoreUnavailable if call == "a" else ZeroDivisionError

    rounds = BackgroundRounds(one)
    await rounds.start()
    try:
        for name in permutations("ab"):
            for call in name:
                rounds.note(CallId(call))
                count = len(done)
                await until(lambda count=count: len(done) > count, what="the round is over")  # type: ignore[misc]
    finally:
        await rounds.stop()
    assert Counter(done) == {"a": 2, "b": 2}
