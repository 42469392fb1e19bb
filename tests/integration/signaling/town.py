"""A whole signaling service and its users, as the tests of it meet them."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from parley.calls.v1 import messages_pb2, service_pb2_grpc
from parley.calls.v1 import service_pb2 as api

from services.runtime.clock import Clock
from services.runtime.errors import DETAILS_KEY, reason_of
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.lifecycle import App
from services.signaling.config import Config
from services.signaling.wiring import build
from tests.integration.signaling.neighbours import (
    FakeSfu,
    Issuer,
    read_join_token,
)
from tests.support.waiting import PATIENCE_S, eventually

PHONE, TABLET, LAPTOP = "phone-01", "tablet-1", "laptop-1"
RINGING_ACTIVE_ENDED = [
    messages_pb2.CALL_STATE_RINGING,
    messages_pb2.CALL_STATE_ACTIVE,
    messages_pb2.CALL_STATE_ENDED,
]
# Not a refusal of the service: there is no process yet.
NOT_LISTENING = ""
FAILED = grpc.StatusCode.FAILED_PRECONDITION


@dataclass
class Replica:
    """One signaling process's worth of objects, and a channel to it."""

    app: App
    channel: grpc.aio.Channel

    async def is_ready(self) -> bool:
        health = health_pb2_grpc.HealthStub(self.channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service="readiness"))
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def stop(self) -> None:
        """Whatever it held in memory is lost."""
        await self.channel.close()
        await self.app.stop()


@dataclass
class Town:
    """Signaling's neighbours, and a replica that runs for all tests."""

    env: dict[str, str]
    issuer: Issuer
    publisher: KafkaPublisher
    sfu: FakeSfu
    conversations: dict[str, list[str]]
    closed: set[str]
    replica: Replica

    def pair(self) -> "Pair":
        """Two new users with a conversation."""
        pair = Pair(self, str(uuid4()), f"alice-{uuid4().hex[:8]}", f"bob-{uuid4().hex[:8]}")
        self.conversations[pair.conversation_id] = [pair.alice, pair.bob]
        return pair

    def user(self, user_id: str, replica: Replica | None = None) -> "User":
        """One user's client, at a replica."""
        token = self.issuer.token(user_id)
        return User((replica or self.replica).channel, (("authorization", f"Bearer {token}"),))

    @asynccontextmanager
    async def worker(self, participants: int = 0) -> AsyncIterator[FakeSfu]:
        """Another worker, emptier than the town's unless something else is said."""
        worker = FakeSfu(f"sfu-{uuid4().hex[:8]}", self.publisher, participants=participants)
        await worker.start()
        try:
            yield worker
        finally:
            await worker.stop()

    @asynccontextmanager
    async def another(self, own_clock: Clock | None = None, **env: str) -> AsyncIterator[Replica]:
        """One more replica, with settings of its own, on a host with such a clock."""
        replica = await start_replica(self.env | env, own_clock)
        try:
            yield replica
        finally:
            await replica.stop()


@dataclass(frozen=True)
class Pair:
    """Two users who call each other."""

    town: Town
    conversation_id: str
    alice: str
    bob: str

    async def ring(self, replica: Replica | None = None) -> api.StartCallResponse:
        """Alice's phone calls Bob, as soon as the replica knows of a worker."""
        alice = self.town.user(self.alice, replica)
        answers: list[api.StartCallResponse] = []
        request = api.StartCallRequest(
            conversation_id=self.conversation_id, video=True, device_id=PHONE, client_call_id=str(uuid4())
        )

        async def is_placed() -> bool:
            passing = ("NO_MEDIA_WORKER", "STORE_UNAVAILABLE", NOT_LISTENING)
            return await attempt(alice.call("StartCall", request), answers, *passing)

        await eventually(is_placed)
        return answers[0]

    async def ring_on(self, worker: FakeSfu) -> api.StartCallResponse:
        """The same on that worker, once its announcements have come through."""
        found: list[api.StartCallResponse] = []

        async def is_on_worker() -> bool:
            start = await self.ring()
            claims = read_join_token(start.grant.join_token)
            if claims["worker"] != worker.worker_id:
                await self.town.user(self.alice).call("CancelCall", api.CancelCallRequest(call_id=start.call.call_id))
                return False
            found.append(start)
            return True

        await eventually(is_on_worker)
        return found[0]

    async def answered(self, replica: Replica | None = None) -> tuple[api.StartCallResponse, api.AcceptCallResponse]:
        """Alice's phone calls Bob, and his tablet takes it."""
        start = await self.ring(replica)
        accept = api.AcceptCallRequest(call_id=start.call.call_id, device_id=TABLET)
        return start, await self.town.user(self.bob, replica).call("AcceptCall", accept)


async def start_replica(env: dict[str, str], own_clock: Clock | None = None) -> Replica:
    app = build(Config.from_env(env), own_clock)
    await app.start()
    assert app.server is not None
    return Replica(app, grpc.aio.insecure_channel(f"127.0.0.1:{app.server.port}"))


@dataclass(frozen=True)
class User:
    """Calls RPCs with a user's token."""

    channel: grpc.aio.Channel
    metadata: tuple[tuple[str, str], ...] = ()

    async def call(self, name: str, request: Any) -> Any:
        stub = service_pb2_grpc.CallsServiceStub(self.channel)
        return await getattr(stub, name)(request, metadata=self.metadata, timeout=PATIENCE_S)

    async def join(self, grant: messages_pb2.MediaGrant, offer: str = "offer") -> str:
        request = api.JoinMediaRequest(join_token=grant.join_token, sdp_offer=offer)
        return str((await self.call("JoinMedia", request)).sdp_answer)

    async def state(self, call_id: str) -> tuple[int, int]:
        """State and end reason."""
        call = (await self.call("GetCall", api.GetCallRequest(call_id=call_id))).call
        return call.state, call.end_reason


async def attempt(call: Awaitable[Any], answers: list[Any], *passing: str) -> bool:
    """Whether the call was answered; the answer is put into the list. Some refusals pass by themselves."""
    try:
        answers.append(await call)
    except grpc.aio.AioRpcError as error:
        if reason_of(error) not in passing:
            raise
        return False
    return True


@asynccontextmanager
async def refused(code: grpc.StatusCode, reason: str) -> AsyncIterator[list[status_pb2.Status]]:
    """The block must end in that refusal; its google.rpc.Status is put into the list."""
    details: list[status_pb2.Status] = []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield details
    assert (caught.value.code(), reason_of(caught.value)) == (code, reason)
    raw = dict(caught.value.trailing_metadata() or ())[DETAILS_KEY]
    details.append(status_pb2.Status.FromString(raw))


def find_detail(status: status_pb2.Status, kind: Any) -> Any:
    """The detail of that kind."""
    for packed in status.details:
        found = kind()
        if packed.Unpack(found):
            return found
    raise AssertionError(f"no {kind.DESCRIPTOR.name}")
