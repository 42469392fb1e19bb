"""The contract of pins, held by the fake and PostgreSQL."""

import asyncio
from datetime import timedelta

import pytest

from services.messaging.kernel.content import SystemContent, SystemKind
from services.messaging.kernel.errors import MessageNotFound, TooManyPins
from services.messaging.kernel.model import Conversation, Cursor, Pin
from services.messaging.messages.core import changes
from services.messaging.pins import core
from services.messaging.pins.ports import PinStore
from services.messaging.vanishing.core import set_vanishing
from services.messaging.vanishing.ports import SweepStore
from services.runtime.postgres.database import Database
from tests.support.clock import ManualClock
from tests.support.messaging_cases import Store
from tests.support.messaging_news import News
from tests.support.messaging_store import ALICE, BOB, fail, fill, founded, opened, stamp, text


async def pin(pins: PinStore, clock: ManualClock, conversation: Conversation, seq: int) -> Conversation:
    now = clock.now()
    return await pins.change_pins(
        conversation.id, seq, lambda found, message: core.pin(found, message, ALICE, now), stamp(clock)
    )


async def unpin(pins: PinStore, clock: ManualClock, conversation: Conversation, seq: int) -> Conversation:
    return await pins.change_pins(conversation.id, seq, lambda found, _: core.unpin(found, seq, ALICE), stamp(clock))


async def pinned(store: Store, conversation: Conversation) -> list[int]:
    found = await store.find_conversation(conversation.id)
    assert found is not None
    return [each.seq for each in found.pins]


async def test_pins_are_kept_the_latest_first_and_told_with_the_conversation(
    store: Store, pins: PinStore, news: News, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    await fill(store, clock, conversation, 3)
    times = []
    for seq in (3, 1, 2):
        clock.advance(1)
        times.append(clock.now())
        after = await pin(pins, clock, conversation, seq)
    assert after.pins == (Pin(2, times[2]), Pin(1, times[1]), Pin(3, times[0]))
    assert (after.revision, after.last_seq) == (3, 6)
    found = await store.find_conversation(conversation.id)
    assert found is not None
    assert (found.pins, found.revision, found.last_seq) == (after.pins, 3, 6)
    changed, line = (await news.events())[-2:]
    card = changed.conversation_changed.conversation
    assert ([each.seq for each in card.pinned_messages], card.revision, card.last_seq) == ([2, 1, 3], 3, 6)
    assert line.message_sent.message.system.message_pinned.seq == 2
    (newest,) = await store.list_messages(conversation.id, 0, None, 1)
    assert newest.content == SystemContent(SystemKind.PINNED, seq=2)
    (listed,) = await store.list_conversations(BOB, None, 10, clock.now())
    (delta,) = await store.sync(BOB, {conversation.id: Cursor(6, 2)}, None, 10, 10, clock.now())
    assert listed.conversation.pins == delta.conversation.pins == after.pins
    # Of another conversation nothing is pinned.
    assert await pinned(store, await founded(store, clock)) == []


async def test_a_pin_that_stands_or_is_gone_already_changes_and_tells_nothing(
    store: Store, pins: PinStore, news: News, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    await fill(store, clock, conversation, 2)
    await pin(pins, clock, conversation, 1)
    told = len(await news.events())
    clock.advance(5)
    assert (await pin(pins, clock, conversation, 1)).revision == 1
    assert (await unpin(pins, clock, conversation, 2)).revision == 1
    assert len(await news.events()) == told
    after = await unpin(pins, clock, conversation, 1)
    assert (after.pins, after.revision, after.last_seq) == ((), 2, 3)
    (changed,) = (await news.events())[told:]
    assert list(changed.conversation_changed.conversation.pinned_messages) == []
    assert await pinned(store, conversation) == []
    with pytest.raises(MessageNotFound):
        await pin(pins, clock, conversation, 9)


async def test_a_pin_ends_with_its_message_however_it_ends(
    store: Store, pins: PinStore, sweeps: SweepStore, news: News, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    await fill(store, clock, conversation, 3)
    cutoff = clock.now() + timedelta(seconds=0.5)
    clock.advance(1)
    await store.change_group(
        conversation.id, lambda found: set_vanishing(found, ALICE, timedelta(minutes=5)), stamp(clock)
    )
    await store.append([text(clock, conversation, "short")])
    await store.change_group(conversation.id, lambda found: set_vanishing(found, ALICE, timedelta(0)), stamp(clock))
    await store.append([text(clock, conversation, "long")])
    for seq in (1, 2, 5, 7):
        clock.advance(1)
        await pin(pins, clock, conversation, seq)
    assert await pinned(store, conversation) == [7, 5, 2, 1]
    await store.change_message(
        conversation.id, 2, lambda _, found: changes.unsend(found or fail(2), ALICE), clock.now()
    )
    assert await pinned(store, conversation) == [7, 5, 1]
    clock.advance(400)
    assert await sweeps.expire_due(clock.now(), 10) == 1
    assert await pinned(store, conversation) == [7, 1]
    assert await sweeps.delete_old(conversation.id, cutoff, clock.now(), 10) == 3
    assert await pinned(store, conversation) == [7]
    told = (await news.events())[-1].conversation_changed.conversation
    assert [each.seq for each in told.pinned_messages] == [7]


async def test_pins_that_come_at_once_are_no_more_than_may_be(store: Store, pins: PinStore, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    await fill(store, clock, conversation, core.MAX_PINS + 4)
    outcomes = await asyncio.gather(
        *(pin(pins, clock, conversation, seq) for seq in range(1, core.MAX_PINS + 5)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert [type(outcome) for outcome in refused] == [TooManyPins] * 4
    found = await store.find_conversation(conversation.id)
    assert found is not None
    assert (len(found.pins), found.revision) == (core.MAX_PINS, core.MAX_PINS)


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
async def test_no_pin_stays_in_the_table_of_what_is_gone(
    truth: Database, store: Store, pins: PinStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    await fill(store, clock, conversation, 1)
    await pin(pins, clock, conversation, 1)
    await store.change_message(
        conversation.id, 1, lambda _, found: changes.unsend(found or fail(1), ALICE), clock.now()
    )
    async with truth.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM pins") == 0
