"""One contract by every protocol, through the one edge, with clients that are not ours: curl, connect-es, buf curl, and
one that is generated from the OpenAPI document."""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from google.rpc import error_details_pb2
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from deploy.embedded.record import ROOT, StackRecord
from tests.integration.api.conftest import World, new_user, open_direct, send
from tests.integration.api.test_streams import admin, devices_of, subscribe
from tests.support.waiting import PATIENCE_S, within

# A fixture that this module asks for too.
__all__ = ["admin"]
DESCRIPTORS = files("parley").joinpath("descriptors.pb")
NOBODYS = "01a00000-0000-7000-8000-000000000000"
QUICKSTART = ROOT / "docs" / "start" / "quickstart.md"


async def run(*command: str, said: str = "", where: Path = ROOT) -> str:
    """What a program prints. Fails with what it says when it fails."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=where,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await within(process.communicate(said.encode()), PATIENCE_S)
    assert process.returncode == 0, f"{command[0]}: {err.decode()[-2000:]}{out.decode()[-500:]}"
    return out.decode()


async def curl(record: StackRecord, method: str, path: str, token: str = "", body: Any = None, *more: str) -> Any:
    """The status and the JSON that curl gets."""
    command = ["curl", "-sS", "-X", method, "-w", "\n%{http_code}", f"http://{record.edge_address}{path}", *more]
    if token:
        command += ["-H", f"authorization: Bearer {token}"]
    if body is not None:
        command += ["-H", "content-type: application/json", "-d", body if isinstance(body, str) else json.dumps(body)]
    text, _, status = (await run(*command)).rpartition("\n")
    return int(status), json.loads(text)


def reasons(status: dict[str, Any]) -> list[str]:
    """The reasons of a google.rpc.Status in JSON."""
    return [detail["reason"] for detail in status["details"] if "reason" in detail]


class Events:
    """What curl reads of `GET /v1/events`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.comments = 0

    async def next(self) -> dict[str, str]:
        """The next event, past the comments."""
        fields: dict[str, str] = {}
        assert self._process.stdout
        while True:
            line = (await within(self._process.stdout.readline(), PATIENCE_S)).decode()
            assert line, "the stream has ended"
            if line.startswith(":"):
                self.comments += 1
            elif line != "\n":
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value
            elif fields:
                return fields

    async def until(self, kind: str) -> dict[str, str]:
        """The next event of a kind."""
        while (event := await self.next())["event"] != kind:
            pass
        return event


