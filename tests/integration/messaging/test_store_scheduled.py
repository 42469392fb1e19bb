"""The contract of the store of what waits for its time, by the fake and PostgreSQL, beside messages and files."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.messaging.v1 import scheduled_pb2
from parley.presence.v1 import events_pb2 as presence

from services.messaging.attachments.ports import AttachmentStore
from services.messaging.kernel.content import Content, Expired, Mention, Text, Voice
from services.messaging.kernel.errors import AttachmentNotFound, ScheduledCancelled, ScheduledSent, TooManyScheduled
from services.messaging.kernel.model import Attachment, AttachmentId, Conversation, DraftKey, UserId
from services.messaging.scheduling import core
from services.messaging.scheduling.core import Refused, Scheduled, ScheduledId, ScheduledState, Wanted
from services.messaging.scheduling.ports import ScheduledStore
from services.messaging.scheduling.sql import LET_GO
from services.messaging.vanishing.core import set_vanishing
from services.messaging.wire import topics
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database
from tests.support.attachments import announced
from tests.support.clock import ManualClock
from tests.support.messaging_cases import Store
from tests.support.messaging_memory import MemoryStore
from tests.support.messaging_store import ALICE, BOB, opened, stamp, text
from tests.support.scheduled import MemoryScheduled

HOUR = timedelta(hours=1)
MOST = 10


def waiting(
    clock: ManualClock,
    conversation: Conversation,
    key: str = "k",
    content: Content | None = None,
    *attachments: Attachment,
    sender: UserId = ALICE,
    after: timedelta = HOUR,
) -> Scheduled:
    """A moment later than the one before."""
    clock.advance(1)
    now = clock.now()
    return Scheduled(
        *(ScheduledId(new_id(now)), DraftKey(conversation.id, sender, key), content or Text("later")),
        *(now + after, now + after, now),
        attachments=attachments,
    )


async def change(scheduled: ScheduledStore, clock: ManualClock, key: DraftKey, words: str) -> Scheduled | None:
    now, wanted = clock.now(), Wanted(Text(words))
    return await scheduled.change(
        key, lambda found, sent: core.change(core.require_known(found, is_sent=sent), wanted, None, now), now
    )


async def cancel(scheduled: ScheduledStore, clock: ManualClock, key: DraftKey) -> None:
    now = clock.now()
    await scheduled.change(key, lambda found, sent: core.cancel(found, now, is_sent=sent), now)


async def told(scheduled: ScheduledStore, truth: MemoryStore | Database) -> list[tuple[ScheduledState | None, int]]:
    """The states and revisions that Alice's devices were told; None for what is gone."""
    if isinstance(scheduled, MemoryScheduled):
        return scheduled.told
    assert isinstance(truth, Database)
    async with truth.connection() as connection:
        rows = await connection.fetch("SELECT key, value FROM outbox WHERE topic = $1 ORDER BY id", topics.DELIVERY)
    assert {row["key"] for row in rows} <= {ALICE}
    frames = [presence.Delivery.FromString(row["value"]).frame for row in rows]
    events = [gateway_service.SubscribeResponse.FromString(frame).event for frame in frames]
    names = {state.name: state for state in ScheduledState}
    return [
        (
            names.get(
                scheduled_pb2.ScheduledState.Name(event.scheduled_message.state).removeprefix("SCHEDULED_STATE_")
            ),
            event.scheduled_message.revision,
        )
        for event in events
    ]


