"""Messaging on hosts whose clocks are two hours apart, and are set by as much between two requests."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc
from parley.messaging.v1 import messages_pb2 as messages
from parley.messaging.v1 import service_pb2 as api
from parley.messaging.v1 import service_pb2_grpc
from yarl import URL

from services.messaging.config import Config
from services.messaging.wiring import build
from tests.integration.signaling.neighbours import Issuer
from tests.support.attachments import OBJECTS_KEY, object_server
from tests.support.clock import HostClock
from tests.support.identities import environment as identity_env
from tests.support.waiting import PATIENCE_S, eventually

HOUR_S = 3600.0
FIVE_MINUTES = Duration(seconds=300)
TTL = timedelta(minutes=1)


class Device:
    """Alice's, at one replica."""

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        self._channel = channel
        self._metadata = (("authorization", f"Bearer {token}"),)

    async def call(self, name: str, request: Any) -> Any:
        stub = service_pb2_grpc.MessagingServiceStub(self._channel)
        return await getattr(stub, name)(request, metadata=self._metadata, timeout=PATIENCE_S)

    async def is_ready(self) -> bool:
        asked = health_pb2.HealthCheckRequest(service="readiness")
        answer = await health_pb2_grpc.HealthStub(self._channel).Check(asked)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@pytest.fixture
async def env(migrated_url: str, broker: str, tmp_path: Path) -> AsyncIterator[tuple[dict[str, str], str]]:
    """The settings of a replica, and a token of Alice's."""
    async with AsyncExitStack() as stack:
        objects = await stack.enter_async_context(object_server(tmp_path))
        endpoint = str(URL(objects.sign_get("x", TTL, content_type="a", disposition="b")).origin())
        issuer = Issuer(tmp_path)
        await issuer.start()
        stack.push_async_callback(issuer.stop)
        yield (
            {
                "PARLEY_GRPC_ADDRESS": "127.0.0.1:0",
                "PARLEY_DRAIN_GRACE_S": "0",
                "PARLEY_JWKS_URL": issuer.url,
                "PARLEY_JWT_ISSUER": "https://dev-issuer.parley.invalid",
                **identity_env("messaging"),
                "PARLEY_KAFKA_BOOTSTRAP": broker,
                "PARLEY_KAFKA_IDEMPOTENT": "false",
                "PARLEY_DATABASE_URL": migrated_url,
                "PARLEY_OBJECTS_ENDPOINT": endpoint,
                "PARLEY_OBJECTS_PUBLIC_ENDPOINT": endpoint,
                "PARLEY_OBJECTS_BUCKET": "bucket",
                "PARLEY_OBJECTS_REGION": "local",
                "PARLEY_OBJECTS_KEY_ID": OBJECTS_KEY.key_id,
                "PARLEY_OBJECTS_SECRET": OBJECTS_KEY.secret,
            },
            issuer.token("alice"),
        )


@asynccontextmanager
async def replica(env: tuple[dict[str, str], str], clock: HostClock) -> AsyncIterator[Device]:
    settings, token = env
    app = build(Config.from_env(settings), clock)
    await app.start()
    assert app.server is not None
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{app.server.port}") as channel:
            device = Device(channel, token)
            await eventually(device.is_ready)
            yield device
    finally:
        await app.stop()


async def test_replicas_two_hours_apart_serve_one_conversation_while_their_clocks_are_set(
    env: tuple[dict[str, str], str],
) -> None:
    early, late = HostClock(-HOUR_S), HostClock(HOUR_S)
    async with replica(env, early) as first, replica(env, late) as second:
        opened = await first.call("CreateDirectConversation", api.CreateDirectConversationRequest(peer_user_id="bob"))
        conversation = opened.conversation.conversation_id
        await second.call(
            "SetVanishing", api.SetVanishingRequest(conversation_id=conversation, vanish_after=FIVE_MINUTES)
        )
        sent = []
        for number in range(6):
            # Whoever serves, whatever has been done to its clock.
            early.off_s, late.off_s = late.off_s, early.off_s
            text = messages.TextContent(text=f"number {number}")
            request = api.SendMessageRequest(conversation_id=conversation, client_message_id=f"k{number}", text=text)
            device = (first, second)[number % 2]
            sent.append((await device.call("SendMessage", request)).message)
        times = [message.send_time.ToDatetime() for message in sent]
        assert times == sorted(times)
        assert (times[-1] - times[0]).total_seconds() < HOUR_S
        # None of them is over, late to be edited, or told differently by the other.
        for device, message in zip((second, first) * 3, sent, strict=True):
            edited = api.EditMessageRequest(
                conversation_id=conversation, seq=message.seq, text=messages.TextContent(text=f"edited {message.seq}")
            )
            await device.call("EditMessage", edited)
        for device in (first, second):
            listed = await device.call("ListMessages", api.ListMessagesRequest(conversation_id=conversation))
            texts = [message.text.text for message in listed.messages if message.HasField("text")]
            assert sorted(texts) == sorted(f"edited {message.seq}" for message in sent)
            synced = await device.call("Sync", api.SyncRequest(sync_token=""))
            assert [delta.conversation.conversation_id for delta in synced.deltas] == [conversation]
