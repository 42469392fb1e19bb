"""Two people in a call in which both hear and see each other."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from parley.messaging.v1 import service_pb2 as messaging

from deploy.embedded.record import StackRecord
from parley_client.calls import Reroute
from parley_client.client import Edge
from parley_client.media import MediaEndpoint, MediaLostError
from parley_client.session import Session, open_session
from parley_client.tracks import SourceOptions
from parley_client.waiting import DeadlineMissedError
from tests.support.waiting import PATIENCE_S, until


@dataclass
class Talk:
    """The call; the caller is the first of the sides."""

    conversation_id: str
    call_id: str
    sides: tuple[Session, Session]

    async def until_more_media(self, tone_ms: float) -> None:
        """Waits until both have heard this much more, and seen more pictures, on the connection that they have now.

        When the call moves meanwhile, on the one that it moved to.
        """
        try:
            await asyncio.gather(*(_until_more(side, tone_ms) for side in self.sides))
        except DeadlineMissedError as error:
            # One side hears nothing also where the other one does not speak any more.
            for side in self.sides:
                media = side.phone.media
                seen = f"{media.tone_ms_decoded:g} ms of tone, {media.video_frames_decoded} pictures"
                error.add_note(f"{side.user_id}: {media.state}, {seen}")
            raise


async def _until_more(side: Session, tone_ms: float) -> None:
    while True:
        media = side.phone.media
        try:
            return await _until_more_on(media, tone_ms, f"{tone_ms:g} ms more at {side.user_id}")
        except MediaLostError as error:
            # A move ends the connection before it, perhaps sooner than the next one is there.
            await until(partial(_has_left, side, media), what=f"another connection ({error})")


def _has_left(side: Session, media: MediaEndpoint) -> bool:
    return side.phone.media is not media


async def _until_more_on(media: MediaEndpoint, tone_ms: float, what: str) -> None:
    goal, frames = media.tone_ms_decoded + tone_ms, media.video_frames_decoded
    await media.until(
        lambda: media.tone_ms_decoded >= goal and media.video_frames_decoded > frames,
        PATIENCE_S,
        what,
        # A minute of tone is as good on a machine that plays it in two.
        lambda: (media.state, min(media.tone_ms_decoded, goal), min(media.video_frames_decoded, frames + 1)),
    )


@asynccontextmanager
async def talking(
    record: StackRecord,
    *,
    pictures_per_s: int = 10,
    deadline_s: float = PATIENCE_S,
    relay: str = "",
    reroute: Reroute = lambda answer: answer,
) -> AsyncIterator[Talk]:
    """A call of two new users from when both have media. `reroute` changes the caller's way alone."""
    edge = Edge(record.edge_address, record.issuer_url)
    source = SourceOptions(width=160, height=90, pictures_per_s=pictures_per_s)
    async with AsyncExitStack() as cleanup:

        async def enter(name: str, reroute: Reroute) -> Session:
            user_id = f"{name}-{secrets.token_hex(4)}"
            one = open_session(edge, user_id, source, source.tone_hz, deadline_s, relay=relay, reroute=reroute)
            return await cleanup.enter_async_context(one)

        caller, callee = await enter("caller", reroute), await enter("callee", lambda answer: answer)
        request = messaging.CreateDirectConversationRequest(peer_user_id=callee.user_id)
        conversation = (await caller.device.messaging.CreateDirectConversation(request)).conversation
        call = await caller.phone.start(conversation.conversation_id)
        await caller.phone.join_media()
        await callee.phone.until_ring(deadline_s)
        await callee.phone.accept(call.call_id)
        await callee.phone.join_media()
        await asyncio.gather(*(side.phone.media.until_media(deadline_s) for side in (caller, callee)))
        yield Talk(conversation.conversation_id, call.call_id, (caller, callee))
