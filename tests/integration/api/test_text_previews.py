"""Previews of links, from device to device."""

from __future__ import annotations

import secrets

import grpc
from parley.messaging.v1 import messages_pb2 as messages
from parley.messaging.v1 import service_pb2 as messaging

from parley_client.client import Device
from parley_client.conversations import LinkPreview
from tests.integration.api.conftest import DEADLINE_S, World, refused

URL = "https://news.example/a"
TOLD = messages.LinkPreview(url=URL, title="It rains", description="And it pours", site_name="The News")
PREVIEW = LinkPreview(URL, "It rains", "And it pours", "The News")


async def say(device: Device, conversation_id: str, text: str, preview: messages.LinkPreview) -> messages.Message:
    request = messaging.SendMessageRequest(
        conversation_id=conversation_id,
        client_message_id=secrets.token_hex(8),
        text=messages.TextContent(text=text, preview=preview),
    )
    return (await device.messaging.SendMessage(request)).message


async def test_a_preview_is_shown_by_the_other_listed_and_gone_with_an_edit(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    sent = await say(alice.device, conversation_id, f"look: {URL}", TOLD)
    assert sent.text.preview == TOLD
    await bob.until_seq(conversation_id, sent.seq)
    history = bob.stream.inbox.conversations.history(conversation_id)
    entry = history.entry(sent.seq)
    assert entry is not None
    assert entry.preview == PREVIEW
    listed = await bob.device.messaging.ListMessages(messaging.ListMessagesRequest(conversation_id=conversation_id))
    assert listed.messages[0].text.preview == TOLD
    text = messages.TextContent(text=f"look again: {URL}")
    await alice.device.messaging.EditMessage(
        messaging.EditMessageRequest(conversation_id=conversation_id, seq=sent.seq, text=text)
    )

    def is_bare() -> bool:
        shown = history.entry(sent.seq)
        return shown is not None and (shown.text, shown.preview) == (text.text, None)

    await bob.stream.until(is_bare, DEADLINE_S, "the preview is gone")
    before = messaging.ListEditsRequest(conversation_id=conversation_id, seq=sent.seq)
    assert (await bob.device.messaging.ListEdits(before)).edits[0].text.preview == TOLD


async def test_what_is_no_preview_of_the_text_is_refused_by_the_name_of_its_field(world: World) -> None:
    alice, _, conversation_id = await world.pair()
    for text, preview, field in (
        (f"{URL}.evil.example", TOLD, "text.preview.url"),
        (URL, messages.LinkPreview(url=URL), "text.preview.title"),
    ):
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") as refusal:
            await say(alice, conversation_id, text, preview)
        assert refusal.fields == (field,)
