"""What operators see of each service: health, reflection and metrics."""

from __future__ import annotations

from typing import Any

import aiohttp
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from deploy.embedded.record import StackRecord
from tests.integration.api.conftest import World, send
from tests.support.waiting import PATIENCE_S

SERVES = {
    "messaging": {
        "parley.messaging.v1.MessagingService",
        "parley.messaging.v1.RelationsService",
        "parley.messaging.v1.MembershipService",
        "parley.messaging.v1.NoticeFactsService",
        "parley.messaging.v1.AttachmentsService",
        "parley.messaging.v1.ScheduledMessagesService",
        "parley.messaging.v1.AccountService",
    },
    "presence": {"parley.presence.v1.RouterService", "parley.accounts.v1.AccountDataService"},
    "gateway": {
        "parley.gateway.v1.GatewayService",
        "parley.presence.v1.PresenceService",
    },
    "signaling": {
        "parley.calls.v1.CallsService",
        "parley.keys.v1.DeviceKeysService",
        "parley.accounts.v1.AccountDataService",
    },
    # For operators alone.
    "webhooks": set(),
    "push": {"parley.notifications.v1.NotificationsService", "parley.accounts.v1.AccountDataService"},
    "previews": {"parley.previews.v1.PreviewsService"},
    "sfu-1": {"parley.sfu.v1.SfuService"},
}
SERVING = health_pb2.HealthCheckResponse.SERVING


async def health_of(channel: grpc.aio.Channel, name: str) -> int:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    return int((await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=PATIENCE_S)).status)


@pytest.mark.parametrize("service", SERVES)
async def test_each_service_says_that_it_lives_and_is_ready(record: StackRecord, service: str) -> None:
    async with grpc.aio.insecure_channel(record.grpc_addresses[service]) as channel:
        for name in ("", "liveness", "readiness", *SERVES[service]):
            assert await health_of(channel, name) == SERVING, name
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await health_of(channel, "parley.unknown.v1.Service")
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("service", SERVES)
async def test_each_service_tells_by_reflection_what_it_serves(record: StackRecord, service: str) -> None:
    async with grpc.aio.insecure_channel(record.grpc_addresses[service]) as channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        call = stub.ServerReflectionInfo(timeout=PATIENCE_S)
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        answer = await call.read()
        await call.done_writing()
    listed = {each.name for each in answer.list_services_response.service}
    assert SERVES[service] <= listed


@pytest.mark.parametrize("service", [*SERVES, "web"])
async def test_each_process_answers_with_open_metrics(record: StackRecord, service: str) -> None:
    text, content_type = await metrics_of(record, service)
    assert content_type.startswith("application/openmetrics-text")
    families = {family.name for family in text_string_to_metric_families(text)}
    assert "process_cpu_seconds" in families
    if service in SERVES:
        assert {"grpc_server_handled", "service_ready"} <= families


async def test_no_user_and_no_conversation_stands_in_a_metric(world: World, record: StackRecord) -> None:
    alice, bob, conversation_id = await world.pair_online()
    message = await send(alice.device, conversation_id, "hello")
    await bob.until_seq(conversation_id, 1)
    names = (alice.user_id, bob.user_id, alice.device.device_id, conversation_id, message.message_id)
    for service in SERVES:
        text, _ = await metrics_of(record, service)
        assert not [name for name in names if name in text], service


async def metrics_of(record: StackRecord, service: str) -> tuple[str, str]:
    """The text and its content type."""
    url = f"http://{record.metrics_addresses[service]}/metrics"
    headers = {"accept": "application/openmetrics-text;version=1.0.0"}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        assert response.status == 200
        return await response.text(), response.headers["content-type"]
