"""The contract of messaging's store, held by the fake and PostgreSQL: what was sent in a conversation, by its kind."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.messaging.attachments.ports import AttachmentStore
from services.messaging.kernel.content import Content, Link, Mention, Text, Voice
from services.messaging.kernel.model import Attachment, AttachmentId, Conversation, Draft, Message, MessageId, UserId
from services.messaging.messages.core import changes
from services.messaging.messages.core.changes import ChangePolicy
from services.messaging.search.core import LISTED, NO_FILTERS, Filters, Has, passes
from services.messaging.search.sql import list_statement
from services.messaging.vanishing.ports import SweepStore
from services.messaging.wire.storage import attachment_bytes, entity_bytes
from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.ids import new_id
from services.runtime.postgres.database import Connection, Database
from services.runtime.postgres.outbox import OutboxRelay
from tests.integration.messaging.test_large_account import looked_at
from tests.support.attachments import announced
from tests.support.bus import MemoryPublisher
from tests.support.clock import ManualClock
from tests.support.db import connected
from tests.support.messaging_cases import Store
from tests.support.messaging_postgres import PostgresStore
from tests.support.messaging_store import ALICE, BOB, CAROL, added, fail, founded, left, opened

LINK = Text("see a.example", (Link(4, 9, "https://a.example/"),))
# Whoever has such a name is no link.
MENTION = Text("@bob", (Mention(0, 4, BOB),))
PLAIN = Text("")
MESSAGES = 20_000
# Links, pictures and other files, among very many texts that mention somebody.
FILL = """
INSERT INTO messages
    (conversation_id, seq, id, sender_id, client_message_id, sent_at, kind, body, entities, attachments)
SELECT $1, 10 + n, gen_random_uuid(), 'alice', 'filled' || n, now(), 'text', 'hello',
    CASE WHEN n % 400 = 0 THEN $2::bytea ELSE $3::bytea END,
    CASE WHEN n % 200 = 1 THEN $4::bytea WHEN n % 2000 = 2 THEN $5::bytea END
