"""Keys in PostgreSQL: the store's contract, and what the end of a call and a sign-out leave of them."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from services.runtime.identity.accounts import Standing
from services.signaling.core.model import CallId, UserId
from services.signaling.keys.core import Account, CallKey, Device, SealedKey, remove
from services.signaling.keys.ports import KeyStore
from services.signaling.keys.sql import PostgresKeys
from services.signaling.sql.store import PostgresStore
from tests.integration.signaling.bench import NEWS, key
from tests.integration.signaling.conftest import open_database
from tests.integration.signaling.test_links import group_call
from tests.support.account_lives import DEVICE, CallTown
from tests.unit.signaling.fake_keys import FakeKeys
from tests.unit.signaling.fakes import ALICE, BOB, LAPTOP, PHONE, START

FIRST = Device(PHONE, b"signing", b"kem", START, b"signature", b"sealed")
SECOND = Device(LAPTOP, b"signing 2", b"kem 2", START, b"", b"")


@pytest.fixture
async def stores(store_url: str | None) -> AsyncIterator[tuple[KeyStore, CallId]]:
    """A store of keys, and a call that is known beside it; of the call, Alice's phone alone is in it."""
    call = group_call()
    if store_url is None:
        yield FakeKeys(), call.call_id
        return
    database = await open_database(store_url)
    await PostgresStore(database, lambda *_: None).create(call, key(), NEWS)
    yield PostgresKeys(database, lambda *_: None), call.call_id
    await database.stop()


async def test_an_account_is_kept_as_it_was_changed(stores: tuple[KeyStore, CallId]) -> None:
    keys, _ = stores
    account = Account(ALICE, 1, b"account", (SECOND, FIRST))
    for after in (
        account,
        replace(account, version=2, devices=(replace(FIRST, kem_key=b"kem 3"),)),
        remove(account, []),
    ):
        assert await keys.change(ALICE, lambda _, after=after: after, NEWS) == after
        assert await keys.list_accounts([BOB, ALICE]) == [after]
    left = await keys.change(ALICE, lambda before: before and remove(before, [LAPTOP, PHONE]), NEWS)
    assert await keys.list_accounts([ALICE]) == [left] == [Account(ALICE, 1, b"account")]
    assert await keys.change(BOB, lambda _: None, NEWS) is None


async def test_the_newest_sealed_key_of_each_sender_is_kept(stores: tuple[KeyStore, CallId]) -> None:
    keys, call_id = stores

    def sealed(epoch: int, value: bytes) -> CallKey:
        return CallKey(call_id, BOB, LAPTOP, epoch, SealedKey(ALICE, PHONE, value))

    for epoch, value in ((7, b"new"), (7, b"again"), (6, b"late")):
        await keys.pass_on([(sealed(epoch, value), NEWS[0])])
    assert await keys.list_call_keys(call_id, ALICE, PHONE) == [sealed(7, b"new")]
    assert await keys.list_call_keys(call_id, ALICE, LAPTOP) == []


async def test_a_call_that_ends_leaves_no_sealed_key(database_url: str) -> None:
    database = await open_database(database_url)
    town = CallTown(database)
    await town.live()
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM sealed_call_keys") == 2
    for person, device in (("alice", DEVICE), ("bob", "tablet-1"), ("carol", "tablet-1")):
        await town.service.leave_call(town.group_call.call_id, UserId(person), device)  # type: ignore[arg-type]
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM sealed_call_keys") == 0
    await database.stop()


async def test_a_device_that_is_signed_out_has_no_keys_any_more(database_url: str) -> None:
    database = await open_database(database_url)
    town = CallTown(database)
    await town.live()
    later = town.clock.now().timestamp() + 1
    await town.lifecycle.note(UserId("alice"), Standing(devices={DEVICE: later}))
    (account,) = await town.keys.of_own(UserId("alice"), [UserId("alice")])
    assert (account.version, account.devices) == (1, ())
    await database.stop()
