"""The contract of view-once messages and who opened them, held by the fake and PostgreSQL."""

import asyncio
from datetime import timedelta

import pytest

from services.messaging.attachments.core.view_once import KEPT, RETRY, Opened, Opening, open_once
from services.messaging.attachments.ports import AttachmentStore, OpeningStore
from services.messaging.kernel.content import Expired, Text, Unsent, Voice
from services.messaging.kernel.errors import AlreadyOpened, AttachmentNotFound, ConversationNotFound
from services.messaging.kernel.model import Conversation, Cursor, Draft, Message, MessageId, UserId
from services.messaging.messages.core import changes
from services.messaging.search.core import Has
from services.messaging.vanishing.core import set_vanishing
from services.messaging.vanishing.ports import SweepStore
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database
from tests.support.attachments import announced
from tests.support.clock import ManualClock
from tests.support.messaging_cases import Store
from tests.support.messaging_news import News
from tests.support.messaging_store import ALICE, BOB, CAROL, fail, founded, left, opened, reacted, stamp

TTL = timedelta(minutes=5)
DAY = timedelta(days=1)


async def shown(
    store: Store,
    uploads: AttachmentStore,
    clock: ManualClock,
    conversation: Conversation,
    key: str = "once",
    *,
    spoken: bool = False,
    sender: UserId = ALICE,
) -> Message:
    """Somebody sends a picture, or a voice message, to be opened once."""
    file = (await uploads.put_upload(announced(clock.now(), sender, key), 10)).attachment
    content = Voice(file.id, timedelta(seconds=2), b"loud") if spoken else Text("")
    message_id = MessageId(new_id(clock.now()))
    draft = Draft(message_id, conversation.id, sender, key, clock.now(), content, attachments=(file,), view_once=True)
    (sent,) = await store.append([draft])
    assert isinstance(sent, Message)
    return sent


async def looked(
    openings: OpeningStore, clock: ManualClock, conversation: Conversation, seq: int, user: UserId, key: str = "r"
) -> Message:
    wanted = Opening(user, key, clock.now())

    def decide(conversation: Conversation, message: Message | None, former: Opening | None) -> Opened | None:
        return open_once(conversation, message, former, wanted, TTL)

    return await openings.open_once(conversation.id, seq, user, decide, clock.now())


async def test_openings_come_with_their_message_in_their_order(
    store: Store, uploads: AttachmentStore, openings: OpeningStore, news: News, clock: ManualClock
) -> None:
    conversation = await founded(store, clock, "k", BOB, CAROL)
    sent = await shown(store, uploads, clock, conversation)
    assert (sent.view_once, await store.find_message(conversation.id, sent.seq)) == (True, sent)
    await looked(openings, clock, conversation, sent.seq, CAROL)
    after = await looked(openings, clock, conversation, sent.seq, BOB)
    assert (after.opened_by, after.attachments, after.revision) == ((CAROL, BOB), sent.attachments, 2)
    assert await store.find_message(conversation.id, sent.seq) == after
    told = (await news.events())[-1].message_changed.message
    assert (told.view_once, list(told.opened_by_user_ids), told.revision) == (True, [CAROL, BOB], 2)
    # What else becomes of it leaves them.
    assert (await reacted(store, clock, conversation, sent.seq, BOB, "👍")).opened_by == (CAROL, BOB)
    (delta,) = await store.sync(ALICE, {conversation.id: Cursor(sent.seq, 1)}, None, 10, 10, clock.now())
    assert [message.opened_by for message in delta.changed] == [(CAROL, BOB)]


async def test_of_two_devices_at_once_one_opens_it(
    store: Store, uploads: AttachmentStore, openings: OpeningStore, clock: ManualClock
) -> None:
    conversation = await founded(store, clock, "k", BOB, CAROL)
    sent = await shown(store, uploads, clock, conversation)
    outcomes = await asyncio.gather(
        *(looked(openings, clock, conversation, sent.seq, BOB, f"device {number}") for number in range(5)),
        return_exceptions=True,
    )
    assert len([outcome for outcome in outcomes if isinstance(outcome, Message)]) == 1
    assert len([outcome for outcome in outcomes if isinstance(outcome, AlreadyOpened)]) == 4
    found = await store.find_message(conversation.id, sent.seq)
    assert (found or fail(1)).opened_by == (BOB,)


async def test_a_retry_changes_and_tells_nothing_and_what_is_refused_neither(
    store: Store, uploads: AttachmentStore, openings: OpeningStore, news: News, clock: ManualClock
) -> None:
    conversation = await founded(store, clock, "k", BOB, CAROL)
    sent = await shown(store, uploads, clock, conversation)
    first = await looked(openings, clock, conversation, sent.seq, BOB)
    told = len(await news.events())
    clock.advance(RETRY.total_seconds())
    assert await looked(openings, clock, conversation, sent.seq, BOB) == first
    clock.advance(1)
    for key in ("r", "s"):
        with pytest.raises(AlreadyOpened):
            await looked(openings, clock, conversation, sent.seq, BOB, key)
    with pytest.raises(ConversationNotFound):
        await looked(openings, clock, conversation, sent.seq, UserId("mallory"))
    with pytest.raises(AttachmentNotFound):
        await looked(openings, clock, conversation, 99, CAROL)
    assert len(await news.events()) == told


