"""The services around signaling, made of their protos: an SFU worker, messaging's membership, the network's issuer."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from aiohttp import web
from google.protobuf.timestamp_pb2 import Timestamp
from parley.calls.v1 import events_pb2 as calls_events
from parley.messaging.v1 import service_pb2 as messaging
from parley.messaging.v1 import service_pb2_grpc as messaging_grpc
from parley.sfu.v1 import events_pb2 as sfu_events
from parley.sfu.v1 import service_pb2 as sfu
from parley.sfu.v1 import service_pb2_grpc as sfu_grpc

from deploy.embedded.issuer import ADMIN_JWKS_PATH, make_app, make_token
from deploy.embedded.keys import KeyRing
from services.runtime.clock import SystemClock
from services.runtime.config import KafkaConfig, ServerConfig
from services.runtime.env import EnvReader
from services.runtime.errors import BusUnavailable, ErrorTable, Refusal
from services.runtime.grpc.guard import Access
from services.runtime.grpc.server import Api, RpcServer
from services.runtime.ids import new_id
from services.runtime.kafka.bus import Incoming, Outgoing
from services.runtime.kafka.consumer import KafkaConsumer
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.kafka.subscription import Subscription
from tests.support.admins import PUBLIC_KEYS
from tests.support.identities import environment as identity_env
from tests.support.identities import keys_of, tokens_of

CLOCK = SystemClock()
ANNOUNCE_INTERVAL_S = 0.5


def kafka_config(broker: str) -> KafkaConfig:
    env = {
        "PARLEY_KAFKA_BOOTSTRAP": broker,
        "PARLEY_KAFKA_IDEMPOTENT": "false",
        "PARLEY_KAFKA_FETCH_WAIT_MS": "50",
    }
    return KafkaConfig.read(EnvReader(env))


def server_config() -> ServerConfig:
    env = {"PARLEY_GRPC_ADDRESS": "127.0.0.1:0", "PARLEY_DRAIN_GRACE_S": "0", **identity_env("messaging")}
    return ServerConfig.read(EnvReader(env), public=False)


def read_join_token(token: str) -> dict[str, Any]:
    """What a join token of signaling says. Raises jwt.PyJWTError."""
    options = {"audience": "parley-sfu", "issuer": "parley-signaling"}
    signer, claims = keys_of("sfu").decode(token, "parley-join+jwt", required=("exp",), **options)
    if signer != "signaling":
        raise AssertionError(f"signed by {signer}")
    return claims


class SdpRefused(Exception):
    """The worker finds a fault in the offer."""


class WorkerFull(Exception):
    """The worker has no seat left."""


class Draining(Exception):
    """The worker takes nobody any more."""


SFU_ERRORS: ErrorTable = {
    SdpRefused: Refusal(grpc.StatusCode.INVALID_ARGUMENT, "SDP_INVALID"),
    WorkerFull: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "WORKER_FULL"),
    Draining: Refusal(grpc.StatusCode.UNAVAILABLE, "DRAINING"),
}


class Reader:
    """Everything that a topic gets, from its start."""

    def __init__(self, broker: str, topic: str, publisher: KafkaPublisher) -> None:
        self._consumer = KafkaConsumer(kafka_config(broker), Subscription((topic,), group=None), self._take, publisher)
        self._values: list[bytes] = []

    async def start(self) -> None:
        await self._consumer.start()

    async def stop(self) -> None:
        await self._consumer.stop()

    def values(self) -> list[bytes]:
        return list(self._values)

    async def _take(self, records: Sequence[Incoming]) -> None:
        self._values.extend(record.value or b"" for record in records)


class Issuer:
    """The social network's login."""

    def __init__(self, folder: Path) -> None:
        self._ring = KeyRing(folder / "keys.json")
        self._runner = web.AppRunner(make_app(self._ring, PUBLIC_KEYS))
        self.url = ""
        self.admin_url = ""

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/.well-known/jwks.json"
        self.admin_url = f"http://{host}:{port}{ADMIN_JWKS_PATH}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    def token(self, user_id: str, ttl_s: int = 600) -> str:
        return make_token(self._ring, user_id, now_s=int(CLOCK.now().timestamp()), ttl_s=ttl_s)


class Membership(messaging_grpc.MembershipServiceServicer):
    """Messaging, as far as signaling asks it; the rest is UNIMPLEMENTED, as the generated class has it.

    Of three people or more, the first is the admin; nobody may ring somebody in `closed`.
    """

    def __init__(self, conversations: dict[str, list[str]], closed: set[str]) -> None:
        self._conversations = conversations
        self._closed = closed

    async def GetMembers(self, request: messaging.GetMembersRequest, context: Any) -> messaging.GetMembersResponse:
        user_ids = self._find(request.conversation_id)
        is_group = len(user_ids) != 2
        if request.of_user_id:
            user_ids = [user_id for user_id in user_ids if user_id == request.of_user_id or user_id not in self._closed]
        admins = user_ids[:1] if is_group else []
        return messaging.GetMembersResponse(user_ids=user_ids, group=is_group, admin_user_ids=admins)

    async def GetCallees(self, request: messaging.GetCalleesRequest, context: Any) -> messaging.GetCalleesResponse:
        members = self._find(request.conversation_id)
        callees = [user_id for user_id in members if user_id not in (request.caller_id, *self._closed)]
        return messaging.GetCalleesResponse(user_ids=callees, member_user_ids=members, group=len(members) != 2)

    async def FilterBlocked(
        self, request: messaging.FilterBlockedRequest, context: Any
    ) -> messaging.FilterBlockedResponse:
        return messaging.FilterBlockedResponse(user_ids=[each for each in request.user_ids if each in self._closed])

    def _find(self, conversation_id: str) -> list[str]:
        if conversation_id not in self._conversations:
            raise LookupError
        return self._conversations[conversation_id]


