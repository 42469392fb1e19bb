"""One contract for the store, held by the fake and by PostgreSQL; and races that only a database can have."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from services.runtime.config import DatabaseConfig
from services.runtime.db import Database
from services.signaling.changes import CallChanges
from services.signaling.core.calls import Placed, handle, refuse_as_busy, ring
from services.signaling.core.errors import AlreadyAnswered, AnsweredElsewhere, CallEnded, CallsError, VersionConflict
from services.signaling.core.model import (
    Accept,
    Call,
    CallId,
    CallState,
    Cancel,
    Decline,
    DeviceId,
    EndReason,
    Input,
    Leave,
    MediaConnected,
    Move,
    UserId,
    WorkerLost,
)
from services.signaling.ports import CalleeTaken, CallerTaken, ClientKey, Created, KeyKnown, Record, Store
from services.signaling.service import CallsService, StartRequest
from services.signaling.store import PostgresStore
from services.signaling.wiring import MIGRATIONS
from tests.support.clock import ManualClock
from tests.support.waiting import eventually
from tests.unit.signaling.fakes import (
    ALICE,
    BOB,
    CAROL,
    GRANTS,
    OTHER_WORKER,
    PHONE,
    START,
    TABLET,
    TALK,
    TIMEOUTS,
    WORKER,
    FakeStore,
    RecordingCloser,
    RecordingMetrics,
    RecordingTimers,
    World,
    announce,
)

RING_END = START + timedelta(seconds=TIMEOUTS.ring_s)
LEASE = timedelta(seconds=5)
NEWS = [Record("topic", "key", b"news")]


def new_call(caller: UserId = ALICE, callee: UserId = BOB) -> Call:
    placed = Placed(CallId(str(uuid4())), TALK, caller, PHONE, callee, video=True)
    return ring(placed, WORKER, START, TIMEOUTS)


def step(call: Call, given: Input) -> Call:
    return handle(call, given, START, TIMEOUTS).call


def key(user_id: UserId = ALICE, client_call_id: str = "first") -> ClientKey:
    return ClientKey(user_id, client_call_id)


@dataclass
class Bench:
    """A store, and the events that were committed with the calls."""

    store: Store
    read_records: Callable[[], Awaitable[list[Record]]]


async def open_database(url: str) -> Database:
    database = Database(DatabaseConfig(url, pool_size=12), MIGRATIONS)
    await database.start()
    await eventually(database.ready, 30)
    return database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    made = await open_database(database_url)
    yield made
    await made.stop()


@pytest.fixture(params=["fake", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str | None:
    """Where the store's database is; None for the fake."""
    return None if request.param == "fake" else str(request.getfixturevalue("database_url"))


@pytest.fixture
async def bench(store_url: str | None) -> AsyncIterator[Bench]:
    if store_url is None:
        fake = FakeStore()

        async def remembered() -> list[Record]:
            return fake.records

        yield Bench(fake, remembered)
        return
    database = await open_database(store_url)

    async def stored() -> list[Record]:
        async with database.connection() as connection:
            rows = await connection.fetch("SELECT topic, key, value FROM outbox ORDER BY id")
        return [Record(*row) for row in rows]

    yield Bench(PostgresStore(database, lambda order_key: None), stored)
    await database.stop()


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
    assert await bench.store.create(new_call(), key(), NEWS) == KeyKnown(call)
    assert await bench.read_records() == NEWS


async def test_a_user_can_be_in_one_call_only(bench: Bench) -> None:
    call = new_call()
    await bench.store.create(call, key(), NEWS)
    assert await bench.store.create(new_call(), key(ALICE, "second"), NEWS) == CallerTaken(call)
    assert await bench.store.create(new_call(BOB, CAROL), key(BOB), NEWS) == CallerTaken(call)
    assert await bench.store.create(new_call(CAROL, BOB), key(CAROL), NEWS) == CalleeTaken()
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
        Move(WORKER.worker_id, OTHER_WORKER),
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
    assert await bench.store.create(new_call(BOB, CAROL), key(BOB, "his"), NEWS) == KeyKnown(met)


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


async def test_calls_with_media_on_a_worker_are_listed(bench: Bench) -> None:
    call = new_call()
    await bench.store.create(call, key(), NEWS)
    assert await bench.store.list_workers() == [WORKER]
    assert await bench.store.list_running_on(WORKER.worker_id, 10) == []
    call = step(call, MediaConnected(ALICE, PHONE, WORKER.worker_id))
    await bench.store.save(call, NEWS)
    assert await bench.store.list_running_on(WORKER.worker_id, 10) == [call.call_id]
    assert await bench.store.list_running_on(OTHER_WORKER.worker_id, 10) == []
    await bench.store.save(step(call, Cancel(ALICE)), NEWS)
    assert await bench.store.list_running_on(WORKER.worker_id, 10) == []
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
    store = PostgresStore(database, lambda order_key: None)
    return CallChanges(
        store, announce, RecordingCloser(), RecordingTimers(), RecordingMetrics(), ManualClock(), TIMEOUTS
    )


def service_over(database: Database) -> CallsService:
    world = World()
    changes = changes_over(database)
    return CallsService(
        changes.store,
        changes,
        world.members,
        world.media,
        world.nodes,
        world.tokens,
        GRANTS,
        lambda now: str(uuid4()),
    )


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
    store = PostgresStore(database, lambda order_key: None)
    callers = [UserId(f"caller-{number:02}") for number in range(20)]
    outcomes = await asyncio.gather(*(store.create(new_call(user, BOB), key(user), NEWS) for user in callers))
    assert outcomes.count(Created()) == 1
    assert outcomes.count(CalleeTaken()) == 19


async def test_one_client_id_sent_many_times_at_once_gives_one_call(database: Database) -> None:
    service = service_over(database)
    start = StartRequest(ALICE, PHONE, TALK, True, "first")
    outcomes = await asyncio.gather(*(service.start_call(start) for _ in range(20)))
    assert len({call.call_id for call, _ in outcomes}) == 1
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM calls") == 1


async def test_replicas_that_sweep_at_once_share_the_due_calls(database: Database) -> None:
    store = PostgresStore(database, lambda order_key: None)
    calls = [new_call(UserId(f"caller-{number}"), UserId(f"callee-{number}")) for number in range(40)]
    for call in calls:
        await store.create(call, key(call.caller_id), NEWS)
    claims = await asyncio.gather(*(store.claim_due(RING_END, LEASE, 40) for _ in range(8)))
    claimed = [call_id for claim in claims for call_id in claim]
    assert sorted(claimed) == sorted(call.call_id for call in calls)


async def test_an_ended_call_without_a_reason_is_refused_by_the_database(database: Database) -> None:
    store = PostgresStore(database, lambda order_key: None)
    broken = replace(new_call(), state=CallState.ENDED)
    with pytest.raises(asyncpg.CheckViolationError):
        await store.create(broken, key(), NEWS)