@pytest.mark.parametrize("spoken", [False, True])
async def test_the_file_goes_when_all_have_opened_it(
    store: Store,
    uploads: AttachmentStore,
    openings: OpeningStore,
    sweeps: SweepStore,
    news: News,
    clock: ManualClock,
    *,
    spoken: bool,
) -> None:
    conversation = await founded(store, clock, "k", BOB, CAROL)
    sent = await shown(store, uploads, clock, conversation, spoken=spoken)
    await looked(openings, clock, conversation, sent.seq, BOB)
    clock.advance(3600)
    assert await sweeps.release_due(clock.now(), 10) == 0
    await looked(openings, clock, conversation, sent.seq, CAROL)
    await reacted(store, clock, conversation, sent.seq, BOB, "👍")
    clock.advance((TTL + RETRY).total_seconds() - 1)
    assert await sweeps.release_due(clock.now(), 10) == 0
    clock.advance(1)
    assert await sweeps.release_due(clock.now(), 10) == 1
    bare = await store.find_message(conversation.id, sent.seq) or fail(1)
    assert bare.content == (Voice(None, timedelta(seconds=2)) if spoken else Text(""))
    assert (bare.view_once, bare.opened_by, bare.attachments) == (True, (BOB, CAROL), ())
    assert (bare.revision, len(bare.reactions)) == (4, 1)
    told = (await news.events())[-1].message_changed.message
    assert (told.revision, list(told.attachments), list(told.opened_by_user_ids)) == (4, [], [BOB, CAROL])
    (pending,) = await uploads.claim_deletes(clock.now(), clock.now() + DAY, 10)
    assert pending.object_key.endswith(str(sent.attachments[0].id))
    assert await sweeps.release_due(clock.now(), 10) == 0


async def test_the_file_goes_after_two_weeks_whoever_has_not_opened_it(
    store: Store, uploads: AttachmentStore, sweeps: SweepStore, clock: ManualClock
) -> None:
    conversation, other = await opened(store, clock), await opened(store, clock, ALICE, CAROL)
    sent = [await shown(store, uploads, clock, place, place.id.hex) for place in (conversation, other)]
    clock.advance(KEPT.total_seconds() - 1)
    assert await sweeps.release_due(clock.now(), 10) == 0
    clock.advance(1)
    assert [await sweeps.release_due(clock.now(), 1) for _ in range(3)] == [1, 1, 0]
    for message in sent:
        found = await store.find_message(message.conversation_id, message.seq) or fail(message)
        assert (found.attachments, found.opened_by, found.view_once, found.revision) == ((), (), True, 1)


async def test_an_ordinary_file_stays(
    store: Store, uploads: AttachmentStore, sweeps: SweepStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    file = (await uploads.put_upload(announced(clock.now(), ALICE), 10)).attachment
    message_id = MessageId(new_id(clock.now()))
    await store.append([Draft(message_id, conversation.id, ALICE, "k", clock.now(), Text(""), attachments=(file,))])
    clock.advance(KEPT.total_seconds() * 2)
    assert await sweeps.release_due(clock.now(), 10) == 0


async def test_openings_go_with_their_message_however_it_goes(
    store: Store,
    uploads: AttachmentStore,
    openings: OpeningStore,
    sweeps: SweepStore,
    clock: ManualClock,
    truth: object,
) -> None:
    conversation = await opened(store, clock)
    cutoff = clock.now() + timedelta(seconds=0.5)
    kept = await shown(store, uploads, clock, conversation, "old")
    clock.advance(1)
    taken_back = await shown(store, uploads, clock, conversation, "taken back")
    await store.change_group(
        conversation.id, lambda found: set_vanishing(found, ALICE, timedelta(minutes=5)), stamp(clock)
    )
    short = await shown(store, uploads, clock, conversation, "short")
    for message in (kept, taken_back, short):
        await looked(openings, clock, conversation, message.seq, BOB)
    await store.change_message(
        conversation.id, taken_back.seq, lambda _, found: changes.unsend(found or fail(2), ALICE), clock.now()
    )
    clock.advance(400)
    assert await sweeps.expire_due(clock.now(), 10) == 1
    for seq, content in ((taken_back.seq, Unsent()), (short.seq, Expired())):
        found = await store.find_message(conversation.id, seq) or fail(seq)
        assert (found.content, found.view_once, found.opened_by) == (content, False, ())
    assert await sweeps.delete_old(conversation.id, cutoff, clock.now(), 10) == 1
    assert await sweeps.release_due(clock.now(), 10) == 0
    if isinstance(truth, Database):
        async with truth.connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM openings") == 0


async def test_who_left_gets_what_they_sent_without_who_opened_it(
    store: Store, uploads: AttachmentStore, openings: OpeningStore, clock: ManualClock
) -> None:
    conversation = await founded(store, clock, "k", BOB)
    sent = await shown(store, uploads, clock, conversation, sender=BOB)
    await looked(openings, clock, conversation, sent.seq, ALICE)
    await left(store, clock, conversation, BOB)
    found = await store.find_sent(Draft(sent.id, conversation.id, BOB, "once", clock.now(), Text("")).key)
    assert ((found or fail(1)).view_once, (found or fail(1)).opened_by) == (True, ())


async def test_it_is_in_no_gallery(store: Store, uploads: AttachmentStore, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    await shown(store, uploads, clock, conversation)
    await shown(store, uploads, clock, conversation, "spoken", spoken=True)
    for has in (Has.PICTURE_OR_VIDEO, Has.VOICE):
        assert await store.list_holding(BOB, conversation.id, has, None, 10) == []
