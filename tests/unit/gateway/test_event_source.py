"""A device's stream as server-sent events."""

from __future__ import annotations

import asyncio
import json

import grpc
import pytest
from google.rpc import status_pb2
from parley.gateway.v1 import messages_pb2 as events
from parley.gateway.v1 import service_pb2 as api

from services.gateway import device_frames
from services.gateway.core.errors import InvalidField, Replaced
from services.gateway.event_source import EventSourceWriter, read_event_id
from services.runtime.errors import Refusal, status_details


class Written:
    """What came out, and a writer that writes it."""

    def __init__(self, position: int = 0) -> None:
        self.frames: list[api.StreamEventsResponse] = []
        self.writer = EventSourceWriter(self._take, position)

    async def _take(self, data: bytes) -> None:
        self.frames.append(api.StreamEventsResponse.FromString(data))

    @property
    def text(self) -> str:
        return b"".join(frame.data for frame in self.frames).decode()

    def events(self) -> list[dict[str, str]]:
        """As a browser reads them, without comments."""
        blocks = [block for block in self.text.split("\n\n") if block and not block.startswith(":")]
        return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


def durable(text: str, position: int) -> bytes:
    event = events.DeviceEvent()
    event.message.text.text = text
    return api.SubscribeResponse(event=event, position=position).SerializeToString()


async def test_an_event_has_its_kind_its_json_on_one_line_and_an_id_to_go_on_behind() -> None:
    written = Written()
    await written.writer.write(device_frames.ready(10, "tok-en_1", resumed=False))
    await written.writer.write(durable("two\nlines \u2028 and 🙂", 1))
    ready, message = written.events()
    assert (ready["event"], ready["id"]) == ("ready", "tok-en_1.0")
    assert (message["event"], message["id"]) == ("message", "tok-en_1.1")
    assert json.loads(message["data"]) == {"message": {"text": {"text": "two\nlines \u2028 and 🙂"}}}
    assert read_event_id(message["id"]) == ("tok-en_1", 1)


async def test_a_heartbeat_is_a_comment_and_what_is_passing_leaves_the_id() -> None:
    written = Written()
    await written.writer.write(device_frames.ready(10, "token", resumed=False))
    await written.writer.write(device_frames.HEARTBEAT)
    await written.writer.write(device_frames.typing("c1", "bob", True))
    assert written.text.count(": heartbeat\n\n") == 1
    assert [("id" in event) for event in written.events()] == [True, False]


async def test_a_stream_that_goes_on_says_where_the_device_stood_until_something_new_comes() -> None:
    written = Written(position=41)
    await written.writer.write(device_frames.ready(10, "token", resumed=True))
    await written.writer.write(durable("new", 42))
    assert [event["id"] for event in written.events()] == ["token.41", "token.42"]


async def test_a_fresh_start_begins_at_nothing_whatever_the_device_said() -> None:
    written = Written(position=41)
    await written.writer.write(device_frames.ready(10, "token", resumed=False))
    assert written.events()[0]["id"] == "token.0"


async def test_the_content_type_is_in_the_first_frame_alone() -> None:
    written = Written()
    assert not written.writer.has_written
    await written.writer.write(device_frames.HEARTBEAT)
    await written.writer.write(device_frames.HEARTBEAT)
    assert [frame.content_type for frame in written.frames] == ["text/event-stream", ""]
    assert written.writer.has_written


async def test_an_event_of_a_newer_service_is_left_out() -> None:
    written = Written()
    # Field 1, which has a field 100.
    await written.writer.write(b"\x0a\x03\xa2\x06\x00\x10\x05")
    await written.writer.write(b"\xff\xff")
    assert not written.writer.has_written


@pytest.mark.parametrize(("delay_s", "retry"), [(None, None), (1.5, "1500")])
async def test_the_last_event_says_why_and_when_to_come_back(delay_s: float | None, retry: str | None) -> None:
    written = Written()
    refusal = Refusal(grpc.StatusCode.ABORTED, "REPLACED", delay_s)
    await written.writer.write_end(status_details(refusal, Replaced("a newer stream")))
    (end,) = written.events()
    assert end["event"] == "end"
    assert end.get("retry") == retry
    status = json.loads(end["data"])
    assert status["code"] == grpc.StatusCode.ABORTED.value[0]
    assert status["details"][0]["reason"] == "REPLACED"


async def test_behind_a_write_that_was_cut_off_nothing_is_written() -> None:
    begun = asyncio.Event()

    async def take_one(_: bytes) -> None:
        # As gRPC does while a message waits for a device that does not read.
        assert not begun.is_set(), "too many operations"
        begun.set()
        await asyncio.Event().wait()

    writer = EventSourceWriter(take_one, 0)
    writing = asyncio.create_task(writer.write(durable("unread", 1)))
    await begun.wait()
    writing.cancel()
    await asyncio.wait([writing])
    await writer.write_end(status_pb2.Status(code=8))


async def test_a_status_without_details_ends_a_stream_too() -> None:
    written = Written()
    await written.writer.write_end(status_pb2.Status(code=14, message="away"))
    assert json.loads(written.events()[0]["data"]) == {"code": 14, "message": "away"}


def test_no_id_is_a_fresh_start() -> None:
    assert read_event_id("") == ("", 0)


@pytest.mark.parametrize("value", ["x", "token", "token.", "token.-1", "token.1e3", "token.²", "token." + "9" * 21])
def test_an_id_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(InvalidField):
        read_event_id(value)


def test_a_position_beyond_all_is_taken_for_the_last() -> None:
    request = api.SubscribeRequest(position=read_event_id("token." + "9" * 20)[1])
    assert request.position == (1 << 64) - 1
