"""Receipts as use-cases: what a device may say, and what counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.messaging.kernel.errors import ConversationNotFound, InvalidField
from services.messaging.receipts.core import MAX_PLACES, check_places
from tests.support.messaging_world import ALICE, BOB, MALLORY, World, send

CONVERSATION = "018f0000-0000-7000-8000-000000000001"


async def delivered(world: World, conversation: str) -> int:
    member = (await world.conversations.get_conversation(ALICE, conversation)).member(BOB)
    assert member is not None
    return member.delivered_seq


async def test_a_read_cursor_stops_at_the_last_message(world: World) -> None:
    conversation = await world.conversation()
    await send(world, ALICE, conversation, "k", "hello")
    assert await world.receipts.mark_read(BOB, conversation, 99) == 1
    assert await world.receipts.mark_read(BOB, conversation, 0) == 1


async def test_a_stranger_marks_nothing(world: World) -> None:
    conversation = await world.conversation()
    await send(world, ALICE, conversation, "k", "hello")
    with pytest.raises(ConversationNotFound):
        await world.receipts.mark_read(MALLORY, conversation, 1)
    with pytest.raises(ConversationNotFound):
        await world.receipts.mark_read(MALLORY, CONVERSATION, 1)
    await world.receipts.mark_delivered(MALLORY, [(conversation, 1), (CONVERSATION, 1)])
    assert await delivered(world, conversation) == 0


async def test_of_a_place_named_twice_the_higher_counts(world: World) -> None:
    conversation = await world.conversation()
    for key in "abc":
        await send(world, ALICE, conversation, key, "hello")
    await world.receipts.mark_delivered(BOB, [(conversation, 1), (conversation, 2), (conversation, 1)])
    assert await delivered(world, conversation) == 2
    await world.receipts.mark_read(BOB, conversation, 3)
    assert await delivered(world, conversation) == 3


@pytest.mark.parametrize("cursors", [[("x", 1)], [(CONVERSATION, -1)], [(CONVERSATION, 1)] * (MAX_PLACES + 1)])
async def test_a_faulty_batch_is_refused_whole(world: World, cursors: list[tuple[str, int]]) -> None:
    with pytest.raises(InvalidField):
        await world.receipts.mark_delivered(BOB, cursors)


@given(
    st.lists(
        st.tuples(st.sampled_from([CONVERSATION, CONVERSATION[:-1] + "2"]), st.integers(0, 2**62)), max_size=MAX_PLACES
    )
)
def test_places_are_the_highest_of_each_conversation(cursors: list[tuple[str, int]]) -> None:
    places = {str(id_): seq for id_, seq in check_places(cursors).items()}
    assert places == {id_: max(seq for other, seq in cursors if other == id_) for id_, _ in cursors}
