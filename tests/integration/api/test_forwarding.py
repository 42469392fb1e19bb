"""Forwarding, from device to device, with the bytes of files."""

from __future__ import annotations

import secrets

import grpc
from parley.messaging.v1 import attachments_pb2 as attachments
from parley.messaging.v1 import messages_pb2 as messages
from parley.messaging.v1 import relations_pb2 as relations
from parley.messaging.v1 import service_pb2 as messaging

from parley_client.client import Device
from tests.integration.api.conftest import World, new_user, open_direct, refused, send
from tests.integration.api.test_attachments import PICTURE, fetch, send_files, upload


def into(source: messages.Message, *conversations: str, key: str = "f") -> messaging.ForwardMessageRequest:
    targets = [messaging.ForwardTarget(conversation_id=each, client_message_id=key) for each in conversations]
    return messaging.ForwardMessageRequest(conversation_id=source.conversation_id, seq=source.seq, targets=targets)


async def address(device: Device, message: messages.Message) -> str:
    request = attachments.GetDownloadRequest(
        conversation_id=message.conversation_id,
        seq=message.seq,
        attachment_id=message.attachments[0].attachment_id,
    )
    return (await device.attachments.GetDownload(request)).download_url


async def test_a_text_goes_into_several_conversations_and_each_says_what_became_of_it(world: World) -> None:
    alice, bob, source_id = await world.pair_online()
    carol, dan = await world.online(), world.device()
    source = await send(alice.device, source_id, "pass this on")
    theirs, blocked = await open_direct(bob.device, carol.user_id), await open_direct(bob.device, dan.user_id)
    await send(bob.device, theirs, "hello")
    await dan.relations.BlockUser(relations.BlockUserRequest(user_id=bob.user_id))
    request = into(source, theirs, blocked, source_id)
    for _ in range(2):
        results = (await bob.device.messaging.ForwardMessage(request)).results
        assert [result.WhichOneof("result") for result in results] == ["message", "refusal", "message"]
        copy, refusal = results[0].message, results[1].refusal
        assert (copy.text.text, copy.forwarded, copy.sender_id, copy.seq) == ("pass this on", True, bob.user_id, 2)
        assert (refusal.reason, refusal.HasField("retry_delay")) == ("NOT_ALLOWED", False)
    await carol.until_seq(theirs, 2)
    entry = carol.stream.inbox.conversations.history(theirs).entry(2)
    assert entry is not None
    assert (entry.text, entry.forwarded) == ("pass this on", True)
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "NOT_EDITABLE"):
        edit = messaging.EditMessageRequest(conversation_id=theirs, seq=2)
        edit.text.text = "mine"
        await bob.device.messaging.EditMessage(edit)


async def test_who_does_not_see_a_message_cannot_forward_it(world: World) -> None:
    alice, bob, source_id = await world.pair()
    source = await send(alice, source_id, "secret")
    stranger = world.device()
    theirs = await open_direct(stranger, new_user())
    with refused(grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND"):
        await stranger.messaging.ForwardMessage(into(source, theirs))
    await alice.messaging.UnsendMessage(messaging.UnsendMessageRequest(conversation_id=source_id, seq=source.seq))
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "NOT_FORWARDABLE"):
        await bob.messaging.ForwardMessage(into(source, await open_direct(bob, new_user())))
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") as refusal:
        await bob.messaging.ForwardMessage(into(source))
    assert refusal.fields == ("targets",)


async def test_a_picture_goes_on_without_another_upload_and_outlives_the_first_message(world: World) -> None:
    alice, bob, source_id = await world.pair()
    carol = world.device()
    theirs = await open_direct(bob, carol.user_id)
    await send(bob, theirs, "look at this")
    source = await send_files(alice, source_id, await upload(alice))
    (result,) = (await bob.messaging.ForwardMessage(into(source, theirs, key=secrets.token_hex(8)))).results
    copy = result.message
    assert copy.attachments[0].attachment_id != source.attachments[0].attachment_id
    assert copy.attachments[0].file_name == source.attachments[0].file_name
    await alice.messaging.UnsendMessage(messaging.UnsendMessageRequest(conversation_id=source_id, seq=source.seq))
    status, body, _ = await fetch("GET", await address(carol, copy))
    assert (status, body) == (200, PICTURE)
    with refused(grpc.StatusCode.NOT_FOUND, "ATTACHMENT_NOT_FOUND"):
        await address(
            carol, messages.Message(conversation_id=theirs, seq=copy.seq, attachments=[source.attachments[0]])
        )
