"""Two people who talk through the whole run, so that it shows in what their media was cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

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
        self._sides: list[Session] = []
        self._conversation_id = ""
        self.heard: list[Heard] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Both are there for the length of the block, and hear each other at its beginning."""
        async with AsyncExitStack() as stack:
            source = [SourceOptions(hz, _WIDTH, _HEIGHT, _PICTURES_PER_S) for hz in TONES_HZ]
            for at, user in enumerate(self._users):
                opened = open_session(self._edge, user, source[at], TONES_HZ[1 - at], _PATIENCE_S, reconnects=True)
                self._sides.append(await stack.enter_async_context(opened))
            request = messaging.CreateDirectConversationRequest(peer_user_id=self._users[1])
            created = await self._sides[0].device.messaging.CreateDirectConversation(request)
            self._conversation_id = created.conversation.conversation_id
            await self._call()
            yield

    async def live_on(self, is_over: Callable[[], bool]) -> None:
        """They talk until it is over, and then until both hear each other, if the call still runs."""
        await self._listen(is_over)
        while not is_over():
            try:
                await self._call()
            except _LOST:
                # No call came about: a service is away.
                await asyncio.sleep(_AGAIN_S)
            else:
                await self._listen(is_over)
            await self._hang_up()
        await self._hang_up()

    async def _hang_up(self) -> None:
        for side in self._sides:
            with suppress(*_LOST):
                await side.phone.hang_up()

    async def _call(self) -> None:
        first, second = self._sides
        call = await first.phone.start(self._conversation_id)
        await first.phone.join_media()
        await second.phone.accept(call.call_id)
        await second.phone.join_media()
        for side in self._sides:
            await side.phone.media.until_media(_PATIENCE_S)

    async def _listen(self, is_over: Callable[[], bool]) -> None:
        """Notes what is heard until the call has ended or it is over and both have been heard since."""
        listening = [Listening(side, self._clock()) for side in self._sides]
        over_s = None
        while not any(side.phone.state == ENDED for side in self._sides):
            now_s = self._clock()
            for one in listening:
                one.look(now_s)
            if is_over():
                over_s = over_s or now_s
                if min(one.heard_s[-1] for one in listening) > over_s or now_s - over_s > _PATIENCE_S:
                    break
            await asyncio.sleep(_LOOK_S)
        self.heard += [one.result(self._clock()) for one in listening]


class Listening:
    """What one side hears of the other from `began_s` on."""

    def __init__(self, side: Session, began_s: float) -> None:
        self.heard_s = [began_s]
        self._reconnected_s: list[float] = []
        self._side = side
        self._last: float | None = None

    def look(self, now_s: float) -> None:
        """Whether something has come since the last look."""
        phone = self._side.phone
        if phone.continuity.tone.last_s != self._last:
            self._last = phone.continuity.tone.last_s
            self.heard_s.append(now_s)
        if phone.reconnections > len(self._reconnected_s):
            self._reconnected_s.append(now_s)

    def result(self, now_s: float) -> Heard:
        """All of it."""
        phone = self._side.phone
        return Heard(
            self._side.user_id,
            phone.call_id,
            tuple(self.heard_s),
            tuple(self._reconnected_s),
            until_s=now_s,
            has_ended=phone.state == ENDED,
        )
