"""The canary itself: it finds what stands in a log, in whatever form, and is silent about ids."""

from __future__ import annotations

import json
from pathlib import Path

import grpc
import pytest
from parley.messaging.v1 import messages_pb2, service_pb2

from tests.support.canary import Canaries

TEXT = "meet me behind the old mill at nine"
REQUEST = service_pb2.SendMessageRequest(
    conversation_id="0192aaaa-0000-7000-8000-000000000000",
    client_message_id="client-message-id-1",
    text=messages_pb2.TextContent(text=TEXT),
)


@pytest.fixture
def canaries() -> Canaries:
    made = Canaries()
    made.note_message(REQUEST)
    return made


def test_a_text_in_a_log_is_found_with_its_file_and_line_and_not_repeated(canaries: Canaries) -> None:
    (found,) = canaries.find_in(f"one\n{json.dumps({'event': 'failed', 'error': f'bad: {TEXT}'})}\n", "messaging.log")
    assert found == "messaging.log:2 holds parley.messaging.v1.TextContent.text"


def test_a_text_of_several_lines_and_scripts_is_found_as_json_writes_it() -> None:
    canaries = Canaries()
    canaries.note(f'"quoted"\n{TEXT}\né', "a text")
    assert canaries.find_in(json.dumps({"error": f'"quoted"\n{TEXT}\né'}), "log")
    assert canaries.find_in(repr(f'"quoted"\n{TEXT}\né'), "log")


def test_ids_may_stand_in_logs(canaries: Canaries) -> None:
    assert canaries.find_in(f"{REQUEST.conversation_id} {REQUEST.client_message_id}", "log") == []


@pytest.mark.parametrize(
    "line",
    [
        "authorization=Bearer eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl",
        r'{"offer": "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n"}',
        "a=ice-pwd:abcdefghijklmnopqrstuv",
        "GET /bucket/key?X-Amz-Signature=0123456789abcdef",
        "postgresql://parley:secret@db:5432/parley",
        "-----BEGIN EC PRIVATE KEY-----",
        '{"frames": [{"locals": {"text": "1"}}]}',
    ],
)
def test_a_secret_is_known_by_its_shape(line: str) -> None:
    assert Canaries().find_in(f"a line\n{line}\n", "log") == [
        each for each in Canaries().find_in(f"a line\n{line}\n", "log") if each.startswith("log:2 holds ")
    ]
    assert Canaries().find_in(line, "log")


def test_only_logs_of_this_session_are_looked_at(canaries: Canaries, tmp_path: Path) -> None:
    log = tmp_path / "stack" / "messaging.log"
    log.parent.mkdir()
    log.write_text(TEXT)
    assert len(canaries.find_in_files(tmp_path, log.stat().st_mtime - 1)) == 1
    assert canaries.find_in_files(tmp_path, log.stat().st_mtime + 1) == []


async def test_what_is_sent_on_a_channel_is_noted() -> None:
    canaries = Canaries()
    with canaries.watching_grpc():
        channel = grpc.aio.insecure_channel("127.0.0.1:9")
        call = channel.unary_unary("/a/b", request_serializer=service_pb2.SendMessageRequest.SerializeToString)
        with pytest.raises(grpc.aio.AioRpcError):
            await call(REQUEST)
        await channel.close()
    assert canaries.find_in(TEXT, "log")


def test_short_phrases_are_canaries_and_single_words_are_not() -> None:
    canaries = Canaries()
    for text in ("of course", "audio", "hello", "a b"):
        canaries.note(text, text)
    assert canaries.find_in("of course\naudio\nhello\na b", "log") == ["log:1 holds of course"]


def test_what_a_script_writes_in_a_browser_is_noted(tmp_path: Path) -> None:
    script = tmp_path / "scene.mjs"
    script.write_text('await write(anna, "The code is 4711");\nawait box.fill("line 27");\nlog("not said here");')
    canaries = Canaries()
    canaries.note_script(script)
    assert canaries.find_in("The code is 4711\nline 27\nnot said here", "log") == [
        "log:1 holds a text of scene.mjs",
        "log:2 holds a text of scene.mjs",
    ]
