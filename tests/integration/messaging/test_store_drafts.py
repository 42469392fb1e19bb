"""The contract of the store of drafts, by the fake and PostgreSQL, beside conversations."""

import asyncio
from datetime import timedelta

import pytest
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.presence.v1 import events_pb2 as presence

from services.messaging.drafts.core import KeptDraft, WantedDraft
from services.messaging.drafts.ports import DraftStore
from services.messaging.kernel.errors import ConversationNotFound, TooManyDrafts
from services.messaging.kernel.model import Conversation
from services.messaging.vanishing.core import set_vanishing
from services.messaging.wire import topics
from services.runtime.postgres.database import Database
from tests.support.clock import ManualClock
from tests.support.drafts import MemoryDrafts
from tests.support.messaging_cases import Store
from tests.support.messaging_memory import MemoryStore
from tests.support.messaging_store import ALICE, BOB, CAROL, founded, left, opened, stamp

HOUR = timedelta(hours=1)


async def write(
    drafts: DraftStore, clock: ManualClock, conversation: Conversation, text: str, most: int = 10, reply: int = 0
) -> KeptDraft:
    clock.advance(1)
    return await drafts.write(ALICE, conversation.id, WantedDraft(text, reply), clock.now(), most)


async def told(drafts: DraftStore, truth: MemoryStore | Database) -> list[tuple[str, int]]:
    """The texts and revisions that Alice's devices were told."""
    if isinstance(drafts, MemoryDrafts):
        return [(each.text, each.revision) for each in drafts.told]
    assert isinstance(truth, Database)
    async with truth.connection() as connection:
        rows = await connection.fetch("SELECT key, value FROM outbox WHERE topic = $1 ORDER BY id", topics.DELIVERY)
    frames = [presence.Delivery.FromString(row["value"]).frame for row in rows if row["key"] == ALICE]
    events = [gateway_service.SubscribeResponse.FromString(frame).event for frame in frames]
    return [(event.draft.text, event.draft.revision) for event in events if event.HasField("draft")]


async def test_a_draft_is_kept_changed_taken_away_and_told_with_rising_revisions(
    store: Store, drafts: DraftStore, truth: MemoryStore | Database, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    kept = [await write(drafts, clock, conversation, text, reply=2) for text in ("one", "one", "two")]
    assert kept[0] == kept[1]
    assert await drafts.list_of(ALICE, None, 10, clock.now()) == [kept[2]]
    assert await drafts.list_of(BOB, None, 10, clock.now()) == []
    assert await drafts.list_of(ALICE, conversation.id, 10, clock.now()) == []
    for _ in range(2):
        gone = await drafts.write(ALICE, conversation.id, WantedDraft(""), clock.now(), 10)
        assert gone.text == ""
    assert await drafts.list_of(ALICE, None, 10, clock.now()) == []
    again = await write(drafts, clock, conversation, "three")
    texts, revisions = zip(*await told(drafts, truth), strict=True)
    assert texts == ("one", "two", "", "three")
    assert list(revisions) == sorted(set(revisions))
    assert revisions[-1] == again.revision


async def test_who_is_not_in_a_conversation_keeps_none_there_and_who_goes_leaves_none(
    store: Store, drafts: DraftStore, clock: ManualClock
) -> None:
    group = await founded(store, clock)
    with pytest.raises(ConversationNotFound):
        await drafts.write(CAROL, group.id, WantedDraft("hello"), clock.now(), 10)
    await write(drafts, clock, group, "half a thought")
    await left(store, clock, group, ALICE)
    assert await drafts.list_of(ALICE, None, 10, clock.now()) == []
    with pytest.raises(ConversationNotFound):
        await write(drafts, clock, group, "hello")


async def test_each_persons_are_counted_also_when_they_come_at_once(
    store: Store, drafts: DraftStore, clock: ManualClock
) -> None:
    groups = [await founded(store, clock, f"k{number}") for number in range(5)]
    outcomes = await asyncio.gather(
        *(write(drafts, clock, group, "text", most=3) for group in groups), return_exceptions=True
    )
    assert sum(isinstance(outcome, TooManyDrafts) for outcome in outcomes) == 2
    full = next(group for group, outcome in zip(groups, outcomes, strict=True) if isinstance(outcome, KeptDraft))
    await write(drafts, clock, full, "another text", most=3)


async def test_what_is_over_is_not_listed_and_is_swept(store: Store, drafts: DraftStore, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    await store.change_group(conversation.id, lambda found: set_vanishing(found, ALICE, HOUR), stamp(clock))
    kept = await write(drafts, clock, conversation, "goes")
    assert kept.expires_at == clock.now() + HOUR
    clock.advance(3_600)
    assert await drafts.list_of(ALICE, None, 10, clock.now()) == []
    assert [await drafts.sweep(clock.now(), 10) for _ in range(2)] == [1, 0]
    assert (await write(drafts, clock, conversation, "anew")).revision > kept.revision