async def test_what_waits_is_found_as_it_was_written_by_its_writer_alone(
    store: Store, scheduled: ScheduledStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    file = Attachment(AttachmentId(new_id(clock.now())), "a.ogg", "audio/ogg", 80)
    words = Text("@bob look", (Mention(0, 4, BOB),))
    kept = [
        replace(waiting(clock, conversation, content=words), reply_to_seq=1),
        waiting(clock, conversation, "v", Voice(file.id, timedelta(seconds=3), b"\x01"), file),
    ]
    for each in kept:
        assert await scheduled.put(each, MOST) == each
        assert await scheduled.put(replace(each, content=Text("a retry")), MOST) == each
    assert await scheduled.list_of(ALICE, None, 10) == kept
    assert await scheduled.list_of(ALICE, kept[0].id, 10) == kept[1:]
    assert await scheduled.list_of(BOB, None, 10) == []
    assert await scheduled.find(kept[0].key) == kept[0]
    assert await scheduled.next_due() == kept[0].due_at


async def test_what_was_sent_under_the_key_takes_no_other_and_changes_nothing(
    store: Store, scheduled: ScheduledStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    await store.append([text(clock, conversation, "k")])
    fresh = waiting(clock, conversation)
    assert await scheduled.put(fresh, MOST) is None
    other = waiting(clock, conversation, "other")
    await scheduled.put(other, MOST)
    await store.append([text(clock, conversation, "other")])
    with pytest.raises(ScheduledSent):
        await change(scheduled, clock, other.key, "x")
    with pytest.raises(ScheduledSent):
        await cancel(scheduled, clock, other.key)


async def test_changes_are_written_and_told_once(
    store: Store, scheduled: ScheduledStore, truth: MemoryStore | Database, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    fresh = waiting(clock, conversation)
    await scheduled.put(fresh, MOST)
    for _ in range(2):
        changed = await change(scheduled, clock, fresh.key, "other")
    assert changed == replace(fresh, content=Text("other"), revision=2)
    for _ in range(2):
        await cancel(scheduled, clock, fresh.key)
    found = await scheduled.find(fresh.key)
    assert found is not None
    assert (found.state, found.content, found.revision) == (ScheduledState.CANCELLED, Expired(), 3)
    assert await scheduled.list_of(ALICE, None, 10) == []
    with pytest.raises(ScheduledCancelled):
        await scheduled.put(fresh, MOST)
    assert await told(scheduled, truth) == [(ScheduledState.WAITING, 1), (ScheduledState.WAITING, 2), (None, 3)]


async def test_each_persons_are_counted_also_when_they_come_at_once(
    store: Store, scheduled: ScheduledStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    fresh = [waiting(clock, conversation, f"k{number}") for number in range(6)]
    outcomes = await asyncio.gather(*(scheduled.put(each, 3) for each in fresh), return_exceptions=True)
    assert sum(isinstance(outcome, TooManyScheduled) for outcome in outcomes) == 3
    await scheduled.put(waiting(clock, conversation, sender=BOB), 3)


async def test_what_is_due_is_taken_by_one_for_a_while(
    store: Store, scheduled: ScheduledStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    for number in range(20):
        await scheduled.put(waiting(clock, conversation, f"k{number:02}", after=timedelta(0)), 100)
    await scheduled.put(waiting(clock, conversation, "far"), 100)
    now = clock.now()
    claims = await asyncio.gather(*(scheduled.claim(now, now + HOUR / 2, new_id(now), 8) for _ in range(4)))
    taken = [each for claim in claims for each in claim]
    assert sorted(each.key.client_message_id for each in taken) == [f"k{number:02}" for number in range(20)]
    assert {each.state for each in taken} == {ScheduledState.SENDING}
    assert await scheduled.next_due() == now + HOUR / 2
    again = await scheduled.claim(now + HOUR / 2, now + HOUR, new_id(now), 100)
    assert len(again) == 20, "whoever had them is silent"


async def test_what_became_of_a_claim_is_noted_by_who_has_it(
    store: Store, scheduled: ScheduledStore, truth: MemoryStore | Database, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    for key in ("sent", "refused", "late"):
        await scheduled.put(waiting(clock, conversation, key, after=timedelta(0)), MOST)
    now = clock.now()
    mine, other = new_id(now), new_id(now)
    taken = {each.key.client_message_id: each for each in await scheduled.claim(now, now + HOUR, mine, 10)}
    await scheduled.forget(taken["sent"], mine, now)
    refused = core.settle(taken["refused"], Refused("NOT_ALLOWED"), now)
    await scheduled.settle(refused, mine, now)
    put_off = core.settle(taken["late"], Refused("SEND_RATE", timedelta(seconds=9)), now)
    await scheduled.settle(put_off, other, now)
    assert (await scheduled.list_of(ALICE, None, 10))[1] == taken["late"], "another has it"
    await scheduled.settle(put_off, mine, now)
    assert await scheduled.list_of(ALICE, None, 10) == [refused, put_off]
    assert (await told(scheduled, truth))[3:] == [(None, 2), (ScheduledState.REFUSED, 2)]
    # Both are settled: nobody has them any more.
    await scheduled.forget(refused, mine, now)
    assert len(await scheduled.list_of(ALICE, None, 10)) == 2


async def test_what_was_refused_is_due_when_a_message_there_would_vanish(
    store: Store, scheduled: ScheduledStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    await store.change_group(conversation.id, lambda found: set_vanishing(found, ALICE, HOUR), stamp(clock))
    await scheduled.put(waiting(clock, conversation, after=timedelta(0)), MOST)
    now, lease = clock.now(), new_id(clock.now())
    (taken,) = await scheduled.claim(now, now + HOUR, lease, 10)
    await scheduled.settle(core.settle(taken, Refused("NOT_ALLOWED"), now), lease, now)
    assert await scheduled.next_due() == now + HOUR


async def test_files_wait_with_one_message_and_go_when_it_lets_go_of_them(
    store: Store, scheduled: ScheduledStore, uploads: AttachmentStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    upload = await uploads.put_upload(announced(clock.now(), ALICE), 10)
    fresh = waiting(clock, conversation, "k", Text("see"), upload.attachment)
    await scheduled.put(fresh, MOST)
    with pytest.raises(AttachmentNotFound):
        await scheduled.put(waiting(clock, conversation, "other", Text("see"), upload.attachment), MOST)
    assert await uploads.queue_unused(core.keeps_files_until(fresh) - HOUR, 10) == 0
    await change(scheduled, clock, fresh.key, "without")
    assert await uploads.queue_unused(clock.now() + LET_GO, 10) == 1
