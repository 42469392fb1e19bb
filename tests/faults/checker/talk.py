"""Two people who talk through the whole run, so that it shows in what their media was cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

import grpc
from parley.messaging.v1 import service_pb2 as messaging

from parley_client.account_sync import SyncGapError
from parley_client.calls import ENDED, NoMediaError
from parley_client.client import Edge, LoginError
from parley_client.media import MediaLostError
from parley_client.session import Session, open_session
from parley_client.tracks import SourceOptions
from parley_client.waiting import DeadlineMissedError
from tests.faults.checker.history import Heard

TONES_HZ = (440.0, 587.3)
# The smallest picture: what is judged is the sound.
_WIDTH, _HEIGHT, _PICTURES_PER_S = 64, 36, 1
# Raising it tells less exactly when there was silence; lowering it makes longer histories.
_LOOK_S = 0.25
_PATIENCE_S = 60.0
_AGAIN_S = 1.0

# What a client meets while a service is away.
_LOST = (DeadlineMissedError, MediaLostError, NoMediaError, LoginError, grpc.aio.AioRpcError, SyncGapError, ValueError)


class Talk:
    """A call of two with sound, begun anew whenever it ends. `clock`: seconds since the run began."""

    def __init__(self, edge: Edge, mark: str, clock: Callable[[], float]) -> None:
        self._edge = edge
        self._users = (f"tom-{mark}", f"uma-{mark}")
        self._clock = clock
        self.heard: list[Heard] = []

    async def live_on(self, is_over: Callable[[], bool]) -> None:
        """They talk until it is over, and then until both hear each other, if the call still runs."""
        async with AsyncExitStack() as stack:
            source = [SourceOptions(hz, _WIDTH, _HEIGHT, _PICTURES_PER_S) for hz in TONES_HZ]
            sides = [
                await stack.enter_async_context(
                    open_session(self._edge, user, source[at], TONES_HZ[1 - at], _PATIENCE_S, reconnects=True)
                )
                for at, user in enumerate(self._users)
            ]
            request = messaging.CreateDirectConversationRequest(peer_user_id=self._users[1])
            created = await sides[0].device.messaging.CreateDirectConversation(request)
            while not is_over():
                try:
                    await self._call(sides, created.conversation.conversation_id, is_over)
                except _LOST:
                    # No call came about: a service is away.
                    await asyncio.sleep(_AGAIN_S)
                for side in sides:
                    with suppress(*_LOST):
                        await side.phone.hang_up()

    async def _call(self, sides: list[Session], conversation_id: str, is_over: Callable[[], bool]) -> None:
        first, second = sides
        call = await first.phone.start(conversation_id)
        await first.phone.join_media()
        await second.phone.accept(call.call_id)
        await second.phone.join_media()
        for side in sides:
            await side.phone.media.until_media(_PATIENCE_S)
        began_s = self._clock()
        heard_s: list[list[float]] = [[began_s], [began_s]]
        renewed_s: list[list[float]] = [[], []]
        last: list[float | None] = [None, None]
        since_s = None
        while not any(side.phone.state == ENDED for side in sides):
            now_s = self._clock()
            for at, side in enumerate(sides):
                if side.phone.continuity.tone.last_s != last[at]:
                    last[at] = side.phone.continuity.tone.last_s
                    heard_s[at].append(now_s)
                if side.phone.reconnections > len(renewed_s[at]):
                    renewed_s[at].append(now_s)
            if is_over():
                since_s = since_s or now_s
                if min(times[-1] for times in heard_s) > since_s or now_s - since_s > _PATIENCE_S:
                    break
            await asyncio.sleep(_LOOK_S)
        for at, side in enumerate(sides):
            has_ended = side.phone.state == ENDED
            self.heard.append(
                Heard(side.user_id, call.call_id, tuple(heard_s[at]), tuple(renewed_s[at]), self._clock(), has_ended)
            )
