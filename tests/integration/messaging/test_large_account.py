"""An account of 50,000 conversations and 3,000 requests on PostgreSQL: by counted work, never by time."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from services.messaging.kernel.errors import SyncTokenUnknown, TooManyConversations
from services.messaging.kernel.model import ConversationId, Cursor, PageMark, UserId
from services.messaging.kernel.own_state import OwnChange
from services.messaging.kernel.request import RequestState
from services.messaging.messages.service.group_commit import GroupCommit
from services.messaging.messages.service.rates import SendRates
from services.messaging.receipts.sql import PostgresReceipts
from services.messaging.sync.core.account import Mark, SyncToken, cut_page, token_at
from services.messaging.sync.sql import inboxes
from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import OutboxRelay
from tests.support.account_device import AccountDevice
from tests.support.bus import MemoryPublisher
from tests.support.clock import ManualClock
from tests.support.db import connected
from tests.support.messaging_cases import Cases
from tests.support.messaging_postgres import PostgresStore
from tests.support.messaging_store import founded, text

ALICE = UserId("alice")
CONVERSATIONS, REQUESTS = 50_000, 3_000
# Where every page of all of them is read.
FEWER_CONVERSATIONS, FEWER_REQUESTS = 5_000, 300
# Of the conversations, one message each; the lowest numbers are active longest ago.
FILL = """
WITH conversation AS (
    SELECT n, gen_random_uuid() AS id, 'alice peer' || n AS pair_key,
        timestamptz '2025-01-01' + n * interval '1 minute' AS active_at
    FROM generate_series(1, {conversations} + {requests}) AS n
),
kept AS (
    INSERT INTO conversations (id, kind, pair_key, last_seq, active_at, created_at)
    SELECT id, 'direct', pair_key, 1, active_at, active_at FROM conversation
),
joined AS (
    INSERT INTO members (conversation_id, user_id, joined_at, request)
    SELECT id, who, active_at, CASE WHEN who = 'alice' AND n > {conversations} THEN 'pending' ELSE '' END
    FROM conversation CROSS JOIN LATERAL (VALUES ('alice'), ('peer' || n)) AS person (who)
)
INSERT INTO messages (conversation_id, seq, id, sender_id, client_message_id, sent_at, kind, body)
SELECT id, 1, gen_random_uuid(), 'peer' || n, 'k', active_at, 'text', 'hello' FROM conversation
"""


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    async with connected(Database(DatabaseConfig(migrated_url, pool_size=8), MIGRATIONS)) as started:
        yield started


@pytest.fixture
async def filled(database: Database) -> Database:
    await fill(database, CONVERSATIONS, REQUESTS)
    return database


async def fill(database: Database, conversations: int, requests: int) -> None:
    async with database.connection() as connection:
        await connection.execute(FILL.format(conversations=conversations, requests=requests), timeout=300)
        # As autovacuum does sooner or later.
        await connection.execute("ANALYZE", timeout=300)


@pytest.fixture
def store(database: Database) -> PostgresStore:
    return PostgresStore(database, OutboxRelay(database, MemoryPublisher()), new_id)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def cases(store: PostgresStore, clock: ManualClock) -> Cases:
    return Cases(store, GroupCommit(store, 100), SendRates(), clock, new_id)


async def rows_read(database: Database, statement: str, *arguments: Any) -> int:
    """How many rows of tables and indexes the statement looks at, as it is planned for the service."""
    async with database.connection() as connection, connection.transaction():
        plan = await connection.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) " + statement, *arguments)
    return looked_at(json.loads(plan)[0]["Plan"])


def looked_at(node: dict[str, Any]) -> int:
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    own = (node["Actual Rows"] + removed) * node["Actual Loops"] if "Scan" in node["Node Type"] else 0
    return round(own) + sum(looked_at(child) for child in node.get("Plans", []))


async def test_an_account_of_fifty_thousand_logs_in_syncs_and_stays_in_sync(
    filled: Database, store: PostgresStore, cases: Cases, clock: ManualClock
) -> None:
    device = AccountDevice(ALICE, cases.sync, limit=20)
    await device.log_in()
    # A first screen: a page of each folder, and their messages.
    assert len(list(device.inbox.conversations)) == 200
    assert len(device.pages) == 2
    assert len(device.syncs) <= 4
    assert not device.inbox.conversations.has_gap
    assert sum(len(answer.deltas) for answer in device.syncs) == 200

    # Old, and nowhere on the device.
    async with filled.connection() as connection:
        old = ConversationId(await connection.fetchval("SELECT id FROM conversations WHERE pair_key = 'alice peer17'"))
    found = await store.find_conversation(old)
    assert found is not None
    await store.append([text(clock, found, "news", UserId("peer17"))])
    (answer,) = await device.sync()
    (delta,) = answer.deltas
    assert delta.conversation.conversation_id == str(old)
    assert [message.seq for message in delta.messages] == [1, 2]
    assert answer.ByteSize() < 2_000
    assert not answer.gone_conversation_ids

    # All of it, when it is asked for.
    await device.load_all()
    histories = list(device.inbox.conversations)
    assert len(histories) == CONVERSATIONS + REQUESTS
    pending = [key for key, own in device.inbox.own_states.items() if own.request]
    assert len(pending) == REQUESTS
    assert len(device.pages) <= (CONVERSATIONS + REQUESTS) // 100 + 2

    # And again, with everything in hand.
    await store.append([text(clock, found, "more", UserId("peer17"))])
    (answer,) = await device.sync()
    assert [each.conversation.conversation_id for each in answer.deltas] == [str(old)]
    assert device.inbox.conversations.history(str(old)).cursor == 3


async def test_everything_comes_by_sync_alone_in_bounded_pages(database: Database, cases: Cases) -> None:
    await fill(database, FEWER_CONVERSATIONS, FEWER_REQUESTS)
    total = FEWER_CONVERSATIONS + FEWER_REQUESTS
    device = AccountDevice(ALICE, cases.sync, limit=1, page_size=200)
    answers = await device.sync()
    assert len(answers) == (total + 199) // 200
    assert max(len(answer.deltas) for answer in answers) == 200
    assert max(answer.ByteSize() for answer in answers) < 200_000
    assert len(list(device.inbox.conversations)) == total
    assert not device.inbox.conversations.has_gap
    with pytest.raises(TooManyConversations):
        await cases.sync.sync(ALICE, [], 100, None)


async def test_no_page_looks_at_more_than_it_tells(filled: Database, store: PostgresStore) -> None:
    snapshot = await store.snapshot()
    everything = SyncToken(snapshot.epoch, Mark(-1, ConversationId(new_id(ManualClock().now()))))
    async with filled.connection() as connection:
        middle = await connection.fetchrow(
            "SELECT position, conversation_id FROM inboxes WHERE user_id = 'alice'"
            " ORDER BY position, conversation_id OFFSET 30000 LIMIT 1"
        )
        active = await connection.fetchrow(
            "SELECT active_at, conversation_id FROM inboxes WHERE user_id = 'alice' AND request = ''"
            " ORDER BY active_at OFFSET 20000 LIMIT 1"
        )
    assert middle is not None
    assert active is not None
    far = Mark(middle["position"], ConversationId(middle["conversation_id"]))
    now = Mark(snapshot.oldest_running - 1, ConversationId(middle["conversation_id"]))
    for mark, most in ((everything.mark, 300), (far, 300), (now, 10)):
        for begun_at in (0, snapshot.oldest_running):
            walk = ("alice", mark.position, mark.conversation_id, begun_at, 101, [])
            assert await rows_read(filled, inboxes.WALK, *walk) <= most
    below = PageMark(active["active_at"], ConversationId(active["conversation_id"]))
    for request in (RequestState.ACCEPTED, RequestState.PENDING):
        read = await rows_read(
            filled, inboxes.LIST, *("alice", request.value, below.active_at, below.conversation_id, 101)
        )
        assert read <= 300


async def test_what_commits_late_is_told(database: Database, store: PostgresStore, clock: ManualClock) -> None:
    """Of two sends the later commits first: a number that was given out before a token may become visible after it."""
    early = await founded(store, clock, "early", UserId("bob"))
    late = await founded(store, clock, "late", UserId("carol"))
    async with database.connection() as slow:
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute("UPDATE conversations SET revision = revision + 1 WHERE id = $1", late.id)
        await store.append([text(clock, early, "k", ALICE)])
        page = await store.sync_account(ALICE, None, {}, 10, 100, clock.now())
        whole, part = cut_page(page, 10**6), cut_page(replace(page, has_more=True), 10**6)
        await transaction.commit()
    # A walk that went above what was running ends below it.
    assert part.token.horizon is not None
    rest = cut_page(await store.sync_account(ALICE, part.token, {}, 10, 100, clock.now()), 10**6)
    for token in (whole.token, rest.token):
        catchup = cut_page(await store.sync_account(ALICE, token, {}, 10, 100, clock.now()), 10**6)
        assert late.id in {delta.conversation.id for delta in catchup.deltas}


async def test_many_sends_at_once_and_syncs_among_them_lose_nothing(
    database: Database, store: PostgresStore, cases: Cases, clock: ManualClock
) -> None:
    conversations = [await founded(store, clock, f"k{number}", UserId("bob")) for number in range(20)]
    device = AccountDevice(ALICE, cases.sync, page_size=7)
    await device.log_in()

    async def chatter(turn: int) -> None:
        for number in range(10):
            conversation = conversations[(turn * 7 + number * 3) % len(conversations)]
            await store.append([text(clock, conversation, f"{turn}/{number}", UserId("bob"))])

    async def reading(user: UserId, turn: int) -> None:
        """Receipts of both people, of many conversations at once and in every order."""
        receipts = PostgresReceipts(database, OutboxRelay(database, MemoryPublisher()), new_id)
        order = conversations[turn:] + conversations[:turn]
        for seq in range(1, 8):
            await receipts.move_delivered_cursors(
                user, {conversation.id: seq for conversation in order}, clock.now(), 32
            )
            await asyncio.gather(
                *(receipts.move_read_cursor(conversation.id, user, seq, clock.now()) for conversation in order[:3])
            )

    speaking = [asyncio.create_task(chatter(turn)) for turn in range(6)]
    people = (ALICE, UserId("bob"))
    speaking += [asyncio.create_task(reading(user, turn)) for user in people for turn in (0, 7)]
    while not all(task.done() for task in speaking):
        await device.sync()
    await asyncio.gather(*speaking)
    await device.sync()
    for conversation in conversations:
        stored = await store.find_conversation(conversation.id)
        assert stored is not None
        history = device.inbox.conversations.history(str(conversation.id))
        assert history.cursor == stored.last_seq
        assert history.read_seq == {member.user_id: member.read_seq for member in stored.members}
        # How far one's own devices have got is no news for them.
        bob = next(member for member in stored.members if member.user_id == "bob")
        assert history.delivered_seq["bob"] == bob.delivered_seq


async def test_a_message_to_a_large_group_writes_to_no_members_inbox(
    database: Database, store: PostgresStore, clock: ManualClock
) -> None:
    group = await founded(store, clock, "k", *[UserId(f"member{number}") for number in range(255)])
    pair = await founded(store, clock, "pair", UserId("bob"))

    async def versions(id_: ConversationId) -> list[asyncpg.Record]:
        async with database.connection() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(
                "SELECT ctid, xmin FROM inboxes WHERE conversation_id = $1 ORDER BY user_id", id_
            )
        return rows

    before, pair_before = await versions(group.id), await versions(pair.id)
    await store.append([text(clock, group, str(number)) for number in range(5)])
    await store.append([text(clock, pair, str(number)) for number in range(5)])
    assert len(before) == 256
    assert await versions(group.id) == before
    assert await versions(pair.id) != pair_before


async def test_after_a_restore_the_renewed_epoch_refuses_old_tokens_and_everything_is_told_anew(
    database: Database, store: PostgresStore, cases: Cases, clock: ManualClock
) -> None:
    conversation = await founded(store, clock, "k", UserId("bob"))
    device = AccountDevice(ALICE, cases.sync)
    await device.log_in()
    async with database.connection() as connection:
        await connection.execute("SELECT renew_sync_epoch()")
    with pytest.raises(SyncTokenUnknown):
        await device.sync()
    device.account.begin_anew()
    await device.log_in()
    assert device.inbox.conversations.history(str(conversation.id)).cursor == 1


async def work(database: Database) -> int:
    """Rows of tables that statements have fetched so far; the database has one connection, which tells its own."""
    async with database.connection() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        return int(
            await connection.fetchval(
                "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables"
            )
        )


async def test_no_use_case_reads_all_that_a_person_is_in(migrated_url: str) -> None:
    async with connected(Database(DatabaseConfig(migrated_url, pool_size=1), MIGRATIONS)) as database:
        await fill(database, CONVERSATIONS, REQUESTS)
        store, clock = PostgresStore(database, OutboxRelay(database, MemoryPublisher()), new_id), ManualClock()
        receipts = PostgresReceipts(database, OutboxRelay(database, MemoryPublisher()), new_id)
        listed = await store.list_conversations(ALICE, None, 100, clock.now())
        ids = [row.conversation.id for row in listed]
        token = token_at(await store.snapshot())
        named = dict.fromkeys(ids, Cursor(0))
        everywhere = dict.fromkeys(ids, 1)
        peers = [UserId(f"peer{number}") for number in range(1, 101)]
        conversation = listed[0].conversation
        uses: list[tuple[str, int, Callable[[], Awaitable[object]]]] = [
            ("list", 2_000, lambda: store.list_conversations(ALICE, None, 100, clock.now())),
            ("sync, nothing new", 50, lambda: store.sync_account(ALICE, token, {}, 20, 100, clock.now())),
            ("sync, a page", 5_000, lambda: store.sync_account(ALICE, None, {}, 20, 100, clock.now())),
            ("sync, named", 5_000, lambda: store.sync_account(ALICE, token, named, 20, 100, clock.now())),
            ("cursors", 1_100, lambda: store.has_more_conversations_than(ALICE, 1_000)),
            ("joined", 200, lambda: store.joined_of(ALICE, ids)),
            (
                "delivered",
                2_000,
                lambda: receipts.move_delivered_cursors(ALICE, everywhere, clock.now(), 32),
            ),
            ("read", 50, lambda: receipts.move_read_cursor(ids[0], ALICE, 1, clock.now())),
            ("own state", 50, lambda: store.change_own_state(ids[1], ALICE, OwnChange(pinned=True), clock.now())),
            ("contacts", 1_000, lambda: store.contacts_among(ALICE, peers)),
            ("contacts of a stranger", 1_000, lambda: store.contacts_among(UserId("nobody"), peers)),
            ("send", 100, lambda: store.append([text(clock, conversation, "k1", ALICE)])),
        ]
        for name, most, use in uses:
            before = await work(database)
            await use()
            read = await work(database) - before
            assert read <= most, f"{name}: {read} rows"
