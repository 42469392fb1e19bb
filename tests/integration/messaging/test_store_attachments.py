"""The contract of the store of uploads, held by the fake and PostgreSQL, together with the messages that take them."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from services.messaging.attachments.core.uploads import FileCopy, ScanState, Upload, object_key
from services.messaging.attachments.ports import AttachmentStore
from services.messaging.attachments.sql.store import PostgresAttachments
from services.messaging.kernel.content import Text
from services.messaging.kernel.errors import AttachmentNotFound, TooManyUploads
from services.messaging.kernel.model import (
    Attachment,
    AttachmentId,
    Conversation,
    Draft,
    Message,
    MessageId,
    UserId,
)
from services.messaging.kernel.quotas import day_quota
from services.messaging.messages.core import changes
from services.messaging.relations.core.reports import Reason, Report, copy_of
from services.messaging.relations.sql.store import PostgresReports
from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import OutboxRelay
from tests.support.attachments import announced
from tests.support.bus import MemoryPublisher
from tests.support.clock import ManualClock
from tests.support.db import connected
from tests.support.messaging_cases import Store
from tests.support.messaging_postgres import PostgresStore
from tests.support.messaging_store import ALICE, BOB, CAROL, fail, opened, text

DAY = timedelta(days=1)


def draft(
    clock: ManualClock, conversation: Conversation, key: str, *attachments: Attachment, sender: UserId = ALICE
) -> Draft:
    message_id = MessageId(new_id(clock.now()))
    return Draft(message_id, conversation.id, sender, key, clock.now(), Text(""), attachments=attachments)


async def sent(store: Store, one: Draft) -> Message:
    (message,) = await store.append([one])
    assert isinstance(message, Message)
    return message


async def test_an_upload_is_found_by_its_owner_until_a_message_has_it(
    store: Store, uploads: AttachmentStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    upload = await uploads.put_upload(announced(clock.now(), ALICE), 10)
    file = upload.attachment
    assert await uploads.find_uploads(ALICE, [file.id]) == [upload]
    assert await uploads.find_uploads(BOB, [file.id]) == []
    wanted = draft(clock, conversation, "k", file)
    assert not await uploads.is_sent(wanted.key)
    message = await sent(store, wanted)
    assert message.attachments == (file,)
    assert await store.find_message(conversation.id, message.seq) == message
    assert await uploads.is_sent(wanted.key)
    assert await uploads.find_uploads(ALICE, [file.id]) == []


async def test_announcing_again_moves_the_times_alone(
    store: Store, uploads: AttachmentStore, clock: ManualClock
) -> None:
    first = await uploads.put_upload(announced(clock.now(), ALICE), 1)
    clock.advance(60)
    later = announced(clock.now(), ALICE, size_bytes=9)
    again = await uploads.put_upload(later, 1)
    assert (again.attachment, again.put_until, again.unused_until) == (
        first.attachment,
        later.put_until,
        later.unused_until,
    )
    with pytest.raises(TooManyUploads):
        await uploads.put_upload(announced(clock.now(), ALICE, "other"), 1)
    known = await uploads.find_announced(ALICE, "u")
    assert known is not None
    assert known.attachment == first.attachment
    assert await uploads.find_announced(UserId("bob"), "u") is None


async def test_of_two_messages_at_once_one_gets_the_file(
    store: Store, uploads: AttachmentStore, clock: ManualClock
) -> None:
    conversation, other = await opened(store, clock), await opened(store, clock, ALICE, UserId("carol"))
    file = (await uploads.put_upload(announced(clock.now(), ALICE), 10)).attachment
    same_batch = await store.append([draft(clock, conversation, "1", file), draft(clock, conversation, "2", file)])
    assert [isinstance(outcome, Message) for outcome in same_batch] == [True, False]
    file = (await uploads.put_upload(announced(clock.now(), ALICE, "u2"), 10)).attachment
    wanted = [draft(clock, place, f"r{number}", file) for number, place in enumerate((conversation, other) * 3)]
    outcomes = [outcome for (outcome,) in await asyncio.gather(*(store.append([one]) for one in wanted))]
    assert len([outcome for outcome in outcomes if isinstance(outcome, Message)]) == 1
    assert len([outcome for outcome in outcomes if isinstance(outcome, AttachmentNotFound)]) == 5


async def test_unsending_forgets_the_files_and_queues_their_objects_for_deletion(
    store: Store, uploads: AttachmentStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    upload = await uploads.put_upload(announced(clock.now(), ALICE), 10)
    message = await sent(store, draft(clock, conversation, "k", upload.attachment))
    assert await uploads.claim_deletes(clock.now(), clock.now() + DAY, 10) == []
    await store.change_message(
        conversation.id, message.seq, lambda _, found: changes.unsend(found or fail(message), ALICE), clock.now()
    )
    found = await store.find_message(conversation.id, message.seq)
    assert found is not None
    assert found.attachments == ()
    (pending,) = await uploads.claim_deletes(clock.now(), clock.now() + DAY, 10)
    assert (pending.object_key, pending.put_until) == (object_key(upload.attachment.id), upload.put_until)


async def shared(
    uploads: AttachmentStore, clock: ManualClock, message: Message, owner: UserId, key: str, most: int = 10
) -> Upload:
    """A further upload with the bytes of the message's one file."""
    copy = FileCopy(message.attachments[0].id, AttachmentId(new_id(clock.now())), key)
    place = (message.conversation_id, message.seq)
    (upload,) = await uploads.put_copies(owner, place, [copy], clock.now(), clock.now() + DAY, most)
    return upload


