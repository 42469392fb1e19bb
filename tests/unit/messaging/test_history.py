from tests.support.messaging_world import ALICE, BOB, World, send


async def test_history_comes_in_pages_from_the_newest(world: World) -> None:
    conversation = await world.conversation()
    for number in range(5):
        await send(world, ALICE, conversation, str(number), "x")
    newest, more = await world.history.list_messages(BOB, conversation, 0, 2)
    assert ([message.seq for message in newest], more) == ([5, 4], True)
    rest, more = await world.history.list_messages(BOB, conversation, 4, 10)
    assert ([message.seq for message in rest], more) == ([3, 2, 1], False)
