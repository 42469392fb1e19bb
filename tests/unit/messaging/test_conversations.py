from tests.support.messaging_world import ALICE, BOB, World, send


async def test_the_same_pair_gets_the_same_conversation(world: World) -> None:
    one = await world.conversations.open_direct(ALICE, BOB)
    other = await world.conversations.open_direct(BOB, ALICE)
    assert one.id == other.id


async def test_conversations_come_in_pages_newest_activity_first(world: World) -> None:
    conversations = []
    for number in range(5):
        world.clock.advance(1)
        conversations.append((await world.conversations.open_direct(ALICE, f"peer{number}")).id)
    world.clock.advance(1)
    await send(world, ALICE, str(conversations[0]), "k", "hello")
    seen, token = [], ""
    while True:
        page = await world.sync.list_conversations(ALICE, 2, token)
        seen += [summary.conversation.id for summary in page.items]
        token = page.next_token
        if not token:
            break
    assert seen == [conversations[0], conversations[4], conversations[3], conversations[2], conversations[1]]
