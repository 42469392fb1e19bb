"""The store's contract for calls on several workers: their legs, their workers, and rounds through these."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta

import asyncpg
import pytest

from services.signaling.core.inputs import EndForAll, Join, Leave, MediaConnected, Move, SetHand, TakeOver
from services.signaling.core.model import Call, MoveReason, Worker, WorkerId
from services.signaling.core.quality import Direction, QualityKey, QualityReport, interval
from services.signaling.ports import Store
from services.signaling.relays.core import Round
from services.signaling.relays.ports import RelayStore
from services.signaling.relays.sql import PostgresRelays
from services.signaling.sql.store import PostgresStore
from tests.integration.signaling.bench import NEWS, group_call, key, step
from tests.integration.signaling.conftest import open_database
from tests.unit.signaling.fake_relays import FakeRelayStore
from tests.unit.signaling.fake_store import FakeStore
from tests.unit.signaling.fakes import ALICE, BOB, CAROL, LAPTOP, OTHER_WORKER, START, TABLET, WORKER

SATELLITE = replace(OTHER_WORKER, start_time=START)
THIRD = Worker(WorkerId("sfu-3"), "127.0.0.1:7300")
ONE_S = timedelta(seconds=1)


@dataclass
class Kept:
    """Calls, and the rounds of them."""

    calls: Store
    relays: RelayStore

    async def add(self, call: Call) -> Call:
        await self.calls.create(replace(call, version=1), key(), NEWS)
        return call

    async def spread(self) -> Call:
        """A call with Bob on another worker."""
        call = await self.add(group_call())
        return await self.save(step(call, Join(BOB, TABLET, SATELLITE)))

    async def save(self, call: Call) -> Call:
        await self.calls.save(call, NEWS)
        return call


@pytest.fixture
async def kept(store_url: str | None) -> AsyncIterator[Kept]:
    if store_url is None:
        fake = FakeStore()
        yield Kept(fake, FakeRelayStore(fake))
        return
    database = await open_database(store_url)
    yield Kept(PostgresStore(database, lambda *_: None), PostgresRelays(database))
    await database.stop()


async def test_everything_of_a_spread_call_is_stored(kept: Kept) -> None:
    call = await kept.add(group_call())
    for given in (
        Join(BOB, TABLET, SATELLITE),
        MediaConnected(BOB, TABLET, SATELLITE.worker_id),
        TakeOver(BOB, LAPTOP, THIRD),
        Join(CAROL, TABLET, SATELLITE),
        MediaConnected(CAROL, TABLET, SATELLITE.worker_id),
        Move(SATELLITE, THIRD, MoveReason.DRAIN),
        Move(WORKER, SATELLITE, MoveReason.WORKER_LOST),
        EndForAll(ALICE, by_admin=True),
    ):
        changed = step(call, given)
        assert changed != call
        call = await kept.save(changed)
        assert await kept.calls.find(call.call_id) == call


async def test_a_spread_call_is_found_by_each_of_its_workers_until_it_has_ended(kept: Kept) -> None:
    call = await kept.spread()
    assert set(await kept.calls.list_workers()) == {WORKER, SATELLITE}
    for worker in (WORKER, SATELLITE):
        assert await kept.calls.list_on(worker, 10) == [call.call_id]
    # Another process of the same name.
    assert await kept.calls.list_on(OTHER_WORKER, 10) == []
    left = await kept.save(step(call, Leave(BOB, TABLET)))
    assert (await kept.calls.list_workers(), await kept.calls.list_on(SATELLITE, 10)) == ([WORKER], [])
    again = await kept.save(step(left, Join(BOB, TABLET, SATELLITE)))
    await kept.save(step(again, EndForAll(ALICE, by_admin=True)))
    assert (await kept.calls.list_workers(), await kept.calls.list_on(SATELLITE, 10)) == ([], [])


async def test_quality_on_any_worker_of_a_spread_call_counts(kept: Kept) -> None:
    call = await kept.spread()
    legs = {Direction.UPLINK: interval(5.0, 100, 1000, 0.0, 1.0, 20.0)}
    for worker in (WORKER, SATELLITE):
        report = QualityReport(QualityKey(call.call_id, BOB, TABLET, worker.worker_id), START, legs)
        await kept.calls.add_quality([report])
    (quality,) = (await kept.calls.quality_of([call.call_id]))[call.call_id]
    assert quality.user_id == BOB


async def test_each_round_has_a_greater_revision_and_the_call_s_one_secret(kept: Kept) -> None:
    call = await kept.spread()
    assert await kept.relays.begin(call.call_id, b"a" * 32, START) == Round(1, b"a" * 32)
    assert await kept.relays.begin(call.call_id, b"b" * 32, START) == Round(2, b"a" * 32)
    # Not a change of the call.
    assert await kept.calls.find(call.call_id) == call
    await kept.save(step(call, EndForAll(ALICE, by_admin=True)))
    assert await kept.relays.begin(call.call_id, b"a" * 32, START) is None


async def test_a_call_that_was_never_spread_has_no_rounds(kept: Kept) -> None:
    call = await kept.add(group_call())
    assert await kept.relays.begin(call.call_id, b"a" * 32, START) is None
    assert (await kept.relays.claim(START, START, 10), await kept.relays.count()) == ([], 0)


async def test_a_spread_call_is_claimed_by_one_at_a_time(kept: Kept) -> None:
    call = await kept.spread()
    assert await kept.relays.count() == 1
    assert await kept.relays.claim(START, START - ONE_S, 10) == [call.call_id]
    assert await kept.relays.claim(START, START - ONE_S, 10) == []
    assert await kept.relays.claim(START + 2 * ONE_S, START + ONE_S, 10) == [call.call_id]
    await kept.relays.begin(call.call_id, b"a" * 32, START + 3 * ONE_S)
    assert await kept.relays.claim(START + 3 * ONE_S, START + 2 * ONE_S, 10) == []


async def test_a_settled_call_is_left_alone_until_it_changes(kept: Kept) -> None:
    call = await kept.spread()
    call = await kept.save(step(call, Leave(BOB, TABLET)))
    assert await kept.relays.count() == 0
    later = START + 10 * ONE_S
    first = await kept.relays.begin(call.call_id, b"a" * 32, START)
    second = await kept.relays.begin(call.call_id, b"a" * 32, START)
    assert first
    assert second
    # Another round has begun since, or the call has changed.
    await kept.relays.settle(call.call_id, first.revision, call.version)
    await kept.relays.settle(call.call_id, second.revision, call.version - 1)
    assert await kept.relays.claim(later, START, 10) == [call.call_id]
    await kept.relays.settle(call.call_id, second.revision, call.version)
    assert await kept.relays.claim(later + ONE_S, later, 10) == []
    await kept.save(step(call, SetHand(ALICE, raised=True)))
    assert await kept.relays.claim(later + ONE_S, later, 10) == [call.call_id]


async def test_the_secret_goes_with_the_end_of_the_call(database_url: str) -> None:
    database = await open_database(database_url)
    kept = Kept(PostgresStore(database, lambda *_: None), PostgresRelays(database))
    call = await kept.spread()
    await kept.relays.begin(call.call_id, b"a" * 32, START)
    read = "SELECT relay_secret FROM calls WHERE call_id = $1"
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval(read, call.call_id) == b"a" * 32
    await kept.save(step(call, EndForAll(ALICE, by_admin=True)))
    assert await connection.fetchval(read, call.call_id) is None
    await connection.close()
    await database.stop()
