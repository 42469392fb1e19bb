"""The code of the release before must run on the schema of this one: replicas of both serve during an update."""

import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from services.messaging.conversations.sql.own_states import load_own_states
from services.messaging.kernel.model import ConversationId, Cursor, UserId
from services.messaging.sync.core.account import token_at
from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database
from services.runtime.postgres.migrations import migrate
from services.runtime.postgres.outbox import OutboxRelay
from tests.support.bus import MemoryPublisher
from tests.support.db import connected
from tests.support.messaging_postgres import PostgresStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)

# What the code before 0002 says to the database, and enough of what it reads.
OLD_INSERT_CONVERSATION = (
    "INSERT INTO conversations (id, kind, pair_key, active_at, created_at) VALUES ($1, $2, $3, $4, $4)"
    " ON CONFLICT (pair_key) DO NOTHING RETURNING id"
)
OLD_INSERT_MEMBER = "INSERT INTO members (conversation_id, user_id, joined_at) VALUES ($1, $2, $3)"
OLD_INSERT_MESSAGE = (
    "WITH row AS (SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[],"
    " $6::timestamptz[], $7::text[], $8::text[], $9::bytea[])"
    " AS r (conversation_id, seq, id, sender_id, client_message_id, sent_at, kind, body, call)),"
    " counted AS (UPDATE conversations c SET last_seq = top.seq, active_at = greatest(c.active_at, top.sent_at)"
    " FROM (SELECT conversation_id, max(seq) AS seq, max(sent_at) AS sent_at FROM row GROUP BY 1) AS top"
    " WHERE c.id = top.conversation_id)"
    " INSERT INTO messages (conversation_id, seq, id, sender_id, client_message_id, sent_at, kind, body, call)"
    " SELECT conversation_id, seq, id, sender_id, client_message_id, sent_at, kind, body, call FROM row"
)
OLD_READ = (
    "SELECT c.*, m.user_id, m.joined_at, m.read_seq FROM conversations c"
    " JOIN members m ON m.conversation_id = c.id WHERE c.id = ANY($1) ORDER BY c.id, m.user_id"
)

# And the code before 0006: who is told what of a send and a read.
INSERT_BEFORE_0006 = (
    "WITH row AS (SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[],"
    " $6::timestamptz[], $7::text[], $8::text[], $9::bytea[], $10::bytea[], $11::bytea[], $12::bigint[])"
    " AS r (conversation_id, seq, id, sender_id, client_message_id, sent_at, kind, body, entities, call, line,"
    " reply_to_seq)), counted AS (UPDATE conversations c SET last_seq = top.seq FROM (SELECT conversation_id,"
    " max(seq) AS seq FROM row GROUP BY 1) AS top WHERE c.id = top.conversation_id)"
    " INSERT INTO messages (conversation_id, seq, id, sender_id, client_message_id, sent_at, kind, body, entities,"
    " call, line, reply_to_seq) SELECT conversation_id, seq, id, sender_id, client_message_id, sent_at, kind, body,"
    " entities, call, line, reply_to_seq FROM row"
)
READ_BEFORE_0006 = (
    "UPDATE members m SET read_seq = LEAST($3, c.last_seq), read_moved_at = $4 FROM conversations c"
    " WHERE c.id = m.conversation_id AND m.conversation_id = $1 AND m.user_id = $2"
    " AND m.read_seq < LEAST($3, c.last_seq) RETURNING m.read_seq"
)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with connected(Database(DatabaseConfig(database_url, pool_size=2), MIGRATIONS)) as started:
        yield started


async def test_the_release_before_writes_and_reads_on_this_schema(database: Database) -> None:
    conversation = uuid4()
    async with database.connection() as connection:
        assert (
            await connection.fetchval(OLD_INSERT_CONVERSATION, conversation, "direct", "alice bob", NOW) == conversation
        )
        for user in ("alice", "bob"):
            await connection.execute(OLD_INSERT_MEMBER, conversation, user, NOW)
        message = ([conversation], [1], [uuid4()], ["alice"], ["k"], [NOW], ["text"], ["hello"], [None])
        await connection.execute(OLD_INSERT_MESSAGE, *message)
        rows = await connection.fetch(OLD_READ, [conversation])
    assert [(row["user_id"], row["last_seq"], row["read_seq"]) for row in rows] == [("alice", 1, 0), ("bob", 1, 0)]


