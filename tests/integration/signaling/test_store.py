"""One contract for the store, held by the fake and by PostgreSQL; and races that only a database can have."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from services.runtime.postgres.database import Database
from services.signaling.alarms import Alarms
from services.signaling.changes import CallChanges
from services.signaling.core.calls import refuse_as_busy
from services.signaling.core.errors import AlreadyAnswered, AnsweredElsewhere, CallEnded, CallsError, VersionConflict
from services.signaling.core.inputs import Accept, Cancel, Decline, Input, Leave, MediaConnected, Move, WorkerLost
from services.signaling.core.model import Call, CallId, CallState, DeviceId, EndReason, MoveReason, UserId
from services.signaling.moves import CallMoves
from services.signaling.ports import AlreadyStarted, CalleesBusy, CallerBusy, Created
from services.signaling.service import CallsService
from services.signaling.sql.store import PostgresStore
from services.signaling.starting import StartRequest
from tests.integration.signaling.bench import NEWS, Bench, key, new_call, step
from tests.support.clock import ManualClock
from tests.unit.signaling.fakes import (
    ALICE,
    BOB,
    CAROL,
    OTHER_WORKER,
    PHONE,
    START,
    TABLET,
    TALK,
    TIMEOUTS,
    WORKER,
    RecordingCloser,
    World,
    events_of,
    make_service,
)

RING_END = START + timedelta(seconds=TIMEOUTS.ring_s)
LEASE = timedelta(seconds=5)


async def test_a_created_call_is_found_as_it_was(bench: Bench) -> None:
    call = new_call()
    assert await bench.store.create(call, key(), NEWS) == Created()
    assert await bench.store.find(call.call_id) == call
    assert await bench.store.find_by_key(key()) == call
    assert await bench.store.list_active(ALICE) == await bench.store.list_active(BOB) == [call]
    assert await bench.read_records() == NEWS


async def test_what_was_not_stored_is_not_found(bench: Bench) -> None:
    assert await bench.store.find(CallId(str(uuid4()))) is None
    assert await bench.store.find_by_key(key()) is None
    assert await bench.store.list_active(ALICE) == []


async def test_a_known_key_stores_nothing_and_gives_its_call(bench: Bench) -> None:
    call = new_call()
    await bench.store.create(call, key(), NEWS)
    assert await bench.store.create(new_call(), key(), NEWS) == AlreadyStarted(call)
    assert await bench.read_records() == NEWS


async def test_a_user_can_be_in_one_call_only(bench: Bench) -> None:
    call = new_call()
    await bench.store.create(call, key(), NEWS)
    assert await bench.store.create(new_call(), key(ALICE, "second"), NEWS) == CallerBusy(call)
    assert await bench.store.create(new_call(BOB, CAROL), key(BOB), NEWS) == CallerBusy(call)
    assert await bench.store.create(new_call(CAROL, BOB), key(CAROL), NEWS) == CalleesBusy((BOB,))
    assert await bench.store.list_active(CAROL) == []
    assert await bench.store.find_by_key(key(CAROL)) is None
    assert await bench.read_records() == NEWS


async def test_a_call_that_was_never_to_ring_takes_nobody(bench: Bench) -> None:
    await bench.store.create(new_call(), key(), NEWS)
    busy = refuse_as_busy(new_call(CAROL, BOB))
    assert await bench.store.create(busy, key(CAROL), NEWS) == Created()
    assert await bench.store.find(busy.call_id) == busy
    assert await bench.store.list_active(CAROL) == []


async def test_every_change_is_stored_with_its_events(bench: Bench) -> None:
    call = new_call()
    await bench.store.create(call, key(), NEWS)
    for given in (
        MediaConnected(ALICE, PHONE, WORKER.worker_id),
        Accept(BOB, TABLET),
        MediaConnected(BOB, TABLET, WORKER.worker_id),
        WorkerLost(WORKER.worker_id),
        Move(WORKER, OTHER_WORKER, MoveReason.WORKER_LOST),
        Leave(BOB, TABLET),
    ):
        call = step(call, given)
        await bench.store.save(call, NEWS)
        assert await bench.store.find(call.call_id) == call
    assert call.end_reason is EndReason.HUNG_UP
    assert await bench.read_records() == NEWS * 7


async def test_of_two_changes_to_one_version_the_second_is_refused_whole(bench: Bench) -> None:
    call = new_call()
    await bench.store.create(call, key(), NEWS)
    accepted = step(call, Accept(BOB, TABLET))
    await bench.store.save(accepted, NEWS)
    with pytest.raises(VersionConflict):
        await bench.store.save(step(call, Decline(BOB)), NEWS)
    assert await bench.store.find(call.call_id) == accepted
    assert await bench.read_records() == NEWS * 2


async def test_the_end_frees_both_users(bench: Bench) -> None:
    call = new_call()
    await bench.store.create(call, key(), NEWS)
    await bench.store.save(step(call, Cancel(ALICE)), NEWS)
    assert await bench.store.list_active(BOB) == []
    assert await bench.store.create(new_call(BOB, ALICE), key(BOB), NEWS) == Created()


async def test_a_change_can_bring_a_key_for_the_call(bench: Bench) -> None:
    call = new_call()
    await bench.store.create(call, key(), NEWS)
    met = step(call, Accept(BOB, TABLET))
    await bench.store.save(met, NEWS, key(BOB, "his"))
    assert await bench.store.find_by_key(key(BOB, "his")) == met
    assert await bench.store.create(new_call(BOB, CAROL), key(BOB, "his"), NEWS) == AlreadyStarted(met)


async def test_a_key_can_come_to_stand_for_a_call_without_a_change(bench: Bench) -> None:
    call, other = new_call(), new_call(CAROL, UserId("dave"))
    await bench.store.create(call, key(), NEWS)
    await bench.store.create(other, key(CAROL), NEWS)
    await bench.store.save_key(key(BOB, "his"), call.call_id)
    # The first stays.
    await bench.store.save_key(key(BOB, "his"), other.call_id)
    assert await bench.store.find_by_key(key(BOB, "his")) == call
    assert await bench.store.create(new_call(BOB, CAROL), key(BOB, "his"), NEWS) == AlreadyStarted(call)


async def test_due_calls_are_claimed_once_until_the_lease_is_over(bench: Bench) -> None:
    call = new_call()
    await bench.store.create(call, key(), NEWS)
    assert await bench.store.claim_due(RING_END - LEASE, LEASE, 10) == []
    assert await bench.store.claim_due(RING_END, LEASE, 10) == [call.call_id]
    assert await bench.store.claim_due(RING_END, LEASE, 10) == []
    assert await bench.store.claim_due(RING_END + LEASE, LEASE, 10) == [call.call_id]


async def test_a_call_that_waits_for_nothing_is_never_due(bench: Bench) -> None:
    call = new_call()
    await bench.store.create(call, key(), NEWS)
    for given in (
        Accept(BOB, TABLET),
        MediaConnected(ALICE, PHONE, WORKER.worker_id),
        MediaConnected(BOB, TABLET, WORKER.worker_id),
    ):
        call = step(call, given)
        await bench.store.save(call, NEWS)
    assert await bench.store.claim_due(START + timedelta(days=1), LEASE, 10) == []


async def test_claims_are_limited(bench: Bench) -> None:
    for number in range(3):
        users = (UserId(f"caller-{number}"), UserId(f"callee-{number}"))
        await bench.store.create(new_call(*users), key(users[0]), NEWS)
    assert len(await bench.store.claim_due(RING_END, LEASE, 2)) == 2
    assert len(await bench.store.claim_due(RING_END, LEASE, 2)) == 1


async def test_the_running_calls_of_a_worker_are_listed_by_process(bench: Bench) -> None:
    restarted = replace(WORKER, start_time=START)
    call = new_call()
    await bench.store.create(call, key(), NEWS)
    assert await bench.store.list_workers() == [WORKER]
    assert await bench.store.list_on(WORKER, 10) == [call.call_id]
    assert await bench.store.list_on(replace(WORKER, address="127.0.0.1:7"), 10) == [call.call_id]
    assert await bench.store.list_on(restarted, 10) == await bench.store.list_on(OTHER_WORKER, 10) == []
    call = step(call, Move(WORKER, restarted, MoveReason.WORKER_LOST))
    await bench.store.save(call, NEWS)
    assert await bench.store.list_on(restarted, 10) == [call.call_id]
    assert await bench.store.list_on(WORKER, 10) == []
    await bench.store.save(step(call, Cancel(ALICE)), NEWS)
    assert await bench.store.list_on(restarted, 10) == []
    assert await bench.store.list_workers() == []


async def test_calls_are_counted_by_state(bench: Bench) -> None:
    assert await bench.store.count_by_state() == {}
    call = new_call()
    await bench.store.create(call, key(), NEWS)
    assert await bench.store.count_by_state() == {CallState.RINGING: 1}
    await bench.store.save(step(call, Accept(BOB, TABLET)), NEWS)
    assert await bench.store.count_by_state() == {CallState.ACTIVE: 1}


# Races, on the database only.


def changes_over(database: Database) -> CallChanges:
    store = PostgresStore(database, lambda *_: None)
    return CallChanges(store, events_of, RecordingCloser(), Alarms(), ManualClock(), TIMEOUTS)


def service_over(database: Database) -> CallsService:
    world = World()
    changes = changes_over(database)
    moves = CallMoves(changes.store, changes, world.media, world.workers)
    return make_service(changes, world.members, moves, lambda now: str(uuid4()))


async def test_of_many_devices_that_accept_at_once_exactly_one_wins(database: Database) -> None:
    changes = changes_over(database)
    for turn in range(5):
        call = new_call(UserId(f"caller-{turn}"), UserId(f"callee-{turn}"))
        callee = call.legs[1].user_id
        await changes.store.create(call, key(call.caller_id), NEWS)
        devices = [DeviceId(f"device-{number:02}") for number in range(30)]
        outcomes = await asyncio.gather(
            *(changes.apply(call.call_id, Accept(callee, device)) for device in devices), return_exceptions=True
        )
        winners = [device for device, outcome in zip(devices, outcomes, strict=True) if isinstance(outcome, Call)]
        losers = [outcome for outcome in outcomes if not isinstance(outcome, Call)]
        assert len(winners) == 1
        assert all(isinstance(outcome, AnsweredElsewhere) for outcome in losers)
        stored = await changes.store.find(call.call_id)
        assert stored is not None
        assert (stored.version, stored.has_device(callee, winners[0])) == (2, True)


async def test_accept_decline_cancel_and_timeout_at_once_have_exactly_one_outcome(database: Database) -> None:
    changes = changes_over(database)
    for turn in range(10):
        call = new_call(UserId(f"caller-{turn}"), UserId(f"callee-{turn}"))
        caller, callee = call.user_ids
        await changes.store.create(call, key(caller), NEWS)
        inputs: list[Input] = [
            *(Accept(callee, DeviceId(f"device-{number:02}")) for number in range(6)),
            *(Decline(callee) for _ in range(3)),
            *(Cancel(caller) for _ in range(3)),
        ]
        inputs = inputs[turn:] + inputs[:turn]
        outcomes = await asyncio.gather(
            *(changes.apply(call.call_id, given) for given in inputs), return_exceptions=True
        )
        stored = await changes.store.find(call.call_id)
        assert stored is not None
        assert stored.version == 2
        assert all(isinstance(outcome, Call | CallsError) for outcome in outcomes)
        refusals = (AnsweredElsewhere, AlreadyAnswered) if stored.state is CallState.ACTIVE else (CallEnded,)
        assert all(isinstance(outcome, refusals) for outcome in outcomes if isinstance(outcome, CallsError))


async def test_two_who_call_each_other_at_once_always_get_one_call(database: Database) -> None:
    service = service_over(database)
    for turn in range(20):
        starts = [StartRequest(user, PHONE, TALK, True, f"turn-{turn}") for user in (ALICE, BOB)]
        (first, grant), (second, other_grant) = await asyncio.gather(*map(service.start_call, starts))
        assert first.call_id == second.call_id
        assert grant is not None
        assert other_grant is not None
        stored = await service.get_call(first.call_id, ALICE)
        assert stored.state is CallState.ACTIVE
        await service.leave_call(first.call_id, BOB, PHONE)


async def test_of_many_who_call_one_person_at_once_one_rings_and_the_others_are_busy(database: Database) -> None:
    store = PostgresStore(database, lambda *_: None)
    callers = [UserId(f"caller-{number:02}") for number in range(20)]
    outcomes = await asyncio.gather(*(store.create(new_call(user, BOB), key(user), NEWS) for user in callers))
    assert outcomes.count(Created()) == 1
    assert outcomes.count(CalleesBusy((BOB,))) == 19


async def test_one_client_id_sent_many_times_at_once_gives_one_call(database: Database) -> None:
    service = service_over(database)
    start = StartRequest(ALICE, PHONE, TALK, True, "first")
    outcomes = await asyncio.gather(*(service.start_call(start) for _ in range(20)))
    assert len({call.call_id for call, _ in outcomes}) == 1
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM calls") == 1


async def test_replicas_that_sweep_at_once_share_the_due_calls(database: Database) -> None:
    store = PostgresStore(database, lambda *_: None)
    calls = [new_call(UserId(f"caller-{number}"), UserId(f"callee-{number}")) for number in range(40)]
    for call in calls:
        await store.create(call, key(call.caller_id), NEWS)
    claims = await asyncio.gather(*(store.claim_due(RING_END, LEASE, 40) for _ in range(8)))
    claimed = [call_id for claim in claims for call_id in claim]
    assert sorted(claimed) == sorted(call.call_id for call in calls)


async def test_an_ended_call_without_a_reason_is_refused_by_the_database(database: Database) -> None:
    store = PostgresStore(database, lambda *_: None)
    broken = replace(new_call(), state=CallState.ENDED)
    with pytest.raises(asyncpg.CheckViolationError):
        await store.create(broken, key(), NEWS)
