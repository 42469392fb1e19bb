"""Faults that break one objective each, or the way through the edge, while healthy traffic goes on."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp
import grpc
from parley.messaging.v1 import service_pb2 as messaging

from loadtests.sfu_media.impairment import Condition, ImpairedRelay
from parley_client.calls import ENDED
from parley_client.client import Edge
from parley_client.media import MediaLostError
from parley_client.session import Session, open_session
from parley_client.tracks import SourceOptions
from parley_client.waiting import DeadlineMissedError

# Two seconds late is a miss of the delivery objective's second, and short of the consumer's session timeout (3 s).
PRESENCE_STOPPED_S = 2.0
# Over the 4 s in which an answered call is to have media.
WORKER_STOPPED_S = 5.0
LOSSY = Condition(loss=0.25, delay_s=0.15)
DEADLINE_S = 20.0
_PAUSE_S = 0.1
_SEND_TIMEOUT_S = 5.0
# What a device may meet while a process is replaced.
_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_CALLER, _CALLEE = SourceOptions(440.0), SourceOptions(587.3)


@dataclass(frozen=True)
class Pair:
    """Two people with a conversation; both ways of both their medias are `relays`, if there are any."""

    caller: Session
    callee: Session
    conversation_id: str

    async def call(
        self,
        seconds: float,
        answered: Callable[[], Awaitable[None]] | None = None,
        connected: Callable[[], None] | None = None,
    ) -> None:
        """A call with media for so long; `answered` is awaited between the answer and the callee's media, `connected`
        called once both have media."""
        await self.caller.phone.start(self.conversation_id)
        ring = await self.callee.phone.until_ring(DEADLINE_S, self.conversation_id)
        await self.caller.phone.join_media()
        await self.callee.phone.accept(ring.call_id)
        if answered:
            await answered()
        await self.callee.phone.join_media()
        for one in (self.caller, self.callee):
            await one.phone.media.until_media(DEADLINE_S)
        if connected:
            connected()
        await asyncio.sleep(seconds)
        await self.hang_up()

    async def hang_up(self) -> None:
        """Both are told that the call ended."""
        await self.caller.phone.hang_up()
        await self.callee.phone.until_state(ENDED, DEADLINE_S)

    async def write(
        self,
        acknowledged: list[tuple[str, int]] | None = None,
        *,
        retry: bool = False,
        pause_s: float = _PAUSE_S,
    ) -> None:
        """Messages, one after the other, until cancelled; adds (client_message_id, seq) of each that was acknowledged.

        `retry`: a send that finds nobody is tried again, the same message, as a device does.
        """
        while True:
            request = messaging.SendMessageRequest(
                conversation_id=self.conversation_id, client_message_id=secrets.token_hex(16)
            )
            request.text.text = "hello"
            seq = await (self._send_until_taken(request) if retry else self._send(request))
            if acknowledged is not None:
                acknowledged.append((request.client_message_id, seq))
            await asyncio.sleep(pause_s)

    async def _send(self, request: messaging.SendMessageRequest) -> int:
        answer = await self.caller.device.messaging.SendMessage(request, timeout=_SEND_TIMEOUT_S)
        return int(answer.message.seq)

    async def _send_until_taken(self, request: messaging.SendMessageRequest) -> int:
        while True:
            try:
                return await self._send(request)
            except grpc.aio.AioRpcError as error:
                if error.code() not in _PASSING:
                    raise
                await asyncio.sleep(_PAUSE_S)


@asynccontextmanager
async def pair(
    edge: Edge,
    relays: tuple[ImpairedRelay, ImpairedRelay] | None = None,
    *,
    mark: str = "",
    reconnects: bool = False,
) -> AsyncIterator[Pair]:
    """Two people, online, whom `mark` tells from others (new ones without it); their media goes over the relays.

    `reconnects`: see `open_session`.
    """
    mark = mark or secrets.token_hex(4)
    async with AsyncExitStack() as stack:
        people = []
        for index, source in enumerate((_CALLER, _CALLEE)):
            expected_hz = (_CALLEE, _CALLER)[index].tone_hz
            name = f"drill-{'ab'[index]}-{mark}"
            if relays is None:
                entered = open_session(edge, name, source, expected_hz, reconnects=reconnects)
            else:
                relay = relays[index]
                address = await relay.start()
                stack.callback(relay.close)
                entered = open_session(
                    edge,
                    name,
                    source,
                    expected_hz,
                    reconnects=reconnects,
                    reroute=lambda sdp, r=relay, a=address: r.reroute(sdp, a),  # type: ignore[misc]
                )
            people.append(await stack.enter_async_context(entered))
        caller, callee = people
        request = messaging.CreateDirectConversationRequest(peer_user_id=callee.user_id)
        made = await caller.device.messaging.CreateDirectConversation(request)
        yield Pair(caller, callee, made.conversation.conversation_id)


async def stall_presence(pids: Mapping[str, int]) -> None:
    """Presence is stopped for 2 s, four times, so that what is sent meanwhile is routed late."""
    for _ in range(4):
        await _stopped(pids["presence"], PRESENCE_STOPPED_S)
        await asyncio.sleep(1.0)


async def delay_media(edge: Edge, pids: Mapping[str, int]) -> None:
    """Calls are answered while the worker stands still, so that their media comes late or never."""
    async with pair(edge) as people:
        for _ in range(2):
            with suppress(grpc.aio.AioRpcError, DeadlineMissedError, MediaLostError):
                await people.call(0.5, lambda: _stopped(pids["sfu"], WORKER_STOPPED_S))
            await people.hang_up()


async def degrade_network(edge: Edge, seconds: float = 25.0) -> None:
    """A call in which both sides lose every fourth packet each way, with half a second of round trip."""
    relays = (ImpairedRelay(seed=1), ImpairedRelay(seed=2))
    async with pair(edge, relays) as people:

        def impair() -> None:
            for relay in relays:
                relay.impair(LOSSY, LOSSY)

        # Not before: whether two people connect at all over such a network is not what this is about.
        await people.call(seconds, connected=impair)


async def fail_page_requests(web_url: str, seconds: float = 20.0) -> None:
    """Pages are asked for, which nobody serves: a stack of its own has no `web`. Only the edge answers."""
    ends_s = time.monotonic() + seconds
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < ends_s:
            async with session.get(web_url) as answer:
                await answer.read()
            await asyncio.sleep(_PAUSE_S)


async def _stopped(pid: int, seconds: float) -> None:
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)
