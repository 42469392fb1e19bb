"""Two people who talk and two who write while something is done to the services, and what they notice of it.

The promise that is judged: no acknowledged message is lost, and no call is cut.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from loadtests.observing.drill import Pair, pair
from parley_client.calls import ACTIVE
from parley_client.client import Edge
from parley_client.delivery_checks import delivery_faults, order_differences
from parley_client.media import MediaLostError
from parley_client.session import Session

log = structlog.get_logger()

DEADLINE_S = 60.0
STALL_STEP_S = 0.25
# A worker gives up a device that is silent for 30 s, and signaling its call after another 60 s.
LONGEST_STALL_S = 20.0


class Acknowledged(list[tuple[str, int]]):
    """(client_message_id, seq) of each message that was acknowledged, and the longest time between two of them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._last_s = clock()
        self._longest_s = 0.0
        self._more = asyncio.Event()

    def append(self, message: tuple[str, int]) -> None:
        """One more."""
        self._note()
        super().append(message)
        self._more.set()

    async def another(self) -> None:
        """Waits for one more than there are now."""
        self._more.clear()
        await self._more.wait()

    def take_longest_gap_s(self) -> float:
        """Since the last such question, or the start; what lasts still counts."""
        self._note()
        longest_s, self._longest_s = self._longest_s, 0.0
        return round(longest_s, 2)

    def _note(self) -> None:
        now_s = self._clock()
        self._longest_s = max(self._longest_s, now_s - self._last_s)
        self._last_s = now_s


@dataclass
class Noticed:
    """What came of it, in the end."""

    messages: int = 0
    # How long this process, which plays the devices, stood still: what the call missed then nobody else caused.
    client_stalled_s: float = 0.0
    errors: list[str] = field(default_factory=list)

    @property
    def stood_still(self) -> bool:
        """Whether this process was silent for so long that others had to give its devices up."""
        return self.client_stalled_s > LONGEST_STALL_S


class Witnesses:
    """The four of them, while it lasts."""

    def __init__(self, talkers: Pair | None, writers: Pair, noticed: Noticed) -> None:
        self.talkers = talkers
        self.writers = writers
        self.acknowledged = Acknowledged()
        self._noticed = noticed

    def begin(self) -> None:
        """From now on counts for what is done next."""
        self.acknowledged.take_longest_gap_s()
        if self.talkers:
            _gap_s(self.talkers)

    async def look(self, what: str) -> dict[str, float]:
        """What they noticed of it since `begin`; one message more is acknowledged, and each side hears the other."""
        await self._still_writes(what)
        figures: dict[str, float] = {"longest_gap_of_messages_s": self.acknowledged.take_longest_gap_s()}
        if self.talkers is None:
            return figures
        await self._still_talks(self.talkers, what)
        phones = [one.phone for one in (self.talkers.caller, self.talkers.callee)]
        return figures | {
            "longest_gap_of_the_call_s": _gap_s(self.talkers),
            # So far in this call: how often it went to another worker, and how often a side had to join anew by itself.
            "moves": phones[0].media_epoch,
            "returns": sum(phone.reconnections for phone in phones),
        }

    async def finish(self) -> None:
        """The judgement."""
        self._noticed.messages = len(self.acknowledged)
        if self.talkers:
            self._judge_returns(self.talkers)
        await self._compare()
        if self.talkers:
            await self.talkers.hang_up()

    def _judge_returns(self, talkers: Pair) -> None:
        """What is done in order cuts no connection: only devices that stood still themselves have to join anew."""
        returns = sum(one.phone.reconnections for one in (talkers.caller, talkers.callee))
        if returns and not self._noticed.stood_still:
            self._noticed.errors.append(f"{returns} connections of the call were cut, and joined anew")

    async def _still_writes(self, what: str) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self.acknowledged.another()
        except TimeoutError:
            self._noticed.errors.append(f"after {what} no message was acknowledged within {DEADLINE_S:.0f} s")

    async def _still_talks(self, people: Pair, what: str) -> None:
        """Each side hears a second more of the other, in the same call."""
        for one in (people.caller, people.callee):
            await _until_heard(one, f"a second of sound after {what}")
            if one.phone.state != ACTIVE:
                self._noticed.errors.append(f"after {what} the call is not active")

    async def _compare(self) -> None:
        """Whatever was acknowledged stands once, in one order, at both."""
        people, last = self.writers, self.acknowledged[-1][1]
        for one in (people.caller, people.callee):
            history = one.history(people.conversation_id)
            await one.stream.until(lambda h=history: h.cursor >= last, DEADLINE_S, f"message {last} at {one.user_id}")  # type: ignore[misc]
        ours, theirs = (one.history(people.conversation_id) for one in (people.caller, people.callee))
        self._noticed.errors += delivery_faults(ours, self.acknowledged) + delivery_faults(theirs, self.acknowledged)
        self._noticed.errors += order_differences(ours, theirs)


@asynccontextmanager
async def watching(edge: Edge, noticed: Noticed, *, call: bool = True) -> AsyncIterator[Witnesses]:
    """They talk (unless without a `call`) and write for the length of the block, and judge at its end.

    Raises what broke it: DeadlineMissedError, MediaLostError, grpc.aio.AioRpcError.
    """
    async with _talkers(edge, call) as talkers, pair(edge) as writers:
        witnesses = Witnesses(talkers, writers, noticed)
        writing = writers.write(witnesses.acknowledged, retry=True)
        async with _running(writing), _running(_note_stalls(noticed)):
            yield witnesses
        await witnesses.finish()


@asynccontextmanager
async def _talkers(edge: Edge, call: bool) -> AsyncIterator[Pair | None]:
    if not call:
        yield None
        return
    async with pair(edge, reconnects=True) as talkers:
        await _begin_call(talkers)
        yield talkers


async def _begin_call(people: Pair) -> None:
    await people.caller.phone.start(people.conversation_id)
    ring = await people.callee.phone.until_ring(DEADLINE_S, people.conversation_id)
    await people.callee.phone.accept(ring.call_id)
    for one in (people.caller, people.callee):
        await one.phone.join_media()
    for one in (people.caller, people.callee):
        await one.phone.media.until_media(DEADLINE_S)


async def _note_stalls(noticed: Noticed) -> None:
    while True:
        before_s = time.monotonic()
        await asyncio.sleep(STALL_STEP_S)
        stalled_s = time.monotonic() - before_s - STALL_STEP_S
        noticed.client_stalled_s = max(noticed.client_stalled_s, round(stalled_s, 1))


async def _until_heard(one: Session, what: str) -> None:
    """A second more of the other side, on this connection or on the one that takes its place."""
    while True:
        media = one.phone.media
        goal_ms = media.tone_ms_decoded + 1000
        try:
            return await media.until(lambda: media.tone_ms_decoded > goal_ms, DEADLINE_S, what)  # noqa: B023
        except MediaLostError:
            log.warning("media_lost", device=one.device.device_id)
        await one.stream.until(lambda: one.phone.media is not media, DEADLINE_S, f"{what}: a new connection")  # noqa: B023


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """The work goes on for the length of the block; what broke it is raised."""
    task = asyncio.create_task(work)
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _gap_s(people: Pair) -> float:
    """The longest time in which either heard nothing of the other since it was last asked."""
    tones = [one.phone.continuity.tone for one in (people.caller, people.callee)]
    longest_s = max(tone.longest_gap_s for tone in tones)
    for tone in tones:
        tone.longest_gap_s = 0.0
    return round(longest_s, 2)