async def test_the_release_before_0006_sends_and_reads_on_this_schema(database: Database) -> None:
    conversation = uuid4()
    async with database.connection() as connection:
        await connection.execute(OLD_INSERT_CONVERSATION, conversation, "direct", "alice bob", NOW)
        for user in ("alice", "bob"):
            await connection.execute(OLD_INSERT_MEMBER, conversation, user, NOW)
        # Even where this release made messages vanish: what the other wrote meanwhile stays.
        await connection.execute("UPDATE conversations SET vanish_after_s = 300, history_start_seq = 0")
        row = (
            [conversation],
            [1],
            [uuid4()],
            ["alice"],
            ["k"],
            [NOW],
            ["text"],
            ["hello"],
            [None],
            [None],
            [None],
            [0],
        )
        await connection.execute(INSERT_BEFORE_0006, *row)
        assert await connection.fetchval(READ_BEFORE_0006, conversation, "bob", 5, NOW) == 1
        # What the old code moved is one's own cursor too.
        own = await load_own_states(connection, UserId("bob"), [ConversationId(conversation)], NOW)
    assert [(state.read_seq, state.unread) for state in own.values()] == [(1, 0)]


async def test_what_the_release_before_wrote_is_there_for_this_one(database: Database) -> None:
    conversation = uuid4()
    async with database.connection() as connection:
        await connection.execute(OLD_INSERT_CONVERSATION, conversation, "direct", "alice bob", NOW)
        await connection.execute(OLD_INSERT_MEMBER, conversation, "alice", NOW)
        row = await connection.fetchrow(
            "SELECT c.revision, c.title, m.role, m.visible_after_seq, c.blocked, m.request FROM conversations c"
            " JOIN members m ON m.conversation_id = c.id"
        )
    assert row is not None
    assert tuple(row) == (0, "", "member", 0, False, "")


async def test_migrations_are_applied_once_in_order_and_refuse_a_changed_file(database_url: str) -> None:
    folder = MIGRATIONS
    async with asyncpg.create_pool(database_url, min_size=1, max_size=2) as pool:
        applied = await migrate(pool, folder)
        assert applied == sorted(path.name for path in folder.glob("*.sql"))
        assert await migrate(pool, folder) == []
        await pool.execute("UPDATE schema_migrations SET sha256 = 'other' WHERE name LIKE '0001%'")
        with pytest.raises(RuntimeError, match="has changed since"):
            await migrate(pool, folder)


async def test_what_was_there_before_the_inboxes_is_in_them(database_url: str, tmp_path: Path) -> None:
    before = tmp_path / "before"
    before.mkdir()
    for path in sorted(MIGRATIONS.glob("*.sql")):
        if path.name < "0013":
            shutil.copy(path, before)
    pair, group, left = uuid4(), uuid4(), uuid4()
    async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as pool:
        await migrate(pool, before)
        for conversation, kind, people in ((pair, "direct", 2), (group, "group", 20), (left, "group", 3)):
            await pool.execute(OLD_INSERT_CONVERSATION, conversation, kind, str(conversation), NOW)
            for number in range(people):
                await pool.execute(OLD_INSERT_MEMBER, conversation, f"person{number:02}", NOW)
        await pool.execute("UPDATE members SET request = 'pending' WHERE conversation_id = $1", pair)
        await pool.execute("DELETE FROM members WHERE conversation_id = $1 AND user_id = 'person00'", left)
        await migrate(pool, MIGRATIONS)
        rows = await pool.fetch("SELECT * FROM inboxes WHERE user_id = 'person00'")
        assert {row["conversation_id"]: (row["request"], row["gone"], row["large"]) for row in rows} == {
            pair: ("pending", False, False),
            group: ("", False, True),
            left: ("", True, False),
        }


async def test_what_the_release_before_writes_is_told_by_a_token(database: Database) -> None:
    store = PostgresStore(database, OutboxRelay(database, MemoryPublisher()), new_id)
    conversation, alice = uuid4(), UserId("alice")
    token = token_at(await store.snapshot())
    async with database.connection() as connection:
        await connection.execute(OLD_INSERT_CONVERSATION, conversation, "direct", "alice bob", NOW)
        for user in ("alice", "bob"):
            await connection.execute(OLD_INSERT_MEMBER, conversation, user, NOW)
    page = await store.sync_account(alice, token, {}, 10, 10, NOW)
    assert [step.mark.conversation_id for step in page.steps] == [conversation]
    token = token_at(await store.snapshot())
    message = ([conversation], [1], [uuid4()], ["bob"], ["k"], [NOW], ["text"], ["hello"], [None])
    async with database.connection() as connection:
        await connection.execute(OLD_INSERT_MESSAGE, *message)
    page = await store.sync_account(alice, token, {}, 10, 10, NOW)
    assert [message.seq for step in page.steps if step.delta for message in step.delta.messages] == [1]
    token = token_at(await store.snapshot())
    async with database.connection() as connection:
        await connection.execute(READ_BEFORE_0006, conversation, "bob", 1, NOW)
    page = await store.sync_account(alice, token, {ConversationId(conversation): Cursor(1)}, 10, 10, NOW)
    (delta,) = [step.delta for step in page.steps if step.delta]
    assert [member.read_seq for member in delta.conversation.members] == [0, 1]
