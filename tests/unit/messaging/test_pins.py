"""Pinned messages: who pins, what can be pinned, in which order, how many, and that a pin ends with its message."""

from datetime import timedelta

import pytest
from parley.messaging.v1 import events_pb2

from services.messaging.groups.core.changes import redacted_group
from services.messaging.kernel.content import SystemContent, SystemKind
from services.messaging.kernel.errors import (
    ConversationFrozen,
    ConversationNotFound,
    InvalidField,
    MessageNotFound,
    MessagingError,
    NotAllowed,
    NotEditable,
    RequestPending,
    RoleTooLow,
    SendRate,
    TooManyPins,
)
from services.messaging.kernel.model import ConversationId, Pin, Role, UserId
from services.messaging.kernel.weighing import weigh_conversation
from services.messaging.messages.service.rates import SendRates
from services.messaging.pins.core import MAX_PINS
from services.messaging.pins.service import Pins
from services.messaging.relations.core.reach import Audience, SettingsChange
from services.messaging.vanishing.service import Sweeper, SweepPolicy
from services.messaging.wire.api import conversation_message
from services.runtime.ids import new_id
from tests.support.messaging_world import ALICE, BOB, MALLORY, World, group, said, send

CAROL = UserId("carol")


async def filled(world: World, count: int = 3) -> str:
    """Alice and Bob's conversation with so many texts of Alice's."""
    conversation = await world.conversation()
    for number in range(count):
        await send(world, ALICE, conversation, f"k{number}", f"text {number}")
    return conversation


async def pinned(world: World, conversation: str, user: UserId = ALICE) -> list[int]:
    """The seqs, as this member is shown them."""
    return [pin.seq for pin in (await world.conversations.get_conversation(user, conversation)).pins]


async def pin(world: World, conversation: str, *seqs: int, user: UserId = ALICE) -> None:
    for seq in seqs:
        await world.pins.set_pinned(user, conversation, seq, pinned=True)
        world.clock.advance(1)


async def test_either_of_two_people_pins_and_a_line_tells_once(world: World) -> None:
    conversation = await filled(world)
    for _ in range(2):
        after = await world.pins.set_pinned(BOB, conversation, 2, pinned=True)
        assert (after.pins, after.revision, after.last_seq) == ((Pin(2, world.clock.now()),), 1, 4)
    assert await pinned(world, conversation) == [2]
    (line,) = (await world.history.list_messages(ALICE, conversation, 0, 1))[0]
    assert (line.sender_id, line.content) == (BOB, SystemContent(SystemKind.PINNED, seq=2))


async def test_the_latest_pin_is_first_and_a_second_request_does_not_move_it(world: World) -> None:
    conversation = await filled(world)
    await pin(world, conversation, 3, 1, 2)
    await pin(world, conversation, 3)
    assert await pinned(world, conversation, BOB) == [2, 1, 3]


async def test_a_pin_is_taken_away_without_a_line_and_again_changes_nothing(world: World) -> None:
    conversation = await filled(world)
    await pin(world, conversation, 1, 2)
    for _ in range(2):
        after = await world.pins.set_pinned(BOB, conversation, 1, pinned=False)
        assert ([each.seq for each in after.pins], after.revision, after.last_seq) == ([2], 3, 5)
    # What is not pinned, or not there, needs nothing done.
    for seq in (3, 99, 0):
        assert (await world.pins.set_pinned(BOB, conversation, seq, pinned=False)).revision == 3


async def test_all_devices_are_told_the_conversation_with_its_pins(world: World) -> None:
    conversation = await filled(world)
    await pin(world, conversation, 2)
    changed, line = [events_pb2.ConversationEvent.FromString(event) for event in world.store.events][-2:]
    card = changed.conversation_changed.conversation
    assert [(each.seq, each.pin_time.ToSeconds()) for each in card.pinned_messages] == [
        (2, int(world.clock.now().timestamp()) - 1)
    ]
    assert (card.revision, card.last_seq) == (1, 4)
    assert line.message_sent.message.system.message_pinned.seq == 2
    (delta,) = (await world.sync.sync(BOB, [(conversation, 4, 0)], 0, None)).deltas
    assert [each.seq for each in delta.conversation.pins] == [2]


async def test_no_more_are_pinned_than_a_conversation_may_have(world: World) -> None:
    conversation = await filled(world, MAX_PINS + 1)
    await pin(world, conversation, *range(1, MAX_PINS + 1))
    with pytest.raises(TooManyPins):
        await pin(world, conversation, MAX_PINS + 1)
    # What is pinned already is no more.
    await pin(world, conversation, 1)
    full = await world.conversations.get_conversation(ALICE, conversation)
    assert conversation_message(full).ByteSize() <= 2 * weigh_conversation(full)
    await world.pins.set_pinned(ALICE, conversation, 1, pinned=False)
    await pin(world, conversation, MAX_PINS + 1)


async def test_in_a_group_admins_and_the_owner_pin(world: World) -> None:
    trip = await group(world, BOB, CAROL)
    await send(world, BOB, trip, "k", "hello")
    with pytest.raises(RoleTooLow):
        await pin(world, trip, 2, user=BOB)
    await world.groups.set_role(ALICE, trip, BOB, Role.ADMIN)
    await pin(world, trip, 2, user=BOB)
    with pytest.raises(RoleTooLow):
        await world.pins.set_pinned(CAROL, trip, 2, pinned=False)
    await world.pins.set_pinned(ALICE, trip, 2, pinned=False)
    assert await pinned(world, trip) == []


