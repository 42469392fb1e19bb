"""ParleyClient against an edge in this process: it starts or says why not, sends in order, and tells of failures."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from parley.gateway.v1 import messages_pb2 as events
from parley.messaging.v1 import service_pb2

from parley_client import AccessToken, DeadlineMissedError, Draft, Failure, LoginError, ParleyClient, StreamEndedError
from parley_client.asking import ask_until_told
from parley_client.client import Edge, http_login
from parley_client.stream import BackOff
from parley_client.user_client import default_device_id, edge_of
from tests.support.waiting import PATIENCE_S
from tests.unit.parley_client.fake_edge import CONVERSATION, FakeEdge, message

READY = events.Ready(heartbeat_s=5)
AT_ONCE = BackOff(first_s=0.001, most_s=0.001)


@pytest.fixture
def edge(edge: FakeEdge) -> FakeEdge:
    edge.first = {"ready": READY}
    return edge


async def tokens() -> AccessToken:
    return AccessToken("token", 4e9)


def client_of(edge: FakeEdge, heard: list[str] | None = None) -> ParleyClient:
    def hear(event: events.DeviceEvent) -> None:
        if heard is not None:
            heard.append(event.WhichOneof("event") or "")

    return ParleyClient("alice", tokens=tokens, base_url=f"http://{edge.address}", on_event=hear)


# Where it connects.


@pytest.mark.parametrize(
    ("url", "edge"),
    [
        ("http://127.0.0.1:8080", Edge("127.0.0.1:8080", "http://127.0.0.1:8080", tls=False)),
        ("https://parley.example.com/", Edge("parley.example.com:443", "https://parley.example.com", tls=True)),
        ("http://[::1]:9000", Edge("[::1]:9000", "http://[::1]:9000", tls=False)),
    ],
)
def test_an_address_says_host_port_and_whether_it_is_secure(url: str, edge: Edge) -> None:
    assert edge_of(url) == edge


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://x", "https://", "https://x/v1", "http://x?y=1", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        edge_of(url)


def test_a_device_has_one_id_per_user_and_machine() -> None:
    ids = {default_device_id(user, host) for user in ("alice", "bob", "a" * 500, "ü/🙂") for host in ("one", "two")}
    assert len(ids) == 8
    assert all(8 <= len(each) <= 64 and each.replace("-", "").isalnum() and each.isascii() for each in ids)
    assert default_device_id("alice", "one") == default_device_id("alice", "one")


@pytest.mark.parametrize("device_id", ["phone", "my phone 1", "x" * 65, "über-phone"])
def test_a_device_id_that_no_service_takes_is_refused_at_once(device_id: str) -> None:
    with pytest.raises(ValueError, match="device_id"):
        ParleyClient("alice", tokens=tokens, base_url="http://127.0.0.1:9", device_id=device_id)


# Start and end.


async def test_it_starts_sends_and_is_told_of_changes(edge: FakeEdge) -> None:
    heard: list[str] = []
    changes = 0

    def count() -> None:
        nonlocal changes
        changes += 1

    async with client_of(edge, heard) as client:
        client.subscribe(count)
        room = await client.messaging.open_direct("bob")
        sent = await client.messaging.send(room, Draft("hello", reply_to_seq=3), client_message_id="mine")
        assert (sent.text, sent.seq, edge.sent[0].reply_to_seq, edge.sent[0].client_message_id) == (
            "hello",
            1,
            3,
            "mine",
        )
        await client.until(lambda: bool(client.messaging.store.history(room).shown), PATIENCE_S, "its own message")
        await edge.say(0, typing=events.Typing(conversation_id=room, user_id="bob", typing=True))
        await client.until(lambda: "typing" in heard, PATIENCE_S, "the event")
    assert heard[0] == "ready"
    assert changes > 0


async def test_a_start_says_who_has_its_place(edge: FakeEdge) -> None:
    edge.refusals = [(grpc.StatusCode.ABORTED, "REPLACED")]
    with pytest.raises(StreamEndedError, match="REPLACED"):
        await client_of(edge).start(PATIENCE_S)


async def test_a_start_that_misses_its_deadline_says_what_stood_in_the_way() -> None:
    async def nobody() -> AccessToken:
        raise LoginError("the issuer is on holiday")

    client = ParleyClient("alice", tokens=nobody, base_url="http://127.0.0.1:9")
    with pytest.raises(DeadlineMissedError, match=r"alice at 127\.0\.0\.1:9: .*on holiday"):
        await client.start(0.5)


async def test_whatever_a_provider_of_tokens_raises_the_stream_tries_again(edge: FakeEdge) -> None:
    answers = iter([OSError("my backend is away"), KeyError("jwt"), AccessToken("token", 4e9)])

    async def flaky() -> AccessToken:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with ParleyClient("alice", tokens=flaky, base_url=f"http://{edge.address}") as client:
        assert client.stream.is_current


async def test_a_provider_that_gives_no_token_is_a_login_error_with_its_cause() -> None:
    async def broken() -> AccessToken:
        raise OSError("my backend is away")

    client = ParleyClient("alice", tokens=broken, base_url="http://127.0.0.1:9")
    with pytest.raises(LoginError, match="OSError: my backend is away") as caught:
        await client.messaging.open_direct("bob")
    assert isinstance(caught.value.__cause__, OSError)
    await client.api.close()


async def test_an_issuer_that_is_not_there_is_a_login_error() -> None:
    with pytest.raises(LoginError, match=r"http://127\.0\.0\.1:9 refused alice"):
        await http_login("http://127.0.0.1:9")("alice")


# Asking.


async def test_the_sends_of_one_conversation_leave_in_the_order_of_the_calls(edge: FakeEdge) -> None:
    edge.failures = [(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")]
    async with client_of(edge) as client:
        sent = await asyncio.gather(*(client.messaging.send(CONVERSATION, f"{number}") for number in range(3)))
    assert [each.seq for each in sent] == [1, 2, 3]
    # The first one twice, under one id.
    assert [each.text.text for each in edge.sent] == ["0", "0", "1", "2"]
    assert edge.sent[0].client_message_id == edge.sent[1].client_message_id


async def test_a_refusal_says_its_reason(edge: FakeEdge) -> None:
    edge.failures = [(grpc.StatusCode.PERMISSION_DENIED, "NOT_ALLOWED")]
    async with client_of(edge) as client:
        with pytest.raises(Failure) as caught:
            await client.messaging.send(CONVERSATION, "hello")
    failure = caught.value
    assert (failure.code, failure.reason, failure.is_transient) == ("permission_denied", "NOT_ALLOWED", False)
    assert len(edge.sent) == 1


async def test_what_passes_is_tried_a_few_times(edge: FakeEdge) -> None:
    edge.failures = [(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")] * 9
    async with client_of(edge) as client:
        request = service_pb2.SendMessageRequest(conversation_id=CONVERSATION, client_message_id="once")
        with pytest.raises(Failure, match="STORE_UNAVAILABLE"):
            await ask_until_told(lambda: client.api.messaging.SendMessage(request), AT_ONCE, attempts=3)
    assert len(edge.sent) == 3


async def test_an_older_page_comes_with_the_oldest_first(edge: FakeEdge) -> None:
    edge.stored = [message(seq) for seq in range(1, 31)]
    async with client_of(edge) as client:
        page, has_more = await client.messaging.list_messages(CONVERSATION, before_seq=21, page_size=5)
    assert ([entry.seq for entry in page], has_more) == ([16, 17, 18, 19, 20], True)


async def test_what_was_sent_in_a_conversation_comes_in_pages_by_its_kind(edge: FakeEdge) -> None:
    edge.stored = [message(2), message(1)]
    async with client_of(edge) as client:
        first, token = await client.list_shared(CONVERSATION, "media")
        rest, end = await client.list_shared(CONVERSATION, "media", token)
        for kind in ("file", "voice", "link"):
            await client.list_shared(CONVERSATION, kind)
    assert ([entry.seq for entry in first], [entry.seq for entry in rest], end) == ([2], [1], "")
    assert [(request.conversation_id, request.query) for request in edge.searched] == [(CONVERSATION, "")] * 5
    assert [list(request.has) for request in edge.searched] == [
        [service_pb2.SEARCH_HAS_PICTURE_OR_VIDEO],
        [service_pb2.SEARCH_HAS_PICTURE_OR_VIDEO],
        [service_pb2.SEARCH_HAS_OTHER_FILE],
        [service_pb2.SEARCH_HAS_VOICE],
        [service_pb2.SEARCH_HAS_LINK],
    ]
