"""A client of the checker notes what it knows of a request, whatever becomes of its device meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random

import pytest
from parley.messaging.v1 import service_pb2 as messaging

from parley_client.client import AccessToken, Device, Edge, LoginError, TokenSource
from tests.faults.checker.asking import CLOSED, GIVE_UP_S, Recorder
from tests.faults.checker.history import Action, Operation, Outcome
from tests.faults.checker.people import Conversation, Person
from tests.support.waiting import PATIENCE_S, within

# Nobody listens there.
NOWHERE = Edge("127.0.0.1:1")


async def login(_: str) -> AccessToken:
    return AccessToken("token", expires_at_s=1e12)


@pytest.fixture
async def device() -> AsyncIterator[Device]:
    made = Device(NOWHERE, "alice", "alice-phone", TokenSource("alice", login))
    yield made
    await made.close()


class Clock:
    """Seconds that pass whenever somebody looks."""

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s
        self._now_s = 0.0

    def __call__(self) -> float:
        self._now_s += self._step_s
        return self._now_s


def send(device: Device) -> Awaitable[object]:
    """A request that waits until there is somebody to take it."""
    return device.messaging.SendMessage(messaging.SendMessageRequest(), timeout=600, wait_for_ready=True)


async def asked(recorder: Recorder, call: Callable[[], Awaitable[object]]) -> Operation:
    """What is noted of a request that is not answered."""
    assert await recorder.ask(("alice", "alice-phone"), Action.SEND, call) is None
    return recorder.operations[-1]


async def begun(device: Device, recorder: Recorder) -> asyncio.Task[Operation]:
    """A request that is under way."""
    is_sent = asyncio.Event()

    def call() -> Awaitable[object]:
        is_sent.set()
        return send(device)

    asking = asyncio.create_task(asked(recorder, call))
    await within(is_sent.wait(), PATIENCE_S)
    return asking


async def test_a_request_that_ends_with_its_device_may_have_been_done(device: Device) -> None:
    asking = await begun(device, Recorder(Clock(0.0), Random(1)))
    await device.close()
    done = await asking
    assert (done.outcome, done.status) == (Outcome.UNKNOWN, CLOSED)


async def test_a_device_that_is_put_away_asks_nothing_more(device: Device) -> None:
    await device.close()
    done = await asked(Recorder(Clock(0.0), Random(1)), lambda: send(device))
    assert (done.outcome, done.status) == (Outcome.UNKNOWN, CLOSED)


async def test_whoever_is_cancelled_while_asking_is_cancelled(device: Device) -> None:
    recorder = Recorder(Clock(0.0), Random(1))
    asking = await begun(device, recorder)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert recorder.operations == []


async def test_what_was_never_sent_for_want_of_a_token_was_not_done() -> None:
    async def refuse() -> object:
        raise LoginError("the issuer is away")

    done = await asked(Recorder(Clock(GIVE_UP_S / 4), Random(1)), refuse)
    assert (done.outcome, done.status) == (Outcome.FAILED, "no token: LoginError")


async def test_a_person_whose_devices_are_put_away_does_nothing() -> None:
    recorder = Recorder(Clock(0.0), Random(1))
    person = Person(NOWHERE, "alice", recorder, Random(1), Clock(0.0))
    person.conversations.append(Conversation("conversation", ["alice", "bob"]))
    for act in (person.send, person.send_again, person.read, person.read_on_all, person.edit, person.unsend):
        await act()
    for act in (person.react, person.ask_all, person.vote, person.restart):
        await act()
    assert recorder.operations == []