@pytest.mark.parametrize("seq", [99, 0])
async def test_what_is_not_there_is_not_pinned(world: World, seq: int) -> None:
    conversation = await filled(world)
    with pytest.raises(MessageNotFound):
        await pin(world, conversation, seq)
    with pytest.raises(InvalidField):
        await pin(world, conversation, -1)
    with pytest.raises(ConversationNotFound):
        await pin(world, conversation, 1, user=MALLORY)
    with pytest.raises(ConversationNotFound):
        await world.pins.set_pinned(MALLORY, conversation, 1, pinned=False)


async def test_somebody_who_came_later_pins_nothing_of_before_but_may_take_its_pin_away(world: World) -> None:
    trip = await group(world, BOB)
    await send(world, ALICE, trip, "k", "before")
    await pin(world, trip, 2)
    await world.groups.add_members(ALICE, trip, [CAROL])
    await world.groups.set_role(ALICE, trip, CAROL, Role.ADMIN)
    with pytest.raises(MessageNotFound):
        await pin(world, trip, 2, user=CAROL)
    await world.pins.set_pinned(CAROL, trip, 2, pinned=False)
    assert await pinned(world, trip) == []


async def test_lines_of_a_group_and_what_is_gone_are_not_pinned(world: World) -> None:
    trip = await group(world, BOB)
    await send(world, ALICE, trip, "k", "hello")
    await world.changing.unsend_message(ALICE, trip, 2)
    for seq in (1, 2):
        with pytest.raises(NotEditable):
            await pin(world, trip, seq)


async def test_a_pin_ends_when_its_message_is_unsent(world: World) -> None:
    conversation = await filled(world)
    await pin(world, conversation, 1, 2)
    await world.changing.unsend_message(ALICE, conversation, 2)
    assert await pinned(world, conversation, BOB) == [1]


async def test_a_pin_ends_when_its_message_vanishes_and_what_is_over_is_not_pinned(world: World) -> None:
    conversation = await world.conversation()
    await world.vanishing.set_vanishing(ALICE, conversation, timedelta(minutes=5))
    await send(world, ALICE, conversation, "a", "secret")
    await send(world, ALICE, conversation, "b", "secret")
    await pin(world, conversation, 2)
    world.clock.advance(300)
    with pytest.raises(NotEditable):
        await pin(world, conversation, 3)
    await Sweeper(world.store, world.clock, SweepPolicy()).sweep()
    assert await pinned(world, conversation) == []


async def test_pins_end_with_an_account_and_with_the_retention(world: World) -> None:
    conversation = await filled(world)
    await send(world, BOB, conversation, "his", "hello")
    await pin(world, conversation, 1, 4)
    await world.store.take_back(
        ConversationId((await world.conversations.get_conversation(ALICE, conversation)).id), BOB
    )
    assert await pinned(world, conversation) == [1]
    world.clock.advance(86_400 * 3)
    await Sweeper(world.store, world.clock, SweepPolicy(timedelta(days=1))).sweep()
    assert await pinned(world, conversation) == []
    told = events_pb2.ConversationEvent.FromString(world.store.events[-1]).conversation_changed.conversation
    assert (list(told.pinned_messages), told.history_start_seq) == ([], 6)


@pytest.mark.parametrize(("blocker", "blocked"), [(ALICE, BOB), (BOB, ALICE)])
async def test_neither_pins_nor_unpins_while_a_block_stands_and_what_stands_is_answered(
    world: World, blocker: UserId, blocked: UserId
) -> None:
    conversation = await filled(world)
    await pin(world, conversation, 1)
    await world.relations.block_user(blocker, blocked)
    for user in (ALICE, BOB):
        for seq, is_pinned in ((2, True), (1, False)):
            with pytest.raises(NotAllowed):
                await world.pins.set_pinned(user, conversation, seq, pinned=is_pinned)
        assert (await world.pins.set_pinned(user, conversation, 1, pinned=True)).revision == 1


async def test_nothing_is_pinned_in_a_request(world: World) -> None:
    nobody_asks = SettingsChange(messages=Audience.FOLLOWED)
    await world.store.relations.change_settings(BOB, nobody_asks, world.clock.now())
    conversation = await said(world, ALICE, BOB)
    with pytest.raises(RequestPending):
        await pin(world, conversation, 1)
    with pytest.raises(NotAllowed):
        await pin(world, conversation, 1, user=BOB)


async def test_nothing_is_pinned_where_moderation_froze_it(world: World) -> None:
    conversation = await filled(world)
    found = await world.conversations.get_conversation(ALICE, conversation)
    await world.store.set_frozen(found.id, frozen=True)
    with pytest.raises(ConversationFrozen):
        await pin(world, conversation, 1)


async def test_a_pin_counts_as_a_send_and_whoever_may_not_write_does_not_pin(world: World) -> None:
    conversation = await filled(world)

    def refuse(_: UserId) -> None:
        raise MessagingError

    rates = SendRates(per_s=0.001, burst=1)
    pins = Pins(world.store, rates, world.clock, new_id)
    await pins.set_pinned(ALICE, conversation, 1, pinned=True)
    with pytest.raises(SendRate):
        await pins.set_pinned(ALICE, conversation, 2, pinned=True)
    silent = Pins(world.store, SendRates(may_write=refuse), world.clock, new_id)
    for each in (pins, silent):
        # It stands so already.
        await each.set_pinned(ALICE, conversation, 1, pinned=True)
    with pytest.raises(MessagingError):
        await silent.set_pinned(ALICE, conversation, 1, pinned=False)
    assert await pinned(world, conversation) == [1]


async def test_who_is_out_is_told_of_no_pins(world: World) -> None:
    trip = await group(world, BOB)
    await send(world, ALICE, trip, "k", "hello")
    await pin(world, trip, 2)
    assert redacted_group(await world.conversations.get_conversation(ALICE, trip)).pins == ()