def membership_server(conversations: dict[str, list[str]], closed: set[str]) -> RpcServer:
    servicer = Membership(conversations, closed)
    api = Api(
        "parley.messaging.v1.MembershipService",
        Access.SERVICE,
        lambda server: messaging_grpc.add_MembershipServiceServicer_to_server(servicer, server),
    )
    errors: ErrorTable = {LookupError: Refusal(grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND")}
    return RpcServer(server_config(), [api], errors, tokens_of("messaging"))


@dataclass
class FakeSfu(sfu_grpc.SfuServiceServicer):
    """A worker: announces itself, admits those with a good join token, and reports their media at once."""

    worker_id: str
    publisher: KafkaPublisher
    # Announced: how full it is, so that tests can steer calls to an emptier one.
    participants: int = 0
    refusal: Exception | None = None
    reports_media: bool = True
    joined: list[dict[str, Any]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    removed: list[tuple[str, str]] = field(default_factory=list)
    draining: bool = False
    start_time: datetime | None = None

    def __post_init__(self) -> None:
        api = Api(
            "parley.sfu.v1.SfuService",
            Access.SERVICE,
            lambda server: sfu_grpc.add_SfuServiceServicer_to_server(self, server),
        )
        self._server = RpcServer(server_config(), [api], SFU_ERRORS, tokens_of("sfu"))
        self._announcing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._server.start()
        self._announcing = asyncio.create_task(self._announce())

    async def crash(self) -> None:
        """Gone without a word."""
        if self._announcing:
            self._announcing.cancel()
            with suppress(asyncio.CancelledError):
                await self._announcing
            self._announcing = None
        await self._server.stop()

    async def stop(self) -> None:
        if self._announcing:
            await self.crash()
        await self.publisher.publish([Outgoing("sfu.nodes.v1", self.worker_id.encode(), None)])

    async def Join(self, request: sfu.JoinRequest, context: Any) -> sfu.JoinResponse:
        if self.refusal:
            raise self.refusal
        claims = read_join_token(request.join_token)
        if claims["worker"] != self.worker_id:
            raise AssertionError("a token for another worker")
        self.joined.append(claims)
        if self.reports_media:
            await self.report(claims, connected=True)
        return sfu.JoinResponse(sdp_answer=f"answer of {self.worker_id} to {request.sdp_offer}")

    async def EndCall(self, request: sfu.EndCallRequest, context: Any) -> sfu.EndCallResponse:
        self.ended.append(request.call_id)
        return sfu.EndCallResponse()

    async def SetDraining(self, request: sfu.SetDrainingRequest, context: Any) -> sfu.SetDrainingResponse:
        self.draining = request.draining
        return sfu.SetDrainingResponse()

    async def Remove(self, request: sfu.RemoveRequest, context: Any) -> sfu.RemoveResponse:
        self.removed.append((request.user_id, request.device_id))
        return sfu.RemoveResponse()

    async def report(self, claims: dict[str, Any], *, connected: bool) -> None:
        """Tell of a device's media."""
        event = calls_events.CallEvent(event_id=str(new_id(CLOCK.now())), call_id=claims["call"])
        who = {"user_id": claims["sub"], "device_id": claims["device"], "worker_id": self.worker_id}
        if connected:
            event.media_connected.MergeFrom(calls_events.MediaConnected(**who))
        else:
            reason = calls_events.MEDIA_DISCONNECT_REASON_CONSENT_EXPIRED
            event.media_disconnected.MergeFrom(calls_events.MediaDisconnected(**who, reason=reason))
        await self.publisher.publish([Outgoing("media.events.v1", claims["call"].encode(), event.SerializeToString())])

    async def _announce(self) -> None:
        while True:
            at = Timestamp()
            at.FromDatetime(datetime.now(UTC))
            announcement = sfu_events.NodeAnnouncement(
                worker_id=self.worker_id,
                grpc_address=f"127.0.0.1:{self._server.port}",
                announce_time=at,
                participants=self.participants,
                max_participants=100,
                draining=self.draining,
                start_time=self.start_time,
            )
            record = Outgoing("sfu.nodes.v1", self.worker_id.encode(), announcement.SerializeToString())
            with suppress(BusUnavailable):
                await self.publisher.publish([record])
            await asyncio.sleep(ANNOUNCE_INTERVAL_S)
