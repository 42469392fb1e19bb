"""A restored database, and `python -m services.ops delete-again`, in a whole stack."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from parley.messaging.v1 import accounts_pb2 as accounts

from deploy.embedded.record import StackRecord
from parley_client.calls import ENDED
from tests.integration.api.conftest import DEADLINE_S, World, send
from tests.integration.api.test_calls import until_call
from tests.support.ops_command import run_ops
from tests.support.waiting import eventually

# What a deletion erases in each database, by a column that names the person.
ROWS = {
    "parley_messaging": ("own_states", "user_id"),
    "parley_signaling": ("participants", "user_id"),
    "parley_presence": ("user_states", "user_id"),
}
# A deletion is there from its first notice until all is erased after its last one.
UNDER_WAY = "SELECT EXISTS (SELECT FROM erasures WHERE user_id = $1)"


class Databases:
    """All databases of a stack."""

    def __init__(self, connections: dict[str, asyncpg.Connection[asyncpg.Record]]) -> None:
        self.of = connections

    async def count(self, database: str, user_id: str) -> int:
        """How many rows of ROWS are the person's."""
        table, column = ROWS[database]
        query = f"SELECT count(*) FROM {table} WHERE {column} = $1"
        return int(await self.of[database].fetchval(query, user_id))


@pytest.fixture
async def databases(record: StackRecord) -> AsyncIterator[Databases]:
    connections = {name: await asyncpg.connect(url) for name, url in record.database_urls.items()}
    yield Databases(connections)
    for connection in connections.values():
        await connection.close()


async def until_erased(databases: Databases, user_id: str) -> None:
    """Returns once nothing of the person is left, nor a deletion that would erase once more what comes back."""

    async def is_erased() -> bool:
        under_way = await databases.of["parley_signaling"].fetchval(UNDER_WAY, user_id)
        return not under_way and not any([await databases.count(name, user_id) for name in ROWS])

    await eventually(is_erased, what="nothing of the person in any database, and their deletion at its end")


async def delete_again(record_path: Path) -> str:
    """Runs the command; what it printed."""
    status, output, complaints = await run_ops({}, "delete-again", "--stack", str(record_path))
    assert status == 0, complaints + output
    return output


async def test_who_was_deleted_since_the_backup_is_deleted_again(
    world: World, record: StackRecord, databases: Databases, tmp_path: Path
) -> None:
    alice, bob, conversation = await world.pair_online()
    await send(alice.device, conversation, "before the backup")
    call = await alice.phone.start(conversation)
    await bob.phone.until_ring(DEADLINE_S)
    await bob.phone.decline(call.call_id)
    await until_call(alice, call.call_id, ENDED)
    backup = await rows_of(databases, "parley_signaling", alice.user_id)
    await alice.device.account.DeleteAccount(accounts.DeleteAccountRequest(confirm_user_id=alice.user_id))
    await until_erased(databases, alice.user_id)
    # The databases of before are back: messaging's knows no deletion, signaling's and presence's have the old rows.
    messaging, signaling = databases.of["parley_messaging"], databases.of["parley_signaling"]
    await messaging.execute("DELETE FROM account_jobs WHERE user_id = $1", alice.user_id)
    own = "INSERT INTO own_states (user_id, conversation_id, changed_at) VALUES ($1, $2, now())"
    await messaging.execute(own, alice.user_id, conversation)
    await signaling.executemany(
        "INSERT INTO participants SELECT * FROM jsonb_populate_record(NULL::participants, $1::jsonb)",
        [(row,) for row in backup],
    )
    # The device that is leaving may write a last state of its own, which the end of the deletion erases once more.
    state = "INSERT INTO user_states (user_id, partition, standing, changed_time) VALUES ($1, 0, 0, now())"
    await databases.of["parley_presence"].execute(f"{state} ON CONFLICT DO NOTHING", alice.user_id)
    assert all([await databases.count(name, alice.user_id) for name in ROWS if name != "parley_presence"])
    path = tmp_path / "stack.json"
    record.write(path)
    assert "accounts are deleted again" in await delete_again(path)
    await until_erased(databases, alice.user_id)


async def rows_of(databases: Databases, name: str, user_id: str) -> list[str]:
    """The person's rows, as they are in a backup."""
    table, column = ROWS[name]
    query = f"SELECT to_jsonb(t)::text AS row FROM {table} t WHERE {column} = $1"
    return [str(row["row"]) for row in await databases.of[name].fetch(query, user_id)]
