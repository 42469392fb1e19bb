"""Stickers as the client sends and keeps them."""

from __future__ import annotations

from parley.messaging.v1 import messages_pb2 as wire

from parley_client import NewSticker, Sticker
from parley_client.inbox import to_entry
from parley_client.messaging import send_request
from tests.unit.parley_client.fake_edge import message

WAVE = Sticker("https://stickers.example/wave.webp", 480, 270, "A cat waves", "cat-7")
TOLD = wire.StickerContent(url=WAVE.url, width=480, height=270, description="A cat waves", provider_ref="cat-7")


def sticker_message() -> wire.Message:
    told = message(1)
    told.sticker.CopyFrom(TOLD)
    return told


def test_a_sticker_is_sent_as_one() -> None:
    request = send_request("c1", NewSticker(WAVE, reply_to_seq=3), "k")
    assert request.WhichOneof("content") == "sticker"
    assert request.sticker == TOLD
    assert (request.conversation_id, request.client_message_id, request.reply_to_seq) == ("c1", "k", 3)


def test_it_is_kept_as_it_was_sent() -> None:
    entry = to_entry(sticker_message())
    assert (entry.kind, entry.text, entry.sticker) == ("sticker", None, WAVE)


def test_nothing_of_it_is_shown_once_its_time_is_over() -> None:
    told = sticker_message()
    told.expire_time.FromSeconds(1_000)
    gone = to_entry(told).as_of(1_000.0)
    assert (gone.kind, gone.sticker) == ("expired", None)
