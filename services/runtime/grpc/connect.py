"""Clients of the Connect protocol, whose calls the edge makes gRPC of: JSON in place of protobuf where they want it,
and details of errors as they read them. https://connectrpc.com/docs/protocol
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.message import Message
from google.rpc import status_pb2

# Set by the edge alone: the version of the protocol that the client names, a space, and the content type.
PROTOCOL_KEY = "x-parley-protocol"
# A Sync of 1,000 cursors, or an offer of 64 KiB, fits. Raising it lets one request hold all others up for longer, since
# JSON is read some hundred times more slowly than protobuf; lowering it refuses large accounts.
MAX_JSON_BYTES = 128 << 10


class Protocol(NamedTuple):
    """How a client speaks to the edge."""

    is_connect: bool = False
    is_json: bool = False


GRPC = Protocol()


def protocol_of(metadata: Iterable[tuple[str, Any]]) -> Protocol:
    """The client's, as the edge says; for whoever comes past the edge, gRPC."""
    said = [value for key, value in metadata if key == PROTOCOL_KEY]
    if len(said) != 1 or not isinstance(said[0], str):
        return GRPC
    version, _, content_type = said[0].partition(" ")
    kind = content_type.partition(";")[0].strip().lower()
    is_stream = kind.startswith("application/connect+")
    # As the edge's bridge tells them apart.
    if not is_stream and version in ("", "-"):
        return GRPC
    return Protocol(is_connect=True, is_json=kind in ("application/json", "application/connect+json"))


@dataclass(frozen=True)
class Undecodable:
    """Stands in for a request whose bytes are not the message, so that it can be refused in the gRPC way."""

    reason: str


@dataclass(frozen=True)
class UnreadJson:
    """A request in JSON that is not read yet, since reading it costs."""

    data: bytes
    kind: type[Message]

    def read(self) -> Message | Undecodable:
        """The message. A field that it does not have is passed over, as in protobuf."""
        if len(self.data) > MAX_JSON_BYTES:
            return Undecodable(f"in JSON it has {len(self.data)} bytes; at most {MAX_JSON_BYTES} are taken")
        if not self.data.lstrip().startswith(b"{"):
            return Undecodable("is not this message in JSON: it is no object")
        try:
            return json_format.Parse(self.data, self.kind(), ignore_unknown_fields=True)
        except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
            return Undecodable(f"is not this message in JSON: {error}"[:200])


@dataclass(frozen=True)
class JsonCodec:
    """Reads and writes the messages of one RPC."""

    kind: type[Message]
    answer: type[Message]

    def read(self, data: bytes) -> UnreadJson:
        """A request."""
        return UnreadJson(data, self.kind)

    def write(self, message: Any) -> bytes:
        """An answer. Frames of a device's stream come as bytes."""
        answer = self.answer.FromString(message) if isinstance(message, bytes) else message
        return json_format.MessageToJson(answer, indent=None).encode()


def codec_of(service: str, method: str) -> JsonCodec:
    """The codec of an RPC, by its descriptor."""
    found = descriptor_pool.Default().FindMethodByName(f"{service}.{method}")
    return JsonCodec(
        message_factory.GetMessageClass(found.input_type), message_factory.GetMessageClass(found.output_type)
    )


def in_connects_words(status: status_pb2.Status) -> status_pb2.Status:
    """The status with its details named as Connect names them: Envoy's bridge passes on the URLs of their types."""
    named = status_pb2.Status()
    named.CopyFrom(status)
    for detail in named.details:
        detail.type_url = detail.type_url.rpartition("/")[2]
    return named
