import asyncio
from collections.abc import Sequence

import pytest

from services.messaging.kernel.errors import (
    ConversationNotFound,
    InvalidField,
    MessagingError,
    Overloaded,
)
from services.messaging.kernel.model import Draft, Message
from services.messaging.messages.service.group_commit import GroupCommit
from services.messaging.messages.service.messages import MessageLimits
from services.messaging.messages.service.rates import SendRates
from services.runtime.errors import StoreUnavailable
from services.runtime.ids import new_id
from tests.support.messaging import FakeStore
from tests.support.messaging_cases import Cases
from tests.support.messaging_world import ALICE, BOB, MALLORY, World, send
from tests.support.waiting import until


async def test_the_same_pair_gets_the_same_conversation(world: World) -> None:
    one = await world.conversations.open_direct(ALICE, BOB)
    other = await world.conversations.open_direct(BOB, ALICE)
    assert one.id == other.id


async def test_a_retry_gets_the_first_message(world: World) -> None:
    conversation = await world.conversation()
    first = await send(world, ALICE, conversation, "k", "hello")
    world.clock.advance(1)
    assert await send(world, ALICE, conversation, "k", "something else") == first


async def test_sends_that_wait_are_committed_together_and_in_order(world: World) -> None:
    conversation = await world.conversation()
    world.store.gate.clear()
    sends = [asyncio.create_task(send(world, ALICE, conversation, "0", "first"))]
    await until(lambda: world.store.commits_begun == 1)
    sends += [asyncio.create_task(send(world, ALICE, conversation, str(number), "x")) for number in range(1, 5)]
    await until(lambda: world.sends.waiting == 4)
    world.store.gate.set()
    assert [message.seq for message in await asyncio.gather(*sends)] == [1, 2, 3, 4, 5]
    assert world.store.batches == [1, 4]


async def test_sends_beyond_the_queue_are_refused(world: World) -> None:
    conversation = await world.conversation()
    world.store.gate.clear()
    sends = [asyncio.create_task(send(world, ALICE, conversation, "0", "first"))]
    await until(lambda: world.store.commits_begun == 1)
    sends += [asyncio.create_task(send(world, ALICE, conversation, str(number), "x")) for number in range(1, 6)]
    await until(lambda: world.sends.waiting == 5)
    with pytest.raises(Overloaded):
        await send(world, ALICE, conversation, "6", "x")
    world.store.gate.set()
    assert len(await asyncio.gather(*sends)) == 6


class FaultyStore(FakeStore):
    """Fails for batches that hold a certain key."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Message | MessagingError]:
        if any(draft.client_message_id == "faulty" for draft in drafts):
            await self.gate.wait()
            raise self.error
        return await super().append(drafts)


@pytest.mark.parametrize("error", [ValueError("no row for this"), StoreUnavailable("away")])
async def test_a_failed_commit_fails_its_senders_and_never_stops_the_others(error: Exception) -> None:
    world = World()
    world.store = FaultyStore(error)
    world.sends = GroupCommit(world.store, 100)
    cases = Cases(world.store, world.sends, SendRates(), world.clock, new_id, MessageLimits(text_chars=20))
    world.conversations, world.messages = cases.conversations, cases.messages
    committer = asyncio.create_task(world.sends.run())
    conversation = await world.conversation()
    keys = ("a", "faulty", "b")
    results = await asyncio.gather(
        *(send(world, ALICE, conversation, key, "x") for key in keys), return_exceptions=True
    )
    assert results[1] is error
    later = await send(world, BOB, conversation, "c", "x")
    fine = [result for result in results if isinstance(result, Message)]
    assert sorted(message.seq for message in [*fine, later]) == list(range(1, len(fine) + 2))
    if isinstance(error, ValueError):
        assert len(fine) == 2
    committer.cancel()


async def test_a_stranger_may_not_write_nor_read(world: World) -> None:
    conversation = await world.conversation()
    with pytest.raises(ConversationNotFound):
        await send(world, MALLORY, conversation, "k", "hello")
    with pytest.raises(ConversationNotFound):
        await world.receipts.mark_read(MALLORY, conversation, 1)
    for read in (
        world.conversations.get_conversation(MALLORY, conversation),
        world.messages.list_messages(MALLORY, conversation, 0, 0),
    ):
        with pytest.raises(ConversationNotFound):
            await read
    catchup = await world.sync.sync(MALLORY, [(conversation, 0, 0)], 0, None)
    assert (list(catchup.deltas), [str(id_) for id_ in catchup.gone]) == ([], [conversation])


@pytest.mark.parametrize("text", ["", "x" * 21])
async def test_a_faulty_text_is_refused(world: World, text: str) -> None:
    with pytest.raises(InvalidField):
        await send(world, ALICE, await world.conversation(), "k", text)


async def test_history_comes_in_pages_from_the_newest(world: World) -> None:
    conversation = await world.conversation()
    for number in range(5):
        await send(world, ALICE, conversation, str(number), "x")
    newest, more = await world.messages.list_messages(BOB, conversation, 0, 2)
    assert ([message.seq for message in newest], more) == ([5, 4], True)
    rest, more = await world.messages.list_messages(BOB, conversation, 4, 10)
    assert ([message.seq for message in rest], more) == ([3, 2, 1], False)


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
