"""kill -9 of the only signaling process while a call is in each state: another process takes it to its one outcome."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import grpc
import pytest
from parley.calls.v1 import events_pb2 as calls_events
from parley.calls.v1 import messages_pb2, operations_pb2, operations_pb2_grpc
from parley.calls.v1 import service_pb2 as api

from services.runtime.grpc.channels import connect
from services.signaling.core.model import CallState, EndReason
from tests.integration.signaling.neighbours import FakeSfu, Reader
from tests.integration.signaling.town import NOT_LISTENING, PHONE, TABLET, Pair, Replica, Town, User, attempt
from tests.support.admins import admin
from tests.support.ports import free_port
from tests.support.processes import ServiceProcess
from tests.support.waiting import PATIENCE_S, eventually, until

# What passes while a process starts.
PASSING = (NOT_LISTENING, "STORE_UNAVAILABLE", "NO_MEDIA_WORKER", "MEDIA_UNAVAILABLE")


class Process(ServiceProcess):
    """Signaling as a process of its own, always at the same address."""

    def __init__(self, town: Town) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.admin_address = f"127.0.0.1:{free_port()}"
        env = {
            **town.env,
            "PARLEY_GRPC_ADDRESS": self.address,
            "PARLEY_ADMIN_ADDRESS": self.admin_address,
            "PARLEY_METRICS_ADDRESS": "127.0.0.1:0",
            # Rings and lost media end while the tests look, and not while a process starts.
            "PARLEY_RING_TIMEOUT_S": "15",
            "PARLEY_HANDOFF_S": "15",
            # The broker gives the dead process's partitions to the next one that late.
            "PARLEY_MEDIA_SETTLE_S": "12",
        }
        super().__init__("services.signaling", env)


@dataclass
class Scene:
    """Two people, the process that is killed, and the call."""

    town: Town
    process: Process
    pair: Pair
    call_id: str = ""

    @property
    def alice(self) -> User:
        return self.town.user(self.pair.alice)

    @property
    def bob(self) -> User:
        return self.town.user(self.pair.bob)

    async def ask(self, user: User, name: str, request: Any) -> Any:
        """The answer, as soon as there is a process that gives it."""
        answers: list[Any] = []
        await eventually(lambda: attempt(user.call(name, request), answers, *PASSING))
        return answers[0]

    async def ring(self) -> messages_pb2.MediaGrant:
        start = await self.pair.ring()
        self.call_id = start.call.call_id
        return start.grant

    async def answer(self) -> tuple[messages_pb2.MediaGrant, messages_pb2.MediaGrant]:
        hers = await self.ring()
        accepted = await self.ask(self.bob, "AcceptCall", api.AcceptCallRequest(call_id=self.call_id, device_id=TABLET))
        return hers, accepted.grant

    async def talk(self) -> None:
        for user, grant in zip((self.alice, self.bob), await self.answer(), strict=True):
            await user.join(grant)

    async def leave(self) -> None:
        await self.ask(self.alice, "LeaveCall", api.LeaveCallRequest(call_id=self.call_id, device_id=PHONE))


async def ringing(scene: Scene) -> None:
    await scene.ring()


async def connecting(scene: Scene) -> None:
    scene.town.sfu.reports_media = False
    await scene.answer()


async def active(scene: Scene) -> None:
    await scene.talk()


async def moving(scene: Scene) -> None:
    """The devices are told of the move, and none has followed."""
    await scene.talk()
    async with connect(scene.process.admin_address, admin("operator")) as channel:
        stub = operations_pb2_grpc.CallOperationsServiceStub(channel)
        request = operations_pb2.MoveCallRequest(call_id=scene.call_id)
        await eventually(lambda: attempt(stub.MoveCall(request, timeout=PATIENCE_S), [], *PASSING))


async def ending(scene: Scene) -> None:
    """The process dies over the request, whose answer nobody gets: it may or may not have been written."""
    await scene.talk()
    leave = api.LeaveCallRequest(call_id=scene.call_id, device_id=PHONE)
    asked = asyncio.create_task(scene.alice.call("LeaveCall", leave))
    await scene.process.kill()
    await asyncio.gather(asked, return_exceptions=True)


async def ended(scene: Scene) -> None:
    """Answered, and perhaps told to nobody yet."""
    await scene.talk()
    await scene.leave()


async def refused_as_busy(scene: Scene) -> None:
    await scene.talk()
    other, carol = str(uuid4()), f"carol-{uuid4().hex[:8]}"
    scene.town.conversations[other] = [carol, scene.pair.bob]
    request = api.StartCallRequest(conversation_id=other, device_id=PHONE, client_call_id="c")
    busy = await scene.ask(scene.town.user(carol), "StartCall", request)
    await scene.leave()
    scene.call_id, scene.pair = busy.call.call_id, Pair(scene.town, other, carol, scene.pair.bob)


async def wait(scene: Scene) -> None:
    """Nobody does anything: timers alone end it."""


async def decline(scene: Scene) -> None:
    await scene.ask(scene.bob, "DeclineCall", api.DeclineCallRequest(call_id=scene.call_id))


async def cancel(scene: Scene) -> None:
    await scene.ask(scene.alice, "CancelCall", api.CancelCallRequest(call_id=scene.call_id))


async def hang_up(scene: Scene) -> None:
    await scene.leave()


async def follow_and_hang_up(scene: Scene) -> None:
    """The devices go to the new worker; the former one is let go of by the process that came after the kill."""
    for user, device_id in ((scene.alice, PHONE), (scene.bob, TABLET)):
        renew = api.RenewMediaGrantRequest(call_id=scene.call_id, device_id=device_id)
        grant = (await scene.ask(user, "RenewMediaGrant", renew)).grant
        assert grant.media_epoch == 1
        await user.join(grant)
    await until(lambda: scene.call_id in scene.town.sfu.ended, what="the end on the former worker")
    await scene.leave()


Act = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True)
class Case:
    """How the call gets where it is when the process is killed, what is done after, and how the call must end."""

    state: CallState
    bring: Act
    then: Act
    reason: EndReason


CASES = [
    Case(CallState.RINGING, ringing, wait, EndReason.MISSED),
    Case(CallState.RINGING, ringing, decline, EndReason.DECLINED),
    Case(CallState.RINGING, ringing, cancel, EndReason.CANCELLED),
    Case(CallState.ACTIVE, connecting, wait, EndReason.MEDIA_LOST),
    Case(CallState.ACTIVE, active, hang_up, EndReason.HUNG_UP),
    Case(CallState.ACTIVE, moving, follow_and_hang_up, EndReason.HUNG_UP),
    Case(CallState.ACTIVE, ending, hang_up, EndReason.HUNG_UP),
    Case(CallState.ENDED, ended, wait, EndReason.HUNG_UP),
    Case(CallState.ENDED, refused_as_busy, wait, EndReason.BUSY),
]


def test_every_state_and_every_outcome_of_the_table_has_its_case() -> None:
    assert {case.state for case in CASES} == set(CallState)
    assert {case.reason for case in CASES} == set(EndReason)


@asynccontextmanager
async def scene_in(neighbours: Town) -> AsyncIterator[Scene]:
    """A town where the process is all there is of signaling."""
    process = Process(neighbours)
    channel = grpc.aio.insecure_channel(process.address, options=[("grpc.max_reconnect_backoff_ms", 200)])
    town = replace(neighbours, replica=Replica(neighbours.replica.app, channel))
    await process.start()
    try:
        yield Scene(town, process, town.pair())
    finally:
        await process.kill()
        await channel.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.bring.__name__}-{case.then.__name__}")
async def test_a_call_has_one_outcome_although_signaling_was_killed(
    neighbours: Town, broker: str, other_worker: FakeSfu, case: Case
) -> None:
    neighbours.sfu.reports_media = True
    async with scene_in(neighbours) as scene:
        await case.bring(scene)
        await scene.process.kill()
        await scene.process.start()
        await case.then(scene)
        await assert_ended(scene, broker, case.reason)
        await assert_both_can_call_again(scene)


async def assert_ended(scene: Scene, broker: str, reason: EndReason) -> None:
    """The record of both has it, and the events have told it, once."""
    wanted = messages_pb2.EndReason.Value(f"END_REASON_{reason.name}")

    async def is_recorded(user: User) -> bool:
        listed = (await scene.ask(user, "ListCalls", api.ListCallsRequest())).calls
        found = [entry.call for entry in listed if entry.call.call_id == scene.call_id]
        assert [call.end_reason for call in found] in ([], [wanted])
        return bool(found)

    for user in (scene.alice, scene.bob):
        await eventually(lambda user=user: is_recorded(user))  # type: ignore[misc]
    reader = Reader(broker, "calls.events.v1", scene.town.publisher)
    await reader.start()
    try:

        def told() -> dict[int, messages_pb2.Call]:
            """The call by version, in the order in which it was told first; a crash may have it told again."""
            events = [calls_events.CallEvent.FromString(value) for value in reader.values()]
            calls = [event.call_changed.call for event in events if event.HasField("call_changed")]
            return {call.version: call for call in calls if call.call_id == scene.call_id}

        await until(
            lambda: any(call.state == messages_pb2.CALL_STATE_ENDED for call in told().values()),
            what="the news of the end",
        )
    finally:
        await reader.stop()
    versions = list(told())
    assert versions == sorted(versions)
    ends = [version for version, call in told().items() if call.state == messages_pb2.CALL_STATE_ENDED]
    assert ends == versions[-1:]
    assert told()[versions[-1]].end_reason == wanted


async def assert_both_can_call_again(scene: Scene) -> None:
    """Nobody is left in a call, nor rung by one."""
    for user in (scene.alice, scene.bob):
        assert list((await user.call("ListActiveCalls", api.ListActiveCallsRequest())).calls) == []
    for user in (scene.bob, scene.alice):
        request = api.StartCallRequest(
            conversation_id=scene.pair.conversation_id, device_id=PHONE, client_call_id=str(uuid4())
        )
        again = await scene.ask(user, "StartCall", request)
        assert again.call.state == messages_pb2.CALL_STATE_RINGING
        await user.call("CancelCall", api.CancelCallRequest(call_id=again.call.call_id))
