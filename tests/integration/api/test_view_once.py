"""View-once messages, from device to device and through the object store."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

import grpc
from parley.messaging.v1 import attachments_pb2 as attachments
from parley.messaging.v1 import messages_pb2 as messages
from parley.messaging.v1 import scheduled_pb2 as scheduled
from parley.messaging.v1 import service_pb2 as messaging

from parley_client.client import Device
from tests.integration.api.conftest import DEADLINE_S, Online, World, refused
from tests.integration.api.test_attachments import PICTURE, fetch, upload

PRECONDITION, INVALID = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT


def request_of(conversation_id: str, attachment_id: str, text: str = "") -> messaging.SendMessageRequest:
    return messaging.SendMessageRequest(
        conversation_id=conversation_id,
        client_message_id=secrets.token_hex(8),
        attachment_ids=[attachment_id],
        text=messages.TextContent(text=text),
        view_once=True,
    )


async def show(device: Device, conversation_id: str) -> messages.Message:
    request = request_of(conversation_id, await upload(device))
    return (await device.messaging.SendMessage(request)).message


async def look(device: Device, sent: messages.Message, key: str = "") -> attachments.OpenViewOnceResponse:
    request = attachments.OpenViewOnceRequest(
        conversation_id=sent.conversation_id, seq=sent.seq, client_request_id=key or secrets.token_hex(8)
    )
    return await device.attachments.OpenViewOnce(request)


async def until_opened(online: Online, sent: messages.Message, *user_ids: str) -> None:
    """Waits until the device shows that these have opened it."""

    def is_shown() -> bool:
        entry = online.stream.inbox.conversations.history(sent.conversation_id).entry(sent.seq)
        return entry is not None and entry.view_once and entry.opened_by == user_ids

    await online.stream.until(is_shown, DEADLINE_S, f"opened by {user_ids}")


async def test_a_picture_is_opened_once_and_every_device_sees_who_did(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    sent = await show(alice.device, conversation_id)
    tablet = await world.online(bob.user_id)
    wanted = attachments.GetDownloadRequest(
        conversation_id=conversation_id, seq=sent.seq, attachment_id=sent.attachments[0].attachment_id
    )
    for device in (alice.device, bob.device):
        with refused(PRECONDITION, "VIEW_ONCE"):
            await device.attachments.GetDownload(wanted)
    with refused(grpc.StatusCode.PERMISSION_DENIED, "NOT_ALLOWED"):
        await look(alice.device, sent)
    answer = await look(bob.device, sent, "first")
    assert (await fetch("GET", answer.download_url))[:2] == (200, PICTURE)
    assert list(answer.message.opened_by_user_ids) == [bob.user_id]
    # The retry of it.
    assert (await fetch("GET", (await look(bob.device, sent, "first")).download_url))[0] == 200
    with refused(PRECONDITION, "ALREADY_OPENED"):
        await look(tablet.device, sent)
    for online in (alice, bob, tablet):
        await until_opened(online, sent, bob.user_id)
    target = messaging.ForwardTarget(conversation_id=conversation_id, client_message_id="copy")
    forward = messaging.ForwardMessageRequest(conversation_id=conversation_id, seq=sent.seq, targets=[target])
    with refused(PRECONDITION, "NOT_FORWARDABLE"):
        await bob.device.messaging.ForwardMessage(forward)
    unsend = messaging.UnsendMessageRequest(conversation_id=conversation_id, seq=sent.seq)
    gone = (await alice.device.messaging.UnsendMessage(unsend)).message
    assert (gone.view_once, list(gone.opened_by_user_ids)) == (False, [])
    with refused(grpc.StatusCode.NOT_FOUND, "ATTACHMENT_NOT_FOUND"):
        await look(bob.device, sent, "first")


async def test_of_two_devices_at_once_one_opens_it(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    tablet = await world.online(bob.user_id)
    sent = await show(alice.device, conversation_id)
    outcomes = await asyncio.gather(look(bob.device, sent), look(tablet.device, sent), return_exceptions=True)
    assert len([each for each in outcomes if isinstance(each, attachments.OpenViewOnceResponse)]) == 1


async def test_what_cannot_be_view_once_is_refused_by_its_field(world: World) -> None:
    alice, _, conversation_id = await world.pair()
    picture = await upload(alice)
    later = datetime.now(UTC) + timedelta(days=1)
    schedule = scheduled.ScheduleMessageRequest(message=request_of(conversation_id, picture))
    schedule.send_time.FromDatetime(later)
    for send in (
        alice.messaging.SendMessage(request_of(conversation_id, picture, "look")),
        alice.scheduled.ScheduleMessage(schedule),
    ):
        with refused(INVALID, "FIELD_INVALID") as refusal:
            await send
        assert refusal.fields == ("view_once",)