@asynccontextmanager
async def events(record: StackRecord, token: str, device_id: str, last: str = "") -> AsyncIterator[Events]:
    url = f"http://{record.edge_address}/v1/events?device_id={device_id}"
    command = ["curl", "-sSN", url, "-H", f"authorization: Bearer {token}"]
    if last:
        command += ["-H", f"Last-Event-ID: {last}"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        yield Events(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


# curl, and plain JSON.


async def test_the_lines_of_the_quick_start_send_a_message_and_follow_events(
    record: StackRecord, tmp_path: Path
) -> None:
    text = QUICKSTART.read_text()
    section = text[text.index("## Call the API with curl") :]
    blocks = re.findall(r"```sh\n(.*?)```", section[: section.index("\n## ", 3)], re.DOTALL)
    alice, bob = new_user(), new_user()
    following, sending = [block.replace("127.0.0.1:8080", record.edge_address) for block in blocks]
    following = following.replace("&\n", "> events &\nfollowing=$!\n")
    # Where a person looks at what comes.
    look = "for _ in $(seq 600); do grep -q 'event: {}' events && break; sleep 0.1; done"
    script = "\n".join(
        [following, look.format("ready"), sending, look.format("message"), "kill $following", "cat events"]
    )
    script = "set -euo pipefail\n" + script.replace("alice", alice).replace("bob", bob)
    said = await run("bash", "-c", script, where=tmp_path)
    event = said[said.index("event: message") :]
    data = json.loads(event.split("\n")[1].removeprefix("data: "))
    assert data["message"]["senderId"] == alice
    assert "seq" in data["message"]


async def test_a_message_goes_there_and_back_in_json(world: World, record: StackRecord) -> None:
    alice, bob = world.device(), world.device()
    token, bobs = await alice.tokens.token(), await bob.tokens.token()
    status, opened = await curl(record, "POST", "/v1/conversations", token, {"peerUserId": bob.user_id})
    assert status == 200
    talk = f"/v1/conversations/{opened['conversation']['conversationId']}"
    body = {"clientMessageId": "once", "text": {"text": "Grüße 🙂"}}
    first, again = [await curl(record, "POST", f"{talk}/messages", token, body) for _ in range(2)]
    assert first == again
    assert first[1]["message"]["seq"] == "1"
    edit = {"text": {"text": "Servus"}}
    assert (await curl(record, "PATCH", f"{talk}/messages/1", token, edit))[1]["message"]["editCount"] == 1
    assert (await curl(record, "PUT", f"{talk}/read", bobs, {"seq": "1"})) == (200, {"readSeq": "1"})
    assert (await curl(record, "PUT", f"{talk}/messages/1/reactions", bobs, {"emoji": "👍", "present": True}))[0] == 200
    _, page = await curl(record, "GET", f"{talk}/messages?page_size=10", bobs)
    assert [message["text"]["text"] for message in page["messages"]] == ["Servus"]
    assert page["messages"][0]["reactions"][0]["userIds"] == [bob.user_id]
    assert (await curl(record, "DELETE", f"{talk}/messages/1", token))[1]["message"]["unsent"] == {}


@pytest.mark.parametrize("user_id", ["a@b.example", "oauth|1:2", "x+y", "50%", "(;,'$&=!)*", "a%40b"])
async def test_a_user_of_any_name_is_meant_by_a_path(world: World, record: StackRecord, user_id: str) -> None:
    token = await world.device().tokens.token()
    assert (await curl(record, "PUT", f"/v1/blocks/{quote(user_id, safe='')}", token, {})) == (200, {})
    _, answer = await curl(record, "GET", "/v1/blocks", token)
    assert [blocked["userId"] for blocked in answer["blockedUsers"]] == [user_id]
    assert (await curl(record, "DELETE", f"/v1/blocks/{quote(user_id, safe='')}", token)) == (200, {})
    assert (await curl(record, "GET", "/v1/blocks", token)) == (200, {})


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", f"/v1/conversations/{NOBODYS}/messages", {"clientMessageId": "x", "text": {"text": "x"}}, "NOT_FOUND"),
        ("POST", f"/v1/conversations/{NOBODYS}/messages", {"clientMessageId": "", "text": {"text": "x"}}, "FIELD"),
        ("GET", f"/v1/conversations/{NOBODYS}", None, "NOT_FOUND"),
        ("GET", "/v1/events?device_id=x", None, "FIELD"),
        ("GET", "/v1/events?device_id=device-0001&last_event_id=x", None, "FIELD"),
    ],
)
async def test_an_error_in_json_has_the_reason_of_the_protos(
    world: World, record: StackRecord, method: str, path: str, body: Any, expected: str
) -> None:
    status, error = await curl(record, method, path, await world.device().tokens.token(), body)
    known = {"NOT_FOUND": (404, 5, "CONVERSATION_NOT_FOUND"), "FIELD": (400, 3, "FIELD_INVALID")}
    assert (status, error["code"], *reasons(error)) == known[expected]


async def test_a_broken_stream_of_events_goes_on_where_it_broke(world: World, record: StackRecord) -> None:
    alice, bob = world.device(), world.device()
    conversation_id = await open_direct(alice, bob.user_id)
    token = await bob.tokens.token()
    async with events(record, token, bob.device_id) as stream:
        assert (await stream.next())["event"] == "ready"
        await send(alice, conversation_id, "one")
        last = (await stream.until("message"))["id"]
    await send(alice, conversation_id, "two")
    async with events(record, token, bob.device_id, last) as stream:
        ready = await stream.next()
        assert json.loads(ready["data"])["ready"]["resumed"]
        assert ready["id"].rpartition(".")[2] == last.rpartition(".")[2]
        message = json.loads((await stream.until("message"))["data"])["message"]
        assert message["text"]["text"] == "two"
    async with events(record, token, bob.device_id, "forged.7") as stream:
        assert "resumed" not in json.loads((await stream.next())["data"])["ready"]


