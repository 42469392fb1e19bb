"""The contract of the store of what is held, by the fake and PostgreSQL, beside messages and files."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from services.messaging.attachments.ports import AttachmentStore
from services.messaging.hooks.core.holding import Decision, Held, HeldId, HeldState, Place
from services.messaging.hooks.ports import HeldStore
from services.messaging.kernel.content import Content, Text, Voice
from services.messaging.kernel.errors import HeldDecided, HeldNotFound
from services.messaging.kernel.model import (
    Attachment,
    AttachmentId,
    Conversation,
    ConversationId,
    ConversationKind,
    DraftKey,
    UserId,
)
from services.messaging.relations.core.reach import Audience, SettingsChange
from services.runtime.ids import new_id
from tests.support.attachments import announced
from tests.support.clock import ManualClock
from tests.support.messaging_cases import RelationStore, Store
from tests.support.messaging_store import ALICE, BOB, CAROL, founded, opened, text

DAY = timedelta(days=1)
MOST = 10


def held_of(
    clock: ManualClock,
    conversation: Conversation,
    key: str = "k",
    content: Content | None = None,
    *attachments: Attachment,
    sender: UserId = ALICE,
    seq: int = 0,
) -> Held:
    """A moment later than the one before."""
    clock.advance(1)
    return Held(
        *(HeldId(new_id(clock.now())), DraftKey(conversation.id, sender, key), content or Text("hello"), clock.now()),
        *("SPAM", seq, 0, tuple(attachments)),
    )


async def test_a_place_is_as_the_sender_stands_in_it(store: Store, held: HeldStore, clock: ManualClock) -> None:
    direct, group = await opened(store, clock), await founded(store, clock)
    assert await held.find_place(DraftKey(direct.id, ALICE, "k")) == Place(ConversationKind.DIRECT, True, peer_id=BOB)
    assert await held.find_place(DraftKey(group.id, ALICE, "k")) == Place(ConversationKind.GROUP, True)
    stranger = await held.find_place(DraftKey(group.id, CAROL, "k"))
    assert stranger is not None
    assert not stranger.is_member
    assert await held.find_place(DraftKey(ConversationId(new_id(clock.now())), ALICE, "k")) is None


async def test_a_place_that_nobody_else_has_let_in_is_a_request(
    store: Store, held: HeldStore, relations: RelationStore, clock: ManualClock
) -> None:
    await relations.change_settings(BOB, SettingsChange(Audience.FOLLOWED), clock.now())
    direct = await opened(store, clock)
    one, other = [await held.find_place(DraftKey(direct.id, user, "k")) for user in (ALICE, BOB)]
    assert (one and one.is_request, other and other.is_request) == (True, False)
    await relations.accept(direct.id, BOB, clock.now())
    one = await held.find_place(DraftKey(direct.id, ALICE, "k"))
    assert one is not None
    assert not one.is_request


async def test_what_is_held_is_found_as_it_was_written(store: Store, held: HeldStore, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    file = Attachment(AttachmentId(new_id(clock.now())), "a.ogg", "audio/ogg", 80)
    voice = Voice(file.id, timedelta(seconds=3), b"\x01\x02")
    kept = [held_of(clock, conversation), replace(held_of(clock, conversation, "v", voice, file), forwarded=True)]
    kept.append(held_of(clock, conversation, "\x1fedit/1", Text("other", masked=True), seq=1))
    kept.append(replace(held_of(clock, conversation, "o", voice, file), view_once=True))
    for each in kept:
        assert await held.hold(each, MOST)
    assert await held.list_waiting(None, 10) == kept
    assert await held.list_waiting(kept[0].id, 1) == [kept[1]]
    place = await held.find_place(kept[0].key)
    assert place is not None
    assert place.held is HeldState.WAITING
    found = await held.queue()
    assert (found.count, found.oldest) == (4, kept[0].held_at)


async def test_the_same_message_is_held_once_and_not_when_it_is_stored(
    store: Store, held: HeldStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    first = held_of(clock, conversation)
    assert await held.hold(first, MOST)
    assert await held.hold(held_of(clock, conversation, content=Text("other")), MOST)
    assert await held.list_waiting(None, 10) == [first]
    await store.append([text(clock, conversation, "sent")])
    assert await held.hold(held_of(clock, conversation, "sent"), MOST)
    assert len(await held.list_waiting(None, 10)) == 1


async def test_another_text_for_a_message_takes_the_place_of_the_one_before_under_another_id(
    store: Store, held: HeldStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    first = held_of(clock, conversation, "\x1fedit/1", Text("one"), seq=1)
    second = held_of(clock, conversation, "\x1fedit/1", Text("two"), seq=1)
    for each in (first, second):
        assert await held.hold(each, MOST)
    assert await held.list_waiting(None, 10) == [second]
    with pytest.raises(HeldNotFound):
        await held.decide(first.id, Decision.RELEASE, clock.now())
    # One that is on its way stays; after a decision there may be another.
    await held.decide(second.id, Decision.RELEASE, clock.now())
    assert await held.hold(held_of(clock, conversation, "\x1fedit/1", Text("three"), seq=1), MOST)
    assert [each.id for each in await held.list_waiting(None, 10)] == [second.id]
    await held.decide(second.id, Decision.SENT, clock.now())
    fourth = held_of(clock, conversation, "\x1fedit/1", Text("four"), seq=1)
    assert await held.hold(fourth, MOST)
    assert await held.list_waiting(None, 10) == [fourth]


async def test_one_senders_share_of_the_queue_is_bounded(store: Store, held: HeldStore, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    for key in ("one", "two"):
        assert await held.hold(held_of(clock, conversation, key), 2)
    assert not await held.hold(held_of(clock, conversation, "three"), 2)
    assert await held.hold(held_of(clock, conversation, "two"), 2)
    assert await held.hold(held_of(clock, conversation, "one", sender=BOB), 2)
    (first, *_) = await held.list_waiting(None, 10)
    await held.decide(first.id, Decision.REFUSE, clock.now())
    assert await held.hold(held_of(clock, conversation, "three"), 2)


async def test_a_decision_is_kept_and_what_was_said_is_not(store: Store, held: HeldStore, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    for key, decisions in (("a", [Decision.REFUSE]), ("b", [Decision.RELEASE, Decision.SENT])):
        each = held_of(clock, conversation, key)
        assert await held.hold(each, MOST)
        for decision in decisions:
            found = await held.decide(each.id, decision, clock.now())
            # Whoever decides still reads it.
            assert found.content == Text("hello")
        again = await held.decide(each.id, decisions[0], clock.now())
        assert again.content != Text("hello")
        assert again.key == each.key
        place = await held.find_place(each.key)
        assert place is not None
        assert place.held is again.state
    assert await held.list_waiting(None, 10) == []
    with pytest.raises(HeldNotFound):
        await held.decide(HeldId(new_id(clock.now())), Decision.REFUSE, clock.now())


async def test_its_sender_takes_it_back_until_it_is_let_pass(
    store: Store, held: HeldStore, uploads: AttachmentStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    upload = await uploads.put_upload(announced(clock.now(), ALICE), 10)
    each = held_of(clock, conversation, "k", Text("look"), upload.attachment)
    assert await held.hold(each, MOST)
    for _ in range(2):
        await held.withdraw(each.key, clock.now())
    assert await held.list_waiting(None, 10) == []
    place = await held.find_place(each.key)
    assert place is not None
    assert place.held is HeldState.REFUSED
    clock.advance(1)
    assert await uploads.queue_unused(clock.now(), 10) == 1
    with pytest.raises(HeldNotFound):
        await held.withdraw(DraftKey(conversation.id, BOB, "k"), clock.now())
    other = held_of(clock, conversation, "l")
    assert await held.hold(other, MOST)
    for decision in (Decision.RELEASE, Decision.SENT):
        await held.decide(other.id, decision, clock.now())
        with pytest.raises(HeldDecided):
            await held.withdraw(other.key, clock.now())


async def test_one_of_two_who_decide_at_once_is_told(store: Store, held: HeldStore, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    each = held_of(clock, conversation)
    assert await held.hold(each, MOST)
    outcomes = await asyncio.gather(
        held.decide(each.id, Decision.RELEASE, clock.now()),
        held.decide(each.id, Decision.REFUSE, clock.now()),
        return_exceptions=True,
    )
    assert [isinstance(outcome, HeldDecided) for outcome in outcomes].count(True) == 1


async def test_what_is_too_old_is_forgotten(store: Store, held: HeldStore, clock: ManualClock) -> None:
    conversation = await opened(store, clock)
    old, decided, young = [held_of(clock, conversation, key) for key in "abc"]
    for each in (old, decided, young):
        assert await held.hold(each, MOST)
    await held.decide(decided.id, Decision.REFUSE, clock.now())
    assert await held.forget(young.held_at, clock.now(), 10) == 1
    assert await held.list_waiting(None, 10) == [young]
    assert await held.forget(young.held_at, clock.now() + DAY, 10) == 1
    place = await held.find_place(decided.key)
    assert place is not None
    assert place.held is None


async def test_files_of_what_is_held_stay_until_it_is_decided_on(
    store: Store, held: HeldStore, uploads: AttachmentStore, clock: ManualClock
) -> None:
    conversation = await opened(store, clock)
    upload = await uploads.put_upload(announced(clock.now(), ALICE), 10)
    each = held_of(clock, conversation, "k", Text("look"), upload.attachment)
    assert await held.hold(each, MOST)
    clock.advance(2 * 86_400)
    assert await uploads.queue_unused(clock.now(), 10) == 0
    await held.decide(each.id, Decision.REFUSE, clock.now())
    assert await uploads.queue_unused(clock.now(), 10) == 1
