"""A device's stream as server-sent events (the HTML standard, section 9.2): frames become lines of text.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from google.rpc import status_pb2
from parley.gateway.v1 import service_pb2 as api

from services.gateway.core.checks import MAX_POSITION
from services.gateway.core.errors import InvalidField
from services.gateway.stream import Write
from services.runtime.errors import retry_delay_s

CONTENT_TYPE = "text/event-stream"
# The name of the last event, when the server ends the stream. EventSource keeps "error" for itself.
END = "end"
_HEARTBEAT = b": heartbeat\n\n"


def read_event_id(value: str) -> tuple[str, int]:
    """The resume token and the position of an event's id; ("", 0) for none. Raises InvalidField."""
    if not value:
        return "", 0
    token, dot, position = value.rpartition(".")
    if not dot or not (position.isascii() and position.isdecimal()) or len(position) > len(str(MAX_POSITION)):
        raise InvalidField("last_event_id", "is no id of an event of this API")
    return token, min(int(position), MAX_POSITION)


class EventSourceWriter:
    """Writes the frames of one stream as server-sent events. `position` is where the device says that it stands."""

    __slots__ = ("_has_written", "_is_writing", "_position", "_token", "_write")

    def __init__(self, write: Write, position: int) -> None:
        self._write = write
        self._position = position
        self._token = ""
        self._has_written = False
        self._is_writing = False

    @property
    def has_written(self) -> bool:
        """Whether the answer has begun: an error is an event from then on, and no HTTP status any more."""
        return self._has_written

    async def write(self, frame: bytes) -> None:
        """A frame of the stream, which is a SubscribeResponse."""
        text = self._text(frame)
        if text:
            await self._send(text)

    async def write_end(self, status: status_pb2.Status) -> None:
        """Why the stream ends; to a device that does not read, nothing."""
        if self._is_writing:
            # That write was cut off. gRPC takes no other behind it, and calls it a fault of ours.
            return
        delay_s = retry_delay_s(status)
        retry = "" if delay_s is None else f"retry: {round(delay_s * 1000)}\n"
        await self._send(f"event: {END}\n{retry}data: {_json(status)}\n\n".encode())

    async def _send(self, data: bytes) -> None:
        content_type = "" if self._has_written else CONTENT_TYPE
        self._has_written = self._is_writing = True
        await self._write(api.StreamEventsResponse(content_type=content_type, data=data).SerializeToString())
        self._is_writing = False

    def _text(self, frame: bytes) -> bytes:
        try:
            response = api.SubscribeResponse.FromString(frame)
        except DecodeError:
            return b""
        event = response.event
        kind = event.WhichOneof("event")
        if kind == "heartbeat":
            return _HEARTBEAT
        if kind is None:
            # Of a newer service than this: who asks for JSON could read nothing of it.
            return b""
        return f"{self._id(kind, response)}event: {kind}\ndata: {_json(event)}\n\n".encode()

    def _id(self, kind: str, response: api.SubscribeResponse) -> str:
        if kind == "ready":
            self._token = response.event.ready.resume_token
            if not response.event.ready.resumed:
                self._position = 0
        elif response.position:
            self._position = response.position
        else:
            # Browsers keep the last id that they got.
            return ""
        return f"id: {self._token}.{self._position}\n"


def _json(message: object) -> str:
    # Escaped as ASCII, so that no line of Unicode's ends the line.
    return json_format.MessageToJson(message, indent=None)  # type: ignore[arg-type]  # its stubs want more