async def unsent(store: Store, clock: ManualClock, message: Message) -> None:
    await store.change_message(
        message.conversation_id,
        message.seq,
        lambda _, found: changes.unsend(found or fail(message), message.sender_id),
        clock.now(),
    )


async def claimed_keys(uploads: AttachmentStore, clock: ManualClock) -> list[str]:
    return [each.object_key for each in await uploads.claim_deletes(clock.now(), clock.now() + DAY, 10)]


async def test_a_copy_is_an_upload_of_its_own_with_the_bytes_of_the_first(
    store: Store, uploads: AttachmentStore, clock: ManualClock
) -> None:
    conversation, other = await opened(store, clock), await opened(store, clock, BOB, CAROL)
    upload = await uploads.put_upload(announced(clock.now(), ALICE), 10)
    message = await sent(store, draft(clock, conversation, "k", upload.attachment))
    clock.advance(60)
    copy = await shared(uploads, clock, message, BOB, "\x1fc")
    file = replace(upload.attachment, id=copy.attachment.id, object_id=upload.attachment.id)
    assert copy == replace(
        upload,
        attachment=file,
        owner_id=BOB,
        client_upload_id="\x1fc",
        created_at=clock.now(),
        unused_until=clock.now() + DAY,
    )
    # Again it is the same one.
    assert (await shared(uploads, clock, message, BOB, "\x1fc")).attachment == file
    assert await uploads.find_uploads(BOB, [file.id]) == [copy]
    forwarded = await sent(store, draft(clock, other, "f", file, sender=BOB))
    assert (forwarded.attachments, await store.find_message(other.id, 1)) == ((file,), forwarded)
    # A copy of the copy has the first one's bytes.
    assert (await shared(uploads, clock, forwarded, CAROL, "\x1fd")).attachment.object_id == upload.attachment.id


async def test_an_object_is_deleted_with_the_last_file_that_has_it(
    store: Store, uploads: AttachmentStore, clock: ManualClock
) -> None:
    conversation, other = await opened(store, clock), await opened(store, clock, BOB, CAROL)
    upload = await uploads.put_upload(announced(clock.now(), ALICE), 10)
    message = await sent(store, draft(clock, conversation, "k", upload.attachment))
    copy = await shared(uploads, clock, message, BOB, "\x1fc")
    await shared(uploads, clock, message, BOB, "\x1funused")
    forwarded = await sent(store, draft(clock, other, "f", copy.attachment, sender=BOB))
    await unsent(store, clock, message)
    assert await claimed_keys(uploads, clock) == []
    await unsent(store, clock, forwarded)
    assert await claimed_keys(uploads, clock) == []
    clock.advance(86_400)
    assert await uploads.queue_unused(clock.now(), 10) == 1
    (pending,) = await uploads.claim_deletes(clock.now(), clock.now() + DAY, 10)
    assert (pending.object_key, pending.put_until) == (object_key(upload.attachment.id), upload.put_until)


