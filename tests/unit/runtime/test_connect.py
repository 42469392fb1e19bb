"""How the services answer clients of the Connect protocol."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from parley.gateway.v1 import service_pb2 as gateway
from parley.messaging.v1 import service_pb2 as messaging

from services.runtime.errors import InvalidRequest, Refusal, status_details
from services.runtime.grpc.connect import (
    GRPC,
    MAX_JSON_BYTES,
    PROTOCOL_KEY,
    Protocol,
    Undecodable,
    UnreadJson,
    codec_of,
    in_connects_words,
    protocol_of,
)

JSON = Protocol(is_connect=True, is_json=True)
PROTO = Protocol(is_connect=True, is_json=False)


@pytest.mark.parametrize(
    ("said", "protocol"),
    [
        ("1 application/json", JSON),
        ("1 application/json; charset=utf-8", JSON),
        ("1 application/proto", PROTO),
        ("1 application/connect+json", JSON),
        (" application/connect+json", JSON),
        ("- application/connect+proto", PROTO),
        # Plain HTTP, whose JSON the edge has read; and gRPC.
        (" application/json", GRPC),
        ("- application/json", GRPC),
        (" application/grpc", GRPC),
        (" ", GRPC),
        ("", GRPC),
    ],
)
def test_the_edge_says_how_a_client_speaks(said: str, protocol: Protocol) -> None:
    assert protocol_of([(PROTOCOL_KEY, said), ("other", "1 application/json")]) == protocol


@pytest.mark.parametrize("metadata", [[], [(PROTOCOL_KEY, b"1")], [(PROTOCOL_KEY, "1 application/json")] * 2])
def test_whoever_comes_past_the_edge_speaks_grpc(metadata: list[tuple[str, Any]]) -> None:
    assert protocol_of(metadata) == GRPC


def test_a_request_in_json_is_read_in_either_spelling_and_what_is_not_known_is_passed_over() -> None:
    codec = codec_of("parley.messaging.v1.MessagingService", "SendMessage")
    for text in (
        '{"conversationId": "c", "text": {"text": "hi"}, "new": [1]}',
        '{"conversation_id":"c","text":{"text":"hi"}}',
    ):
        request = codec.read(text.encode()).read()
        assert isinstance(request, messaging.SendMessageRequest)
        assert (request.conversation_id, request.text.text) == ("c", "hi")


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"text": 1}', b'{"replyToSeq": "x"}', b"[" * 100_000),
        *(b'{"replyToSeq":' + b"1" * 10_000 + b"}", b'{"text":{"text":"\\ud800"}}', b"{}" + b" " * MAX_JSON_BYTES),
    ],
)
def test_bytes_that_are_no_request_are_told_from_one(data: bytes) -> None:
    request = UnreadJson(data, messaging.SendMessageRequest).read()
    assert isinstance(request, Undecodable)
    assert len(request.reason) <= 200


def test_answers_are_json_and_so_are_frames_that_come_as_bytes() -> None:
    answer = messaging.SendMessageResponse()
    answer.message.seq = 7
    unary = codec_of("parley.messaging.v1.MessagingService", "SendMessage")
    assert json.loads(unary.write(answer)) == {"message": {"seq": "7"}}
    stream = codec_of("parley.gateway.v1.GatewayService", "Subscribe")
    frame = gateway.SubscribeResponse(position=3).SerializeToString()
    assert json.loads(stream.write(frame)) == {"position": "3"}


def test_details_of_errors_are_named_as_connect_names_them() -> None:
    status = status_details(Refusal(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"), InvalidRequest("text", "empty"))
    named = in_connects_words(status)
    assert [detail.type_url for detail in named.details] == ["google.rpc.ErrorInfo", "google.rpc.BadRequest"]
    assert [detail.value for detail in named.details] == [detail.value for detail in status.details]
    assert status.details[0].type_url.startswith("type.googleapis.com/")
