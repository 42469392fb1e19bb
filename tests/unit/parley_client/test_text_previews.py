"""Previews of links as the client sends and keeps them."""

from __future__ import annotations

from parley.messaging.v1 import messages_pb2 as wire

from parley_client import Draft, LinkPreview
from parley_client.inbox import to_entry
from parley_client.messaging import send_request
from tests.unit.parley_client.fake_edge import message

URL = "https://news.example/a"
PREVIEW = LinkPreview(URL, "It rains", "And it pours", "The News")
TOLD = wire.LinkPreview(url=URL, title="It rains", description="And it pours", site_name="The News")


def previewed_message() -> wire.Message:
    told = message(1)
    told.text.CopyFrom(wire.TextContent(text=URL, preview=TOLD))
    return told


def test_it_is_sent_with_its_text() -> None:
    request = send_request("c1", Draft(URL, preview=PREVIEW), "k")
    assert request.text == wire.TextContent(text=URL, preview=TOLD)


def test_a_text_without_one_is_sent_as_before() -> None:
    assert not send_request("c1", "hello", "k").text.HasField("preview")


def test_it_is_kept_as_it_was_sent() -> None:
    assert to_entry(previewed_message()).preview == PREVIEW
    assert to_entry(message(1)).preview is None


def test_nothing_of_it_is_shown_once_its_time_is_over() -> None:
    told = previewed_message()
    told.expire_time.FromSeconds(1_000)
    assert to_entry(told).as_of(1_000.0).preview is None
