"""Stickers by address, from device to device."""

from __future__ import annotations

import secrets

import grpc
from parley.messaging.v1 import messages_pb2 as messages
from parley.messaging.v1 import relations_pb2 as relations
from parley.messaging.v1 import service_pb2 as messaging

from parley_client.client import Device
from parley_client.entries import Sticker
from tests.integration.api.conftest import DEADLINE_S, World, refused

# The stack allows this host (tests/conftest.py).
URL = "https://stickers.example/wave.webp"


async def stick(device: Device, conversation_id: str, url: str = URL) -> messages.Message:
    sticker = messages.StickerContent(url=url, width=480, height=270, description="A cat waves", provider_ref="cat-7")
    request = messaging.SendMessageRequest(
        conversation_id=conversation_id, client_message_id=secrets.token_hex(8), sticker=sticker
    )
    return (await device.messaging.SendMessage(request)).message


async def test_a_sticker_is_shown_by_the_other_and_gone_when_it_is_unsent(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    answer = await alice.device.relations.GetSettings(relations.GetSettingsRequest())
    assert list(answer.limits.sticker_hosts) == ["stickers.example"]
    sent = await stick(alice.device, conversation_id)
    await bob.until_seq(conversation_id, sent.seq)
    history = bob.stream.inbox.conversations.history(conversation_id)
    entry = history.entry(sent.seq)
    assert entry is not None
    assert entry.sticker == Sticker(URL, 480, 270, "A cat waves", "cat-7")
    unsend = messaging.UnsendMessageRequest(conversation_id=conversation_id, seq=sent.seq)
    await alice.device.messaging.UnsendMessage(unsend)

    def is_gone() -> bool:
        shown = history.entry(sent.seq)
        return shown is not None and (shown.kind, shown.sticker) == ("unsent", None)

    await bob.stream.until(is_gone, DEADLINE_S, "the sticker is gone")


async def test_another_host_or_spelling_is_refused_with_its_reason(world: World) -> None:
    alice, _, conversation_id = await world.pair()
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STICKER_HOST_NOT_ALLOWED"):
        await stick(alice, conversation_id, "https://stickers.example.evil.example/wave.webp")
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") as refusal:
        await stick(alice, conversation_id, "https://stickers.example@evil.example/wave.webp")
    assert refusal.fields == ("sticker.url",)
