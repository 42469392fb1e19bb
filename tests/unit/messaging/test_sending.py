import pytest

from services.messaging.kernel.errors import ConversationNotFound, InvalidField
from tests.support.messaging_world import ALICE, MALLORY, World, send


async def test_a_retry_gets_the_first_message(world: World) -> None:
    conversation = await world.conversation()
    first = await send(world, ALICE, conversation, "k", "hello")
    world.clock.advance(1)
    assert await send(world, ALICE, conversation, "k", "something else") == first


async def test_a_stranger_may_not_write_nor_read(world: World) -> None:
    conversation = await world.conversation()
    with pytest.raises(ConversationNotFound):
        await send(world, MALLORY, conversation, "k", "hello")
    with pytest.raises(ConversationNotFound):
        await world.receipts.mark_read(MALLORY, conversation, 1)
    for read in (
        world.conversations.get_conversation(MALLORY, conversation),
        world.history.list_messages(MALLORY, conversation, 0, 0),
    ):
        with pytest.raises(ConversationNotFound):
            await read
    catchup = await world.sync.sync(MALLORY, [(conversation, 0, 0)], 0, None)
    assert (list(catchup.deltas), [str(id_) for id_ in catchup.gone]) == ([], [conversation])


@pytest.mark.parametrize("text", ["", "x" * 21])
async def test_a_faulty_text_is_refused(world: World, text: str) -> None:
    with pytest.raises(InvalidField):
        await send(world, ALICE, await world.conversation(), "k", text)