FROM generate_series(1, $6::int) AS n
"""
# A partition that has next to nothing in it is read in another way.
FILL_OTHERS = """
INSERT INTO messages (conversation_id, seq, id, sender_id, client_message_id, sent_at, kind, body)
SELECT id, n, gen_random_uuid(), 'alice', 'filled' || n, now(), 'text', 'hello'
FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, 400)) AS other, generate_series(1, 50) AS n
"""


async def file(uploads: AttachmentStore, clock: ManualClock, name: str, content_type: str) -> Attachment:
    upload = announced(clock.now(), ALICE, name)
    named = replace(upload, attachment=replace(upload.attachment, file_name=name, content_type=content_type))
    return (await uploads.put_upload(named, 100)).attachment


async def say(
    store: Store,
    clock: ManualClock,
    conversation: Conversation,
    content: Content,
    *files: Attachment,
    by: UserId = ALICE,
) -> int:
    clock.advance(1)
    id_ = MessageId(new_id(clock.now()))
    draft = Draft(id_, conversation.id, by, str(id_), clock.now(), content, attachments=files)
    (message,) = await store.append([draft])
    assert isinstance(message, Message)
    return message.seq


async def listed(
    store: Store, user: UserId, conversation: Conversation, has: Has, filters: Filters = NO_FILTERS
) -> list[int]:
    """As the service lists it."""
    wanted = replace(filters, has=frozenset({has}))
    found = await store.list_holding(user, conversation.id, has, None, 100, wanted)
    return [message.seq for message in found if passes(message, wanted)]


async def test_each_kind_is_listed_by_itself_the_newest_first(
    store: Store, uploads: AttachmentStore, clock: ManualClock
) -> None:
    conversation, other = await founded(store, clock), await founded(store, clock, "other")
    # Sizes whose bytes are the letters that types are made of.
    picture = replace(await file(uploads, clock, "a.png", "image/png"), size_bytes=0x2F)
    video = await file(uploads, clock, "image audio.mp4", "video/mp4")
    document = await file(uploads, clock, "image.pdf", "application/pdf")
    music = await file(uploads, clock, "a.3gp", "audio/3gpp")
    album = [await file(uploads, clock, f"b{n}", kind) for n, kind in enumerate(("image/png", "text/plain"))]
    spoken = await file(uploads, clock, "a.ogg", "audio/ogg")
    await say(store, clock, other, LINK)
    first = await say(store, clock, conversation, PLAIN, picture)
    for content in (LINK, MENTION, Text("https://b.example/")):
        await say(store, clock, conversation, content)
    for files in ([video], [document], [music], album):
        await say(store, clock, conversation, PLAIN, *files)
    await say(store, clock, conversation, Voice(spoken.id, timedelta(seconds=3)), spoken, by=BOB)
    expected = {
        Has.PICTURE_OR_VIDEO: [first + 7, first + 4, first],
        Has.OTHER_FILE: [first + 7, first + 6, first + 5],
        Has.LINK: [first + 1],
        Has.VOICE: [first + 8],
    }
    assert {has: await listed(store, BOB, conversation, has) for has in LISTED} == expected
    # The store itself finds no others here, so that no page is short for what looks like it.
    for has, seqs in expected.items():
        assert [m.seq for m in await store.list_holding(BOB, conversation.id, has, None, 100)] == seqs
    assert await listed(store, BOB, conversation, Has.VOICE, Filters(sender=ALICE)) == []
    since = Filters(since=clock.now() - timedelta(seconds=2), before=clock.now())
    assert await listed(store, BOB, conversation, Has.OTHER_FILE, since) == [first + 7, first + 6]


async def test_it_comes_in_pages(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    seqs = [await say(store, clock, conversation, content) for content in (LINK, MENTION, LINK, LINK)]
    first = await store.list_holding(BOB, conversation.id, Has.LINK, None, 2)
    rest = await store.list_holding(BOB, conversation.id, Has.LINK, first[-1].seq, 2)
    assert ([m.seq for m in first], [m.seq for m in rest]) == ([seqs[3], seqs[2]], [seqs[0]])


async def test_nobody_is_listed_what_one_may_not_see(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    before = await say(store, clock, conversation, LINK)
    await added(store, clock, conversation, CAROL)
    after = await say(store, clock, conversation, LINK)
    assert await listed(store, BOB, conversation, Has.LINK) == [after, before]
    assert await listed(store, CAROL, conversation, Has.LINK) == [after]
    await left(store, clock, conversation, BOB)
    assert await listed(store, BOB, conversation, Has.LINK) == []
    assert await listed(store, UserId("mallory"), conversation, Has.LINK) == []


async def test_nothing_is_listed_of_what_was_taken_back_edited_away_or_swept(
    store: Store, uploads: AttachmentStore, sweeps: SweepStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    files = [await file(uploads, clock, f"{n}.png", "image/png") for n in range(2)]
    unsent, stays = [await say(store, clock, conversation, LINK, each) for each in files]
    edited = await say(store, clock, conversation, LINK)
    await store.change_message(
        conversation.id, unsent, lambda _, message: changes.unsend(message or fail(unsent), ALICE), clock.now()
    )
    await store.change_message(
        conversation.id,
        edited,
        lambda _, message: changes.edit(message or fail(edited), ALICE, Text("no"), clock.now(), ChangePolicy()),
        clock.now(),
    )
    assert await listed(store, BOB, conversation, Has.LINK) == [stays]
    assert await listed(store, BOB, conversation, Has.PICTURE_OR_VIDEO) == [stays]
    clock.advance(1)
    await sweeps.delete_old(conversation.id, clock.now(), clock.now(), 100)
    assert await listed(store, BOB, conversation, Has.LINK) == []


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    async with connected(Database(DatabaseConfig(migrated_url, pool_size=2), MIGRATIONS)) as started:
        yield started


async def test_a_page_looks_at_no_more_messages_than_it_shows(database: Database, clock: ManualClock) -> None:
    store = PostgresStore(database, OutboxRelay(database, MemoryPublisher()), new_id)
    conversation = await added(store, clock, await founded(store, clock), CAROL)
    picture, document = (
        attachment_bytes([Attachment(AttachmentId(new_id(clock.now())), name, content_type, 1_000)])
        for name, content_type in (("a.png", "image/png"), ("a.pdf", "application/pdf"))
    )
    files = (entity_bytes(LINK), entity_bytes(MENTION), picture, document)
    looked = {}
    async with database.connection() as connection:
        await connection.execute(FILL, conversation.id, *files, MESSAGES)
        await connection.execute(FILL_OTHERS)
        # Of its old messages she is shown none.
        await connection.execute("UPDATE members SET visible_after_seq = $1 WHERE user_id = $2", MESSAGES - 300, CAROL)
        await connection.execute("ANALYZE")
        for has in LISTED:
            for user in (BOB, CAROL):
                looked[has, user] = looked_at(await _plan(connection, has, conversation, user, 21))
    # The three members are looked at beside.
    assert {key for key, count in looked.items() if count > 3 + (21 if key[1] == BOB else 2)} == set()


async def _plan(connection: Connection, has: Has, conversation: Conversation, user: UserId, limit: int) -> Any:
    """Of the statement as the service runs it: planned once for all values."""
    types = "uuid, text, bigint, bigint, text, timestamptz, timestamptz"
    await connection.execute(f"PREPARE page ({types}) AS {list_statement(has)}")
    values = f"'{conversation.id}', '{user}', {2**63 - 1}, {limit}, '', NULL, NULL"
    plan = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE page ({values})")
    await connection.execute("DEALLOCATE page")
    return json.loads(plan)[0]["Plan"]
