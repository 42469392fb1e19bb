"""Join links in PostgreSQL: the store's contract, guests in rows, and what the release before makes of them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from services.runtime.postgres.database import Database
from services.signaling.core.inputs import (
    AdmitGuest,
    CloseLink,
    EndForAll,
    Join,
    Knock,
    LeaveLobby,
    RefuseGuest,
    Remove,
    SetMembers,
)
from services.signaling.core.model import Call, LegState, LinkId, UserId
from services.signaling.links.core import JoinLink, StoredLink, hash_of
from services.signaling.links.ports import LinkStore
from services.signaling.links.sql import PostgresLinks
from services.signaling.sql.store import PostgresStore
from tests.integration.signaling.bench import NEWS, Bench, group_call, key, step
from tests.integration.signaling.conftest import open_database
from tests.support.account_lives import CallTown
from tests.support.database_search import where
from tests.unit.signaling.fake_links import FakeLinks
from tests.unit.signaling.fakes import (
    ALICE,
    BOB,
    CAROL,
    GROUP_TALK,
    LAPTOP,
    PHONE,
    START,
    TABLET,
)

EVE, FAY, GUS = UserId("eve"), UserId("fay"), UserId("gus")
LINK = LinkId(str(UUID(int=1)))


def link_of(call: Call, number: int, request: bytes | None = None) -> StoredLink:
    link = JoinLink(LinkId(str(UUID(int=number))), call.call_id, BOB, START, START + timedelta(hours=1))
    return StoredLink(link, hash_of(str(number)), b"salt", request)


@pytest.fixture
async def stores(store_url: str | None) -> AsyncIterator[tuple[LinkStore, Call]]:
    """A store of links, and a call that is known beside it."""
    call = group_call()
    if store_url is None:
        yield FakeLinks(), call
        return
    database = await open_database(store_url)
    await PostgresStore(database, lambda *_: None).create(call, key(), NEWS)
    yield PostgresLinks(database), call
    await database.stop()


async def test_a_link_is_found_by_its_id_its_secret_and_its_request(stores: tuple[LinkStore, Call]) -> None:
    links, call = stores
    stored = link_of(call, 1, b"request")
    assert await links.add(stored, START, 2)
    # A second one of the same request changes nothing, and takes no room.
    assert await links.add(link_of(call, 2, b"request"), START, 1)
    assert await links.find(stored.link.link_id) == stored.link
    assert await links.find_by_secret(hash_of("1")) == stored.link
    assert await links.find_by_request(b"request") == stored
    for found in (
        await links.find(LinkId(str(UUID(int=2)))),
        await links.find_by_secret(hash_of("2")),
        await links.find_by_request(b"another"),
        await links.revoke(LinkId(str(UUID(int=2))), START),
    ):
        assert found is None


async def test_open_links_are_counted_and_listed(stores: tuple[LinkStore, Call]) -> None:
    links, call = stores
    made = [link_of(call, number) for number in (1, 2, 3)]
    assert [await links.add(each, START, 2) for each in made] == [True, True, False]
    first, second = (each.link for each in made[:2])
    assert await links.list_of(call.call_id) == [first, second]
    revoked = replace(first, revoke_time=START)
    # Revoked again, it keeps the time.
    assert await links.revoke(first.link_id, START) == revoked
    assert await links.revoke(first.link_id, START + timedelta(minutes=1)) == revoked
    assert await links.add(made[2], START, 2)
    assert await links.list_unclosed(10) == [revoked]
    await links.note_closed(first.link_id, START)
    assert await links.list_unclosed(10) == []
    # What has expired takes no room either.
    assert await links.add(link_of(call, 4), START + timedelta(hours=1), 1)


async def test_everything_of_guests_is_stored(bench: Bench) -> None:
    call = group_call()
    await bench.store.create(call, key(), NEWS)
    for given in (
        Knock(EVE, LINK),
        Knock(FAY, LINK),
        Knock(GUS, LINK),
        AdmitGuest(BOB, EVE, by_host=True),
        RefuseGuest(BOB, FAY, by_host=True),
        LeaveLobby(GUS),
        Join(EVE, LAPTOP),
        Join(BOB, TABLET),
        Knock(GUS, LINK),
        AdmitGuest(BOB, GUS, by_host=True),
        Remove(ALICE, GUS, by_admin=True),
        CloseLink(LINK),
        Knock(EVE, LINK),
        SetMembers(frozenset({ALICE, BOB, CAROL, EVE})),
        Knock(UserId("ida"), LINK),
        EndForAll(ALICE, by_admin=True),
    ):
        changed = step(call, given)
        assert changed != call
        call = changed
        await bench.store.save(call, NEWS)
        assert await bench.store.find(call.call_id) == call
        for user in (ALICE, EVE, FAY, GUS):
            assert [each.call_id for each in await bench.store.list_active(user)] == (
                [call.call_id] if user in call.audience and not call.end_time else []
            )
    for user in (FAY, GUS):
        assert await bench.store.list_ended(user, None, 10) == []
    assert await bench.store.list_ended(EVE, None, 10) == [call]


async def test_who_knocked_often_counts_as_rung_by_nobody(bench: Bench) -> None:
    for _ in range(3):
        call = group_call()
        await bench.store.create(call, key(client_call_id=call.call_id), NEWS)
        call = step(step(call, Knock(EVE, LINK)), AdmitGuest(BOB, EVE, by_host=True))
        for version in (2, 3):
            await bench.store.save(replace(call, version=version), NEWS)
        await bench.store.save(step(call, EndForAll(ALICE, by_admin=True)), NEWS)
    since = START - timedelta(minutes=1)
    assert await bench.store.list_over_ring_limit([EVE], GROUP_TALK, since, 3) == []
    assert await bench.store.list_over_ring_limit([BOB], GROUP_TALK, since, 3) == [BOB]


async def test_neither_the_secret_nor_what_gives_it_stands_in_any_column(database: Database) -> None:
    town, request_id = CallTown(database), "a-request-of-alices"
    call = await town.start("alice", PHONE, GROUP_TALK)
    _, secret = await town.links.create_link(call.call_id, ALICE, 0, request_id)
    await town.lobby.open_link(secret, EVE)
    for word in (secret, request_id):
        assert await where(database, word) == {}
    assert await where(database, EVE)


async def test_the_release_before_takes_the_lobby_for_people_who_went_and_prunes_links_with_their_calls(
    database: Database,
) -> None:
    store, links = PostgresStore(database, lambda *_: None), PostgresLinks(database)
    call = group_call()
    await store.create(call, key(), NEWS)
    await links.add(link_of(call, 1), START, 2)
    for user in (EVE, FAY):
        call = step(call, Knock(user, LINK))
        await store.save(call, NEWS)
    call = step(call, RefuseGuest(BOB, FAY, by_host=True))
    await store.save(call, NEWS)
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT user_id, state, listed FROM participants WHERE user_id IN ('eve', 'fay')")
        assert {(row["user_id"], row["state"], row["listed"]) for row in rows} == {
            ("eve", "gone", False),
            ("fay", "gone", False),
        }
        # Its statement for somebody who came back into the conversation: state, and nothing that it does not know.
        await connection.execute("UPDATE participants SET state = 'out' WHERE user_id = 'eve'")
        found = await store.find(call.call_id)
        assert found is not None
        assert [leg.state for leg in found.legs if leg.user_id in (EVE, FAY)] == [
            LegState.NOT_IN_CALL,
            LegState.REFUSED,
        ]
        # What it does to forget a call.
        for table in ("call_keys", "participants", "active_legs", "calls"):
            await connection.execute(f"DELETE FROM {table} WHERE call_id = $1", call.call_id)
        assert await connection.fetchval("SELECT count(*) FROM join_links") == 0
