"""One contract for the store of states, on the fake and on PostgreSQL."""

import time
from collections.abc import AsyncIterator

import pytest

from services.presence.core.model import UserId
from services.presence.core.states import OngoingCall, PresenceStatus, UserState
from services.presence.core.user_states import StoredState
from services.presence.ports import StateRow, StateStore
from services.presence.sql import PostgresStates
from services.presence.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.errors import StoreUnavailable
from services.runtime.postgres.database import Database
from tests.support.db import connected
from tests.support.presence_store import MemoryStates

ALICE, BOB = UserId("alice"), UserId("bob")
CALL = OngoingCall("call-1", 3)


@pytest.fixture(params=["memory", "postgres"])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else str(request.getfixturevalue("database_url"))


@pytest.fixture
async def store(url: str | None) -> AsyncIterator[StateStore]:
    if url is None:
        yield MemoryStates()
        return
    async with connected(Database(DatabaseConfig(url, 2), MIGRATIONS)) as database:
        yield PostgresStates(database)


def offline(user_id: UserId, time: float, last_seen: float | None) -> StateRow:
    return StateRow(user_id, time, 1, UserState(PresenceStatus.OFFLINE, last_seen=last_seen))


def present(
    user_id: UserId,
    time: float,
    partition: int,
    status: PresenceStatus = PresenceStatus.ONLINE,
    call: OngoingCall | None = None,
) -> StateRow:
    return StateRow(user_id, time, partition, UserState(status, in_call=call is not None), call)


async def test_when_people_were_last_seen_is_kept(store: StateStore) -> None:
    await store.save([offline(ALICE, 200, 100.5), offline(BOB, 200, None)])
    stranger = UserId("stranger")
    assert await store.load_last_seen([ALICE, BOB, stranger]) == {ALICE: 100.5, BOB: None, stranger: None}


async def test_a_later_state_takes_the_place_of_an_earlier_one_and_never_the_other_way(store: StateStore) -> None:
    await store.save([offline(ALICE, 200, 150)])
    await store.save([offline(ALICE, 100, 50)])
    assert await store.load_last_seen([ALICE]) == {ALICE: 150}
    await store.save([offline(ALICE, 200, 151)])
    assert await store.load_last_seen([ALICE]) == {ALICE: 151}


async def test_an_owner_is_told_who_of_its_partitions_is_not_offline_and_their_calls(store: StateStore) -> None:
    await store.save(
        [
            present(ALICE, 1, 3, call=CALL),
            present(BOB, 1, 5, PresenceStatus.AWAY),
            present(UserId("elsewhere"), 1, 4),
            offline(UserId("gone"), 1, 1),
        ]
    )
    stored = sorted(await store.load_present([3, 5]), key=lambda row: row.user_id)
    assert stored == [StoredState(ALICE, PresenceStatus.ONLINE, CALL), StoredState(BOB, PresenceStatus.AWAY, None)]
    await store.save([offline(ALICE, 2, 2)])
    assert await store.load_present([3]) == []


async def test_who_deleted_the_account_is_forgotten(store: StateStore) -> None:
    await store.save([present(ALICE, 1, 3), offline(BOB, 1, 1)])
    await store.save([StateRow(ALICE, 2), StateRow(BOB, 2)])
    assert await store.load_present([3]) == []
    assert await store.load_last_seen([BOB]) == {BOB: None}


async def test_nothing_to_write_and_nobody_to_ask_for_are_no_errors(store: StateStore) -> None:
    await store.save([])
    assert await store.load_last_seen([]) == {}
    assert await store.load_present([]) == []


async def test_a_database_that_is_away_is_said_to_be_unavailable() -> None:
    store = PostgresStates(Database(DatabaseConfig("postgresql://nowhere.invalid/x", 1), MIGRATIONS))
    with pytest.raises(StoreUnavailable):
        await store.save([offline(ALICE, 1, 1)])
    with pytest.raises(StoreUnavailable):
        await store.load_last_seen([ALICE])


@pytest.mark.parametrize("ahead_s", [3600.0, 86_400.0])
async def test_a_row_of_a_wrong_clock_hides_no_later_state(database_url: str, ahead_s: float) -> None:
    """It came from a host that was ahead, or the database's own clock has been set back since."""
    now = float(int(time.time()))
    async with connected(Database(DatabaseConfig(database_url, 2), MIGRATIONS)) as database:
        store = PostgresStates(database)
        await store.save([present(ALICE, now + ahead_s, 3), offline(BOB, now + ahead_s, now + ahead_s)])
        seen = (await store.load_last_seen([BOB]))[BOB]
        assert seen is not None
        assert seen < now + ahead_s / 2
        await store.save([offline(ALICE, time.time(), now), offline(BOB, time.time(), now)])
        assert await store.load_present([3]) == []
        assert await store.load_last_seen([ALICE, BOB]) == {ALICE: now, BOB: now}
        async with database.connection() as connection:
            # As a database whose clock went back finds its rows.
            await connection.execute("UPDATE user_states SET changed_time = now() + interval '1 hour'")
        await store.save([present(ALICE, time.time(), 3)])
        assert [row.user_id for row in await store.load_present([3])] == [ALICE]