async def test_no_copy_is_made_of_a_file_that_the_message_has_let_go_of_nor_beyond_what_may_wait(
    store: Store, uploads: AttachmentStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    upload = await uploads.put_upload(announced(clock.now(), ALICE), 10)
    message = await sent(store, draft(clock, conversation, "k", upload.attachment))
    await shared(uploads, clock, message, BOB, "\x1f1", most=1)
    with pytest.raises(TooManyUploads):
        await shared(uploads, clock, message, BOB, "\x1f2", most=1)
    await shared(uploads, clock, message, BOB, "\x1f1", most=1)
    await unsent(store, clock, message)
    with pytest.raises(AttachmentNotFound):
        await shared(uploads, clock, message, BOB, "\x1f3")


async def test_whatever_happens_at_once_no_copy_loses_its_bytes_and_no_bytes_stay(
    store: Store, uploads: AttachmentStore, clock: ManualClock
) -> None:
    """Files are shared, let go of and collected at once, in every order that comes."""
    conversation, other = await opened(store, clock), await opened(store, clock, BOB, CAROL)
    kept: set[str] = set()
    gone: list[str] = []

    async def collect() -> None:
        for _ in range(4):
            gone.extend(await claimed_keys(uploads, clock))
            await asyncio.sleep(0)

    async def pass_on(message: Message, number: int) -> None:
        try:
            copy = await shared(uploads, clock, message, BOB, f"\x1f{number}", most=100)
        except AttachmentNotFound:
            return
        forwarded = await sent(store, draft(clock, other, f"f{number}", copy.attachment, sender=BOB))
        if number % 2:
            await unsent(store, clock, forwarded)
        else:
            kept.add(object_key(message.attachments[0].id))

    messages = []
    for number in range(12):
        upload = await uploads.put_upload(announced(clock.now(), ALICE, f"u{number}"), 100)
        messages.append(await sent(store, draft(clock, conversation, f"k{number}", upload.attachment)))
    jobs = [pass_on(message, number) for number, message in enumerate(messages)]
    jobs += [unsent(store, clock, message) for message in messages]
    await asyncio.gather(*jobs, *(collect() for _ in range(3)))
    # What dead collectors had claimed is due again.
    clock.advance(2 * 86_400)
    gone += await claimed_keys(uploads, clock)
    every = {object_key(message.attachments[0].id) for message in messages}
    assert set(gone) == every - kept


async def test_what_was_reported_keeps_its_files_for_the_moderators(migrated_url: str, clock: ManualClock) -> None:
    async with connected(Database(DatabaseConfig(migrated_url, pool_size=2), MIGRATIONS)) as database:
        store = PostgresStore(database, OutboxRelay(database, MemoryPublisher()), new_id)
        uploads = PostgresAttachments(database)
        conversation = await opened(store, clock)
        upload = await uploads.put_upload(announced(clock.now(), ALICE), 10)
        message = await sent(store, draft(clock, conversation, "k", upload.attachment))
        copies = (copy_of(message),)
        assert copies[0].attachment_ids == (str(upload.attachment.id),)
        report = Report(new_id(clock.now()), BOB, "r", conversation.id, Reason.ABUSE, "", clock.now(), copies)
        await PostgresReports(database).file(report, day_quota(BOB, 5, clock.now()))
        await store.change_message(
            conversation.id, message.seq, lambda _, found: changes.unsend(found or fail(message), ALICE), clock.now()
        )
        assert await uploads.claim_deletes(clock.now(), clock.now() + DAY, 10) == []
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM doomed_objects") == 0


async def test_what_was_reported_in_one_conversation_keeps_its_bytes_when_all_others_let_go(
    migrated_url: str, clock: ManualClock
) -> None:
    async with connected(Database(DatabaseConfig(migrated_url, pool_size=2), MIGRATIONS)) as database:
        store = PostgresStore(database, OutboxRelay(database, MemoryPublisher()), new_id)
        uploads = PostgresAttachments(database)
        conversation, other = await opened(store, clock), await opened(store, clock, BOB, CAROL)
        upload = await uploads.put_upload(announced(clock.now(), ALICE), 10)
        message = await sent(store, draft(clock, conversation, "k", upload.attachment))
        copy = await shared(uploads, clock, message, BOB, "\x1fc")
        forwarded = await sent(store, draft(clock, other, "f", copy.attachment, sender=BOB))
        report = Report(
            *(new_id(clock.now()), CAROL, "r", other.id, Reason.ABUSE, "", clock.now(), (copy_of(forwarded),))
        )
        await PostgresReports(database).file(report, day_quota(CAROL, 5, clock.now()))
        for each in (forwarded, message):
            await unsent(store, clock, each)
            assert await claimed_keys(uploads, clock) == []


async def test_an_object_to_delete_is_one_collectors_until_it_dies_or_puts_it_off(
    store: Store, uploads: AttachmentStore, clock: ManualClock
) -> None:
    upload = await uploads.put_upload(announced(clock.now(), ALICE), 10)
    clock.advance(86_399)
    assert await uploads.queue_unused(clock.now(), 10) == 0
    clock.advance(1)
    assert await uploads.queue_unused(clock.now(), 10) == 1
    assert await uploads.queue_unused(clock.now(), 10) == 0
    key = object_key(upload.attachment.id)

    async def claimed() -> list[str]:
        minute = timedelta(minutes=1)
        return [each.object_key for each in await uploads.claim_deletes(clock.now(), clock.now() + minute, 10)]

    assert await claimed() == [key]
    assert await claimed() == []
    clock.advance(61)
    assert await claimed() == [key]
    await uploads.postpone_deletes({key: clock.now() + timedelta(seconds=5)})
    assert await claimed() == []
    clock.advance(6)
    assert await claimed() == [key]
    await uploads.forget_deletes([key])
    clock.advance(600)
    assert await claimed() == []


async def test_a_file_is_scanned_once_as_the_object_that_was_seen(
    store: Store, uploads: AttachmentStore, clock: ManualClock
) -> None:
    file = (await uploads.put_upload(announced(clock.now(), ALICE), 10)).attachment

    async def claimed() -> list[tuple[str, int]]:
        found = await uploads.claim_scans(clock.now(), clock.now() + timedelta(minutes=1), 10)
        return [(each.etag, each.scan_attempts) for each in found]

    async def scan() -> ScanState:
        (upload,) = await uploads.find_uploads(ALICE, [file.id])
        return upload.scan

    assert await claimed() == []
    assert await scan() is ScanState.NOT_REQUESTED
    await uploads.await_scans({file.id: "one"}, clock.now())
    await uploads.await_scans({file.id: "two"}, clock.now())
    assert await scan() is ScanState.WAITING
    assert await claimed() == [("one", 1)]
    assert await claimed() == []
    clock.advance(61)
    assert await claimed() == [("one", 2)]
    await uploads.postpone_scan(file.id, clock.now() + timedelta(seconds=5))
    assert await claimed() == []
    clock.advance(6)
    assert await claimed() == [("one", 3)]
    await uploads.end_scan(file.id, "two", ScanState.CLEAN)
    assert await scan() is ScanState.WAITING
    assert await uploads.find_digest(file.id) == b""
    await uploads.end_scan(file.id, "one", ScanState.REFUSED, b"d" * 32)
    assert await uploads.find_digest(file.id) == b"d" * 32
    await uploads.end_scan(file.id, "one", ScanState.CLEAN)
    assert await scan() is ScanState.REFUSED
    clock.advance(3600)
    assert await claimed() == []
    again = await uploads.put_upload(announced(clock.now(), ALICE), 10)
    assert again.scan is ScanState.REFUSED


async def test_scans_are_shared(store: Store, uploads: AttachmentStore, clock: ManualClock) -> None:
    files = [(await uploads.put_upload(announced(clock.now(), ALICE, f"u{n}"), 100)).attachment.id for n in range(20)]
    await uploads.await_scans(dict.fromkeys(files, "tag"), clock.now())
    claims = await asyncio.gather(*(uploads.claim_scans(clock.now(), clock.now() + DAY, 10) for _ in range(4)))
    claims.append(await uploads.claim_scans(clock.now(), clock.now() + DAY, 20))
    claimed = [upload.attachment.id for claim in claims for upload in claim]
    assert sorted(claimed) == sorted(files)


async def test_collectors_share_what_is_to_be_done(store: Store, uploads: AttachmentStore, clock: ManualClock) -> None:
    for number in range(20):
        await uploads.put_upload(announced(clock.now(), ALICE, f"u{number}"), 100)
    clock.advance(86_400)
    counts = await asyncio.gather(*(uploads.queue_unused(clock.now(), 10) for _ in range(4)))
    while sum(counts) < 20:
        counts.append(await uploads.queue_unused(clock.now(), 10))
    claims = await asyncio.gather(*(uploads.claim_deletes(clock.now(), clock.now() + DAY, 10) for _ in range(4)))
    keys = [each.object_key for claim in claims for each in claim]
    keys += [each.object_key for each in await uploads.claim_deletes(clock.now(), clock.now() + DAY, 20)]
    assert len(keys) == len(set(keys)) == 20


async def test_a_text_without_files_costs_no_statement_for_them(migrated_url: str, clock: ManualClock) -> None:
    config = DatabaseConfig(migrated_url, pool_size=1)
    async with connected(Database(config, MIGRATIONS)) as database:
        store = PostgresStore(database, OutboxRelay(database, MemoryPublisher()), new_id)
        conversation = await opened(store, clock)
        said: list[str] = []
        async with database.connection() as connection:
            # The pool's one connection keeps it.
            connection.add_query_logger(lambda record: said.append(record.query))
        await store.append([text(clock, conversation, "plain")])
    inserted = [query for query in said if "INSERT INTO messages" in query]
    assert len(inserted) == 1
    assert not [query for query in said if "attachments" in query]
