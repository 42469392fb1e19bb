"""Sleeping devices, from the edge to a receiver: registered by their owners, told by push, taken back after a read."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from parley.messaging.v1 import relations_pb2
from parley.messaging.v1 import service_pb2 as messaging
from parley.notifications.v1 import service_pb2 as api

from deploy.embedded.record import StackRecord
from loadtests.webhooks import Heard, notice_receiver
from parley_client.scheduled_calls import ScheduledCalls
from tests.integration.api.conftest import DEADLINE_S, World, open_direct, refused, send
from tests.integration.api.test_scheduled_calls import soon


@pytest.fixture
async def heard(record: StackRecord) -> AsyncIterator[Heard]:
    """The network's own sender is made known to the stack for the length of the test."""
    async with notice_receiver(record.push_providers_file) as heard:
        yield heard


def of_token(heard: Heard, token: str) -> list[dict[str, Any]]:
    """What this device was sent."""
    return [event["data"]["notice"] for event in heard.events if event["data"]["token"] == token]


def kinds(heard: Heard, token: str) -> list[str]:
    """Of what this device was sent: what it tells, or that something is taken back."""
    return [notice.get("kind") or notice["type"] for notice in of_token(heard, token)]


async def test_a_device_that_sleeps_is_told_once_and_the_notice_goes_when_it_was_read_elsewhere(
    world: World, heard: Heard
) -> None:
    alice, bob, conversation_id = await world.pair()
    phone, token = world.device(bob.user_id), f"token-{secrets.token_hex(8)}"
    request = api.RegisterTokenRequest(device_id=phone.device_id, provider=api.PROVIDER_NETWORK, token=token)
    for _ in range(2):
        await phone.notifications.RegisterToken(request)
    message = await send(alice, conversation_id, "are you awake?")
    assert await heard.until(lambda: bool(of_token(heard, token)), DEADLINE_S)
    (notice,) = of_token(heard, token)
    assert (notice["kind"], notice["text"], notice["from_user_id"]) == ("message", "are you awake?", alice.user_id)
    assert (notice["conversation_id"], notice["seq"], notice["badge"]) == (conversation_id, message.seq, 1)
    await bob.messaging.MarkRead(messaging.MarkReadRequest(conversation_id=conversation_id, seq=message.seq))
    assert await heard.until(lambda: len(of_token(heard, token)) == 2, DEADLINE_S)
    assert of_token(heard, token)[1]["type"] == "take_back"
    assert of_token(heard, token)[1]["badge"] == 0
    await phone.notifications.RemoveToken(api.RemoveTokenRequest(device_id=phone.device_id))


async def test_a_device_that_sleeps_is_reminded_of_a_scheduled_call_and_told_when_it_begins(
    world: World, heard: Heard
) -> None:
    alice, phone = await world.online(), world.device()
    token = f"token-{secrets.token_hex(8)}"
    conversation_id = await open_direct(alice.device, phone.user_id)
    await phone.relations.AcceptRequest(relations_pb2.AcceptRequestRequest(conversation_id=conversation_id))
    request = api.RegisterTokenRequest(device_id=phone.device_id, provider=api.PROVIDER_NETWORK, token=token)
    await phone.notifications.RegisterToken(request)
    calls, minute = ScheduledCalls(alice.device, alice.stream), timedelta(minutes=1)
    planned = await calls.schedule(conversation_id, "Catch up", soon(61), reminder=minute)
    told = ["call_reminder"]
    assert await heard.until(lambda: kinds(heard, token) == told, DEADLINE_S)
    await calls.change(
        planned.scheduled_call_id, "Catch up", soon(1), length=30 * minute, reminder=timedelta(0), video=False
    )
    # The reminder is of a time that does not hold any more.
    told += ["take_back", "call_begins"]
    assert await heard.until(lambda: kinds(heard, token) == told, DEADLINE_S)
    assert {each["text"] for each in of_token(heard, token) if "kind" in each} == {"Catch up"}