async def test_a_stream_of_events_says_why_it_ends(world: World, record: StackRecord) -> None:
    bob = world.device()
    token = await bob.tokens.token()
    async with events(record, token, bob.device_id) as older:
        await older.until("ready")
        async with events(record, token, bob.device_id) as newer:
            await newer.until("ready")
            end = await older.until("end")
            assert reasons(json.loads(end["data"])) == ["REPLACED"]


async def test_streams_of_events_are_counted_with_all_others(world: World, record: StackRecord) -> None:
    user = new_user()
    async with events(record, await world.device(user).tokens.token(), "device-the-first") as oldest:
        await oldest.until("ready")
        calls = [(await subscribe(world.device(user)))[0] for _ in range(20)]
        assert reasons(json.loads((await oldest.until("end"))["data"])) == ["DEVICE_LIMIT"]
        for call in calls:
            call.cancel()


async def test_a_client_that_reads_no_events_is_cut_off_with_bounded_memory(
    world: World, record: StackRecord, admin: Any
) -> None:
    alice, bob, conversation_id = await world.pair()
    host, _, port = record.edge_address.rpartition(":")
    asked = f"GET /v1/events?device_id={bob.device_id} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer "
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(f"{asked}{await bob.tokens.token()}\r\n\r\n".encode())
    await within(reader.readuntil(b"event: ready"), PATIENCE_S)
    queued = 0
    for _ in range(400):
        await asyncio.gather(*(send(alice, conversation_id, "\N{GRINNING FACE}" * 9_000) for _ in range(4)))
        streams = await devices_of(admin, bob.user_id)
        queued = max(queued, *(stream.queued_bytes for stream in streams), 0)
        if not any(not stream.detached for stream in streams):
            break
    else:
        pytest.fail(f"it is still there, with {queued} bytes queued")
    assert queued <= 1 << 20
    writer.close()


# Clients of other make.


@pytest.mark.parametrize("protocol", ["connect+json", "connect+proto", "grpc-web"])
async def test_connect_es_has_the_contract_by_each_of_its_protocols(
    world: World, record: StackRecord, protocol: str
) -> None:
    alice, bob = world.device(), world.device()
    tokens = {"alice": await alice.tokens.token(), "bob": await bob.tokens.token(), "bobId": bob.user_id}
    script = str(Path(__file__).with_name("connect_es.mjs"))
    said = await run(
        *("node", script, f"http://{record.edge_address}", str(DESCRIPTORS), protocol), said=json.dumps(tokens)
    )
    told = json.loads(said)
    assert (told["seq"], told["first"], told["heard"]) == ("1", "ready", f"by {protocol}")
    refusals = told["refusals"]
    # Envoy's own refusals of gRPC-Web have no details.
    missing = "" if protocol == "grpc-web" else "TOKEN_MISSING"
    assert refusals["noToken"] == {"code": "Unauthenticated", "reason": missing}
    assert refusals["empty"] == {"code": "InvalidArgument", "reason": "FIELD_INVALID"}
    assert refusals["unknown"] == {"code": "NotFound", "reason": "CONVERSATION_NOT_FOUND"}
    assert refusals["badDevice"] == {"code": "InvalidArgument", "reason": "FIELD_INVALID"}


@pytest.mark.parametrize("protocol", ["grpc", "grpcweb", "connect"])
async def test_buf_curl_has_the_contract_by_each_of_its_protocols(
    world: World, record: StackRecord, protocol: str
) -> None:
    alice, _, conversation_id = await world.pair()
    request = {"conversationId": conversation_id, "clientMessageId": "once", "text": {"text": f"by {protocol}"}}
    command = [
        *("buf", "curl", "--schema", f"{DESCRIPTORS}#format=binpb", "--protocol", protocol, "--http2-prior-knowledge"),
        *("-H", f"authorization: Bearer {await alice.tokens.token()}", "-d", json.dumps(request)),
        f"http://{record.edge_address}/parley.messaging.v1.MessagingService/SendMessage",
    ]
    assert json.loads(await run(*command))["message"]["seq"] == "1"


