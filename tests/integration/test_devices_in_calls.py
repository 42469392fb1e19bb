"""Several devices of one person in calls with media: answered elsewhere, taking over, coming back after a crash."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass

import pytest
from parley.calls.v1 import messages_pb2 as calls
from parley.messaging.v1 import service_pb2 as messaging

from parley_client.calls import ACTIVE, ENDED, Phone
from parley_client.client import Edge
from parley_client.session import Session, open_session
from parley_client.tracks import SourceOptions
from tests.support.stack import RunningStack
from tests.support.waiting import PATIENCE_S

SOURCE = SourceOptions(width=160, height=90, pictures_per_s=5)
# Below PARLEY_MEDIA_LOST_TIMEOUT_S: nothing else ends the call by then.
CLOSED_WITHIN_S = 50.0


@dataclass
class Household:
    """Ann with a phone, and Bob with a phone and a laptop, in a conversation."""

    ann: Session
    phone: Session
    laptop: Session
    conversation_id: str
    edge: Edge

    def another(self, name: str) -> AbstractAsyncContextManager[Session]:
        """One more device of Bob's, which is closed in the end without a word of its calls."""
        user_id = self.phone.user_id
        return open_session(self.edge, user_id, SOURCE, SOURCE.tone_hz, PATIENCE_S, device_id=f"{user_id}-{name}")

    async def talk(self) -> str:
        """Ann calls, and Bob's phone answers; both have media. Returns the call's id."""
        call = await self.ann.phone.start(self.conversation_id)
        await self.ann.phone.join_media()
        for device in (self.phone, self.laptop):
            await device.phone.until_ring(PATIENCE_S, self.conversation_id)
        await self.phone.phone.accept(call.call_id)
        await self.phone.phone.join_media()
        await asyncio.gather(*(side.phone.media.until_media(PATIENCE_S) for side in (self.ann, self.phone)))
        return call.call_id


@pytest.fixture
async def household(stack: RunningStack) -> AsyncIterator[Household]:
    edge = Edge(stack.record.edge_address, stack.record.issuer_url)
    ann_id, bob_id = (f"{name}-{secrets.token_hex(4)}" for name in ("ann", "bob"))
    async with AsyncExitStack() as cleanup:
        people = [
            await cleanup.enter_async_context(
                open_session(edge, user_id, SOURCE, SOURCE.tone_hz, PATIENCE_S, device_id=f"{user_id}-{device}")
            )
            for user_id, device in ((ann_id, "phone"), (bob_id, "phone"), (bob_id, "laptop"))
        ]
        request = messaging.CreateDirectConversationRequest(peer_user_id=bob_id)
        answer = await people[0].device.messaging.CreateDirectConversation(request)
        yield Household(people[0], people[1], people[2], answer.conversation.conversation_id, edge)


async def test_the_devices_that_did_not_answer_are_told_where_it_was(household: Household) -> None:
    call_id = await household.talk()
    told = household.laptop.stream.inbox.calls
    await household.laptop.stream.until(
        lambda: told[call_id].state == ACTIVE, PATIENCE_S, "the answer at the other device"
    )
    assert told[call_id].participants[1].device_id == household.phone.device.device_id
    await household.ann.phone.hang_up()


async def test_a_call_goes_over_to_the_laptop_and_the_phone_is_let_go(household: Household) -> None:
    call_id = await household.talk()
    before = household.phone.phone.media
    await household.laptop.phone.take_over(call_id)
    await household.laptop.phone.join_media()
    await household.laptop.phone.media.until_media(PATIENCE_S)
    await before.until_lost(PATIENCE_S)
    heard = household.ann.phone.media.tone_ms_decoded
    await household.ann.phone.media.until(
        lambda: household.ann.phone.media.tone_ms_decoded > heard + 1000, PATIENCE_S, "Ann hears the laptop"
    )
    await household.ann.phone.hang_up()


async def test_an_app_that_is_closed_without_a_word_ends_its_call_long_before_a_lost_network(
    household: Household,
) -> None:
    ann, conversation_id = household.ann, household.conversation_id
    async with household.another("tablet") as tablet:
        call = await ann.phone.start(conversation_id)
        await ann.phone.join_media()
        await tablet.phone.until_ring(PATIENCE_S, conversation_id)
        await tablet.phone.accept(call.call_id)
        await tablet.phone.join_media()
        await asyncio.gather(*(side.phone.media.until_media(PATIENCE_S) for side in (ann, tablet)))
    await ann.phone.until_state(ENDED, CLOSED_WITHIN_S)
    assert ann.stream.inbox.calls[call.call_id].end_reason == calls.END_REASON_MEDIA_LOST


async def test_an_app_that_crashed_finds_its_call_and_comes_back(household: Household) -> None:
    call_id = await household.talk()
    await household.phone.phone.close()
    # The app begins anew: all that it knows is its device's id.
    again = Phone(household.phone.device, household.phone.stream, SOURCE)
    try:
        again.call_id = call_id
        media = await again.rejoin()
        await media.until_media(PATIENCE_S)
        assert household.ann.phone.state == ACTIVE
        await household.ann.phone.hang_up()
        await again.until_state(ENDED, PATIENCE_S)
    finally:
        await again.close()