async def test_settings_and_what_a_browser_needs(world: World) -> None:
    device = world.device()
    found = await device.notifications.GetNotificationSettings(api.GetNotificationSettingsRequest())
    assert found.settings == api.NotificationSettings(level=api.LEVEL_ALL)
    assert api.PROVIDER_WEB_PUSH in found.providers
    ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), found.web_push_public_key)
    hours = api.NotificationQuietHours(start_minute=1_320, end_minute=420, time_zone="Europe/Berlin", weekdays=[5, 6])
    chosen = api.NotificationSettings(level=api.LEVEL_MENTIONS, previews_off=True, quiet_hours=hours)
    answer = await device.notifications.UpdateNotificationSettings(
        api.UpdateNotificationSettingsRequest(settings=chosen)
    )
    assert answer.settings == chosen
    _, _, conversation_id = await world.pair()
    level = api.SetConversationLevelRequest(conversation_id=conversation_id, level=api.LEVEL_NONE)
    await device.notifications.SetConversationLevel(level)
    found = await device.notifications.GetNotificationSettings(api.GetNotificationSettingsRequest())
    assert found.settings == chosen
    assert [(one.conversation_id, one.level) for one in found.conversation_levels] == [
        (conversation_id, api.LEVEL_NONE)
    ]
    level.level = api.LEVEL_UNSPECIFIED
    await device.notifications.SetConversationLevel(level)
    assert not (
        await device.notifications.GetNotificationSettings(api.GetNotificationSettingsRequest())
    ).conversation_levels


async def test_a_browser_subscribes(world: World) -> None:
    device = world.device()
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    request = api.RegisterTokenRequest(
        device_id=device.device_id,
        provider=api.PROVIDER_WEB_PUSH,
        token=f"https://updates.push.services.mozilla.com/wpush/v2/{secrets.token_hex(8)}",
        web_push_keys=api.WebPushKeys(p256dh=point, auth=bytes(16)),
    )
    await device.notifications.RegisterToken(request)
    for field, value, named in (
        ("token", "https://127.0.0.1/wpush", "token"),
        ("token", "http://updates.push.services.mozilla.com/x", "token"),
        ("web_push_keys", api.WebPushKeys(p256dh=bytes(65), auth=bytes(16)), "web_push_keys.p256dh"),
        ("web_push_keys", api.WebPushKeys(p256dh=point, auth=b"short"), "web_push_keys.auth"),
    ):
        wrong = api.RegisterTokenRequest()
        wrong.CopyFrom(request)
        if field == "token":
            wrong.token = value  # type: ignore[assignment]
        else:
            wrong.web_push_keys.CopyFrom(value)  # type: ignore[arg-type]
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") as refusal:
            await device.notifications.RegisterToken(wrong)
        assert refusal.fields == (named,)
    await device.notifications.RemoveToken(
        api.RemoveTokenRequest(device_id=device.device_id, provider=api.PROVIDER_WEB_PUSH)
    )


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (api.RegisterTokenRequest(device_id="x", provider=api.PROVIDER_NETWORK, token="t"), "device_id"),
        (api.RegisterTokenRequest(device_id="device-00", token="t"), "provider"),
        (api.RegisterTokenRequest(device_id="device-00", provider=api.PROVIDER_NETWORK), "token"),
        (api.RegisterTokenRequest(device_id="device-00", provider=api.PROVIDER_NETWORK, token="é"), "token"),
        (api.RegisterTokenRequest(device_id="device-00", provider=api.PROVIDER_NETWORK, token="x" * 1_025), "token"),
        (api.RegisterTokenRequest(device_id="device-00", provider=api.PROVIDER_APNS, token="../x"), "token"),
    ],
)
async def test_a_token_that_has_no_meaning(world: World, request_: api.RegisterTokenRequest, field: str) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") as refusal:
        await world.device().notifications.RegisterToken(request_)
    assert refusal.fields == (field,)


async def test_a_provider_that_is_not_served_here(world: World) -> None:
    device = world.device()
    request = api.RegisterTokenRequest(device_id=device.device_id, provider=api.PROVIDER_FCM, token="t")
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "PROVIDER_NOT_SERVED"):
        await device.notifications.RegisterToken(request)


async def test_quiet_hours_that_have_no_meaning(world: World) -> None:
    hours = api.NotificationQuietHours(start_minute=1, end_minute=2, time_zone="Nowhere/Else")
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") as refusal:
        await world.device().notifications.UpdateNotificationSettings(
            api.UpdateNotificationSettingsRequest(settings=api.NotificationSettings(quiet_hours=hours))
        )
    assert refusal.fields == ("settings.quiet_hours.time_zone",)
