import asyncio
from collections.abc import Sequence

import pytest

from services.messaging.kernel.errors import MessagingError, Overloaded
from services.messaging.kernel.model import Draft, Message
from services.messaging.messages.service.group_commit import GroupCommit
from services.messaging.messages.service.rates import SendRates
from services.messaging.messages.service.requests import MessageLimits
from services.runtime.errors import StoreUnavailable
from services.runtime.ids import new_id
from tests.support.messaging import FakeStore
from tests.support.messaging_cases import Cases
from tests.support.messaging_world import ALICE, BOB, World, send
from tests.support.waiting import until


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
    world.conversations, world.sending = cases.conversations, cases.sending
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
