"""The contract of messaging's store, held by the fake and PostgreSQL: what each person keeps, and search."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.messaging.attachments.core.uploads import Upload
from services.messaging.attachments.ports import AttachmentStore
from services.messaging.kernel.content import Link, Mention, Text
from services.messaging.kernel.model import (
    Conversation,
    Draft,
    Message,
    MessageId,
    UserId,
)
from services.messaging.kernel.own_state import OwnChange, OwnState
from services.messaging.messages.core import changes
from services.messaging.messages.core.changes import ChangePolicy
from services.messaging.receipts.ports import ReceiptStore
from services.messaging.search.core import INDEX_VERSION, Filters, Has, passes, query_of
from services.messaging.search.service import Reindexer
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import OutboxRelay
from tests.support.attachments import announced
from tests.support.bus import MemoryPublisher
from tests.support.clock import ManualClock
from tests.support.messaging_cases import Store
from tests.support.messaging_memory import MemoryStore
from tests.support.messaging_postgres import PostgresStore
from tests.support.messaging_store import ALICE, BOB, CAROL, added, fail, founded, left, own, text
from tests.support.search_table import SEARCH_TABLE


async def test_what_one_sets_stays_and_is_ones_own(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    week = clock.now() + timedelta(days=7)
    for change in (OwnChange(pinned=True), OwnChange(mute_until=week), OwnChange(marked_unread=True)):
        state = await store.change_own_state(conversation.id, ALICE, change, clock.now())
    assert state == OwnState(pinned=True, marked_unread=True, muted_until=week)
    assert await own(store, clock, ALICE, conversation) == state
    assert await own(store, clock, BOB, conversation) == OwnState()
    assert await store.change_own_state(conversation.id, CAROL, OwnChange(pinned=True), clock.now()) is None
    unmuted = await store.change_own_state(conversation.id, ALICE, OwnChange(mute_until=clock.now()), clock.now())
    assert unmuted == OwnState(pinned=True, marked_unread=True)


async def test_unread_counts_what_others_wrote_and_still_stands(
    store: Store, receipts: ReceiptStore, clock: ManualClock
) -> None:
    conversation = await founded(store, clock)
    sent = await store.append(
        [text(clock, conversation, str(number), sender) for number, sender in enumerate([BOB, BOB, ALICE, BOB])]
    )
    assert [(await own(store, clock, user, conversation)).unread for user in (ALICE, BOB)] == [3, 1]
    await store.change_message(
        conversation.id, 2, lambda _, message: changes.unsend(message or fail(sent), BOB), clock.now()
    )
    assert (await own(store, clock, ALICE, conversation)).unread == 2
    await receipts.move_read_cursor(conversation.id, ALICE, 3, clock.now())
    assert (await own(store, clock, ALICE, conversation)).unread == 1
    await added(store, clock, conversation, CAROL)
    assert (await own(store, clock, CAROL, conversation)).unread == 0


def named(upload: Upload, name: str, content_type: str) -> Upload:
    return replace(upload, attachment=replace(upload.attachment, file_name=name, content_type=content_type))


async def said(store: Store, clock: ManualClock, conversation: Conversation, *texts: str) -> None:
    """Texts, a second apart, and findable."""
    for number, words in enumerate(texts):
        clock.advance(1)
        draft = Draft(MessageId(new_id(clock.now())), conversation.id, ALICE, f"s{number}", clock.now(), Text(words))
        (message,) = await store.append([draft])
        assert isinstance(message, Message)
        await store.index_words([(conversation.id, message.seq)])


async def found(store: Store, user: UserId, query: str, conversation: Conversation | None = None) -> list[int]:
    within = conversation.id if conversation else None
    return [message.seq for message in await store.search(user, query_of(query), within, None, 10)]


@pytest.mark.parametrize(
    ("text_said", "query"),
    [
        ("Das Café schließt", "cafe SCHLIESST"),
        ("السَّلامُ عليكم", "السلام"),
        ("أهلاً وسهلا", "اهلا"),
        ("Ｆｕｌｌ ｗｉｄｔｈ", "full width"),
        ("it's 3pm; DROP TABLE messages; --", "drop table"),
        ("number 42 is up", "42 nu"),
        ("naïve coöperation", "naive coop"),
        ("明日は東京都に行く", "京都"),
        ("明日は東京都に行く", "く"),
        ("พรุ่งนี้ไปกรุงเทพ", "กรุงเทพ"),
    ],
)
async def test_a_text_is_found_by_its_words_in_any_form(
    store: Store, clock: ManualClock, text_said: str, query: str
) -> None:
    conversation = await founded(store, clock)
    await said(store, clock, conversation, text_said, "something else")
    assert await found(store, BOB, query) == [2]
    assert await found(store, BOB, query + " nowhere") == []


async def test_the_newest_come_first_in_pages(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    await said(store, clock, conversation, "one fish", "two fish", "red fish", "blue fish")
    first = await store.search(BOB, query_of("fish"), None, None, 3)
    rest = await store.search(BOB, query_of("fish"), conversation.id, first[-1].id, 3)
    assert [message.seq for message in (*first, *rest)] == [5, 4, 3, 2]


async def test_a_search_is_narrowed_down_by_who_when_and_what_beside_the_words(
    store: Store, uploads: AttachmentStore, clock: ManualClock
) -> None:
    conversation = await founded(store, clock)
    link = Text("fish at a.example", (Link(8, 9, "https://a.example/"),))
    mention = Text("fish @bob", (Mention(5, 4, BOB),))
    files = [
        (await uploads.put_upload(named(announced(clock.now(), ALICE, name), name, content_type), 10)).attachment
        for name, content_type in (("a.png", "image/png"), ("b.pdf", "application/pdf"), ("c.mp4", "video/mp4"))
    ]
    said_with = [(link, ()), (mention, ()), *((Text("fish"), (file,)) for file in files)]
    times = []
    for number, (content, attachments) in enumerate(said_with):
        clock.advance(1)
        times.append(clock.now())
        sender = BOB if number == 1 else ALICE
        one = Draft(
            *(MessageId(new_id(clock.now())), conversation.id, sender, f"s{number}", clock.now(), content),
            attachments=attachments,
        )
        (message,) = await store.append([one])
        assert isinstance(message, Message)
        await store.index_words([(conversation.id, message.seq)])

    async def narrowed(*has: Has, **others: Any) -> list[int]:
        filters = Filters(has=frozenset(has), **others)
        found = await store.search(BOB, query_of("fish"), None, None, 10, filters)
        return [message.seq for message in found if passes(message, filters)]

    assert await narrowed() == [6, 5, 4, 3, 2]
    assert await narrowed(Has.LINK) == [2]
    assert await narrowed(Has.FILE) == [6, 5, 4]
    assert await narrowed(Has.PICTURE) == [4]
    assert await narrowed(Has.VIDEO, Has.FILE) == [6]
    assert await narrowed(Has.PICTURE, Has.LINK) == []
    assert await narrowed(Has.PICTURE_OR_VIDEO) == [6, 4]
    assert await narrowed(Has.OTHER_FILE) == [5]
    assert await narrowed(Has.VOICE) == []
    assert await narrowed(sender=BOB) == [3]
    assert await narrowed(sender=CAROL) == []
    assert await narrowed(since=times[1], before=times[3]) == [4, 3]
    assert await narrowed(Has.FILE, sender=ALICE, before=times[3]) == [4]


async def test_nobody_finds_what_one_may_not_see(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    other = await founded(store, clock, "other")
    await said(store, clock, conversation, "secret one")
    await added(store, clock, conversation, CAROL)
    await said(store, clock, conversation, "secret one", "secret two")
    assert await found(store, CAROL, "secret") == [4]
    assert await found(store, BOB, "secret", other) == []
    await left(store, clock, conversation, BOB)
    assert await found(store, BOB, "secret") == []


async def test_an_edited_text_is_found_by_its_new_words_and_an_unsent_one_not_at_all(
    store: Store, clock: ManualClock
) -> None:
    conversation = await founded(store, clock)
    await said(store, clock, conversation, "meet at noon")
    await store.change_message(
        conversation.id,
        2,
        lambda _, message: changes.edit(message or fail(2), ALICE, Text("meet at six"), clock.now(), ChangePolicy()),
        clock.now(),
    )
    assert await found(store, BOB, "noon") == []
    await store.index_words([(conversation.id, 2)])
    assert (await found(store, BOB, "six"), await found(store, BOB, "noon")) == ([2], [])
    await store.change_message(
        conversation.id, 2, lambda _, message: changes.unsend(message or fail(2), ALICE), clock.now()
    )
    # A late event of the sending indexes nothing.
    await store.index_words([(conversation.id, 2)])
    assert await found(store, BOB, "six") == []


async def test_words_of_every_script_are_found_and_others_are_not(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    await said(store, clock, conversation, *(case.text for case in SEARCH_TABLE))
    wrong = []
    for seq, case in enumerate(SEARCH_TABLE, 2):
        for query in (*case.found, *case.missed):
            answers = await store.search(BOB, query_of(query), conversation.id, None, 100)
            if (seq in {message.seq for message in answers}) is not (query in case.found):
                wrong.append((case.script, query))
    assert wrong == []


async def test_a_text_of_towers_of_marks_is_indexed(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    await said(store, clock, conversation, "ก" + "\u0e48" * 5_000 + " e" + "\u0301" * 4_000, "-".join("x" * 3_000))
    assert await found(store, BOB, "e") == [2]
    assert await found(store, BOB, "ก") == [2]
    assert await found(store, BOB, "x") == [3]


async def test_what_an_older_release_indexed_is_indexed_anew(truth: MemoryStore | Database, clock: ManualClock) -> None:
    if isinstance(truth, MemoryStore):
        # It makes the words when it is asked.
        assert await truth.index_old(10) == 0
        return
    store = PostgresStore(truth, OutboxRelay(truth, MemoryPublisher()), new_id)
    conversation = await founded(store, clock)
    await said(store, clock, conversation, "हिन्दी में", "gone", "한국어")
    async with truth.connection() as connection:
        # As the release before wrote them, and words whose text is no more.
        await connection.execute("UPDATE message_words SET form = 1, words = array_to_tsvector('{old}'::text[])")
        await connection.execute("UPDATE messages SET kind = 'unsent', body = '' WHERE seq = 3")
    assert await found(store, BOB, "हिन्दी") == []
    assert await Reindexer(store).index() == 3
    assert (await found(store, BOB, "हिन्दी"), await found(store, BOB, "한국어")) == ([2], [4])
    assert await found(store, BOB, "old") == []
    assert await Reindexer(store).index() == 0
    async with truth.connection() as connection:
        assert await connection.fetchval("SELECT array_agg(form ORDER BY seq) FROM message_words") == [
            INDEX_VERSION,
            INDEX_VERSION,
        ]