async def test_json_of_connect_needs_nothing_but_curl(world: World, record: StackRecord, tmp_path: Path) -> None:
    alice, _, conversation_id = await world.pair()
    path, version = "/parley.messaging.v1.MessagingService/SendMessage", ("-H", "connect-protocol-version: 1")
    token = await alice.tokens.token()
    body = {"conversationId": conversation_id, "clientMessageId": "once", "text": {"text": "x"}, "new": 1}
    assert (await curl(record, "POST", path, token, body, *version))[1]["message"]["seq"] == "1"
    for wrong in ("{", "[]", '{"text": 3}', '{"conversationId": "' + "x" * 200_000 + '"}'):
        (tmp_path / "body").write_text(wrong)
        status, error = await curl(record, "POST", path, token, f"@{tmp_path / 'body'}", *version)
        assert (status, error["code"], error["details"][0]["type"]) == (400, "invalid_argument", "google.rpc.ErrorInfo")
        info = error_details_pb2.ErrorInfo.FromString(base64.b64decode(error["details"][0]["value"] + "=="))
        assert info.reason == "FIELD_INVALID"


# The OpenAPI document.


@pytest.fixture(scope="module")
async def document(stack: Any) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{stack.record.edge_address}/openapi.json") as answer,
    ):
        assert answer.content_type == "application/json"
        found: dict[str, Any] = await answer.json()
    validate(found)
    return found


async def test_answers_are_what_the_document_says(world: World, record: StackRecord, document: dict[str, Any]) -> None:
    alice, _, conversation_id = await world.pair()
    token = await alice.tokens.token()
    await send(alice, conversation_id, "hello")
    values = {"conversationId": conversation_id, "seq": "1", "callId": NOBODYS, "jobId": NOBODYS}
    asked = 0
    for path, methods in document["paths"].items():
        if "get" not in methods or path == "/v1/events":
            continue
        url = re.sub(r"{(\w+)}", lambda match: values.get(match[1], NOBODYS), path)
        status, answer = await curl(record, "GET", url, token)
        responses = methods["get"]["responses"]
        schema = responses.get(str(status), responses["default"])["content"]["application/json"]["schema"]
        _check(answer, schema, document)
        asked += status == 200
    assert asked > 8


def _check(answer: Any, schema: Any, document: dict[str, Any]) -> None:
    """The answer is of the schema and holds nothing that is not in it."""
    strict = json.loads(json.dumps({**schema, "components": document["components"]}))
    for one in strict["components"]["schemas"].values():
        if one.get("type") == "object" and "properties" in one:
            one["additionalProperties"] = False
    OAS31Validator(strict).validate(answer)


async def test_a_client_generated_from_the_document_has_the_contract(
    world: World, record: StackRecord, document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = world.device(), world.device()
    source = tmp_path / "openapi.json"
    source.write_text(json.dumps(document))
    command = ["-m", "openapi_python_client", "generate", "--meta", "none", "--path", str(source)]
    await run(sys.executable, *command, "--output-path", str(tmp_path / "parley_by_openapi"))
    monkeypatch.syspath_prepend(str(tmp_path))
    part = importlib.import_module
    service = "parley_by_openapi.api.messaging_service"
    models = part("parley_by_openapi.models")
    url, token = f"http://{record.edge_address}", await alice.tokens.token()
    async with part("parley_by_openapi.client").AuthenticatedClient(base_url=url, token=token) as client:
        opened = await part(f"{service}.create_direct_conversation").asyncio(
            client=client, body=models.CreateDirectConversationRequest(peer_user_id=bob.user_id)
        )
        conversation_id = opened.conversation.conversation_id
        body = models.SendMessageRequest(client_message_id="once", text=models.TextContent(text="generated"))
        sent = await part(f"{service}.send_message").asyncio(conversation_id, client=client, body=body)
        assert sent.message.seq == "1"
        page = await part(f"{service}.list_messages").asyncio(conversation_id, client=client)
        assert [message.text.text for message in page.messages] == ["generated"]
        refused = await part(f"{service}.list_messages").asyncio(NOBODYS, client=client)
        assert isinstance(refused, models.Status)
        assert refused.code == 5
