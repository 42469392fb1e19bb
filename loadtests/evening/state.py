"""What an evening is made of while it runs: who is where, what is on its way, what was measured."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import grpc

from loadtests.evening.handset import Person
from loadtests.evening.latencies import Latencies
from loadtests.evening.people import People
from loadtests.evening.schedule import Action, Schedule
from loadtests.evening.tally import OnTheirWay, TypingNotices
from loadtests.evening.town import Town
from parley_client.client import Edge, LoginError
from parley_client.error_details import reason_of
from parley_client.waiting import DeadlineMissedError

# What a stack that is overloaded or broken brings about. Anything else is a fault of the generator, and ends it.
EXPECTED = (grpc.aio.AioRpcError, DeadlineMissedError, LoginError, aiohttp.ClientError, TimeoutError, ConnectionError)


@dataclass
class Evening:
    """The state that all of the evening's parts share. Times are those of `time.monotonic`."""

    edge: Edge
    town: Town
    # Draws what people do.
    habits: People
    persons: list[Person]
    # By place.
    conversation_ids: list[str]
    latencies: Latencies
    http: aiohttp.ClientSession
    schedule: Schedule = field(default_factory=Schedule)
    on_their_way: OnTheirWay = field(default_factory=OnTheirWay)
    typing: TypingNotices = field(default_factory=TypingNotices)
    counts: Counter[str] = field(default_factory=Counter)
    # Late messages of devices that have left, in words.
    faults: list[str] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    # What no stack brings about: a fault of the generator.
    crash: BaseException | None = None
    # Wakes whoever waits for the next action that is due.
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.by_user = {person.user_id: person for person in self.persons}
        self.place_of = {key: number for number, key in enumerate(self.conversation_ids)}

    def add(self, *actions: Action) -> None:
        """More is due."""
        self.schedule.add(*actions)
        self.woken.set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Does something beside; what is no expected error ends the evening."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._finish)

    def begin_service(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Does something for as long as the evening lasts: nobody waits for its end. Cancel it."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._note_crash)
        return task

    def _finish(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        # A device that was closed over it.
        self.counts["broken off"] += task.cancelled()
        self._note_crash(task)

    def _note_crash(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self.crash = error
            self.woken.set()

    def record(self, name: str, due_s: float) -> None:
        """It is done now."""
        self.latencies.record(name, due_s, time.monotonic())

    def fail(self, name: str, due_s: float, error: BaseException) -> None:
        """It went wrong, as the stack may."""
        self.latencies.fail(name, due_s, reason_text(error))


def reason_text(error: BaseException) -> str:
    """In a word or two, for a table of few rows."""
    if isinstance(error, grpc.aio.AioRpcError):
        return reason_of(error) or error.code().name
    return type(error).__name__
