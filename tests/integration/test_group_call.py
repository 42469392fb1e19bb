"""A group's call with real media: three people hear each other, one comes late, one leaves, nobody else is cut off."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack

from parley.messaging.v1 import service_pb2 as messaging

from parley_client.calls import ENDED
from parley_client.client import Edge
from parley_client.session import Session, open_session
from parley_client.tracks import SourceOptions
from tests.support.stack import RunningStack
from tests.support.waiting import PATIENCE_S


async def until_hears(side: Session, others: int) -> None:
    """Waits until the tones of so many others have come."""
    media = side.phone.media
    await media.until(lambda: media.heard_slots >= others, PATIENCE_S, f"{others} tones at {side.user_id}")


async def test_three_people_talk_one_joins_late_and_one_leaves(stack: RunningStack) -> None:
    edge = Edge(stack.record.edge_address, stack.record.issuer_url)
    source = SourceOptions(width=160, height=90, pictures_per_s=2)
    async with AsyncExitStack() as cleanup:
        ann, bob, cid = [
            await cleanup.enter_async_context(
                open_session(edge, f"{name}-{secrets.token_hex(4)}", source, source.tone_hz, PATIENCE_S)
            )
            for name in ("ann", "bob", "cid")
        ]
        request = messaging.CreateGroupRequest(
            user_ids=[bob.user_id, cid.user_id], title="Three", client_conversation_id=secrets.token_hex(8)
        )
        conversation = (await ann.device.messaging.CreateGroup(request)).conversation
        call = await ann.phone.start(conversation.conversation_id)
        assert call.group
        await ann.phone.join_media()
        await bob.phone.until_ring(PATIENCE_S)
        await bob.phone.accept(call.call_id)
        await bob.phone.join_media()
        await asyncio.gather(until_hears(ann, 1), until_hears(bob, 1))
        await cid.phone.join(call.call_id)
        await cid.phone.join_media()
        await asyncio.gather(*(until_hears(side, 2) for side in (ann, bob, cid)))
        await ann.phone.hang_up()
        heard = bob.phone.media.tone_ms_decoded
        await bob.phone.media.until(
            lambda: bob.phone.media.tone_ms_decoded > heard + 1000, PATIENCE_S, "bob still hears cid"
        )
        assert bob.phone.state != ENDED
        await bob.phone.hang_up()
        await cid.phone.hang_up()
        for side in (ann, bob, cid):
            await side.phone.until_state(ENDED, PATIENCE_S)
