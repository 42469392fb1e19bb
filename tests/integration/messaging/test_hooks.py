"""A message on its way past a hook: real ones over gRPC and HTTP, real messages in PostgreSQL."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from parley.hooks.v1 import service_pb2 as api
from parley.messaging.v1.messages_pb2 import TextContent

from deploy.embedded.record import ROOT
from services.messaging.hooks.clients import AUDIENCE, MAX_ANSWER_BYTES, GrpcHook, HttpHook
from services.messaging.hooks.core.policy import HookPolicy, WithoutAnswer
from services.messaging.hooks.core.verdicts import Allow, Hold, Mask, Refuse, Surface, Verdict
from services.messaging.hooks.ports import MessageHook, NoAnswer, Problem
from services.messaging.hooks.service.asking import Asking
from services.messaging.hooks.service.judging import Judging
from services.messaging.hooks.service.reviewing import Reviews
from services.messaging.hooks.sql import PostgresHeld
from services.messaging.kernel.content import Mention, Text
from services.messaging.kernel.errors import HookUnavailable, MessageHeld, MessageRefused
from services.messaging.kernel.model import Message, UserId
from services.messaging.messages.service.group_commit import GroupCommit
from services.messaging.messages.service.rates import SendRates
from services.messaging.messages.service.requests import MessageLimits, TextRequest
from services.messaging.wiring import MIGRATIONS
from services.runtime.clock import SystemClock
from services.runtime.config import DatabaseConfig
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import OutboxRelay
from tests.support.bus import MemoryPublisher
from tests.support.db import connected
from tests.support.faulty import Fault, faulty_server
from tests.support.hooks import SECRET, HookServicer, HttpHookApp, allow, grpc_hook, http_hook
from tests.support.identities import tokens_of
from tests.support.messaging_cases import Cases
from tests.support.messaging_postgres import PostgresStore
from tests.support.waiting import PATIENCE_S, eventually
from tests.unit.messaging.test_hook_asking import question

ALICE, BOB, CAROL = UserId("alice"), UserId("bob"), UserId("carol")
CLOCK = SystemClock()
CLOSED = dict.fromkeys(Surface, WithoutAnswer.CLOSED)
OPEN = dict.fromkeys(Surface, WithoutAnswer.OPEN)
TEXT_CHARS = 200
GUIDE = ROOT / "docs" / "operations" / "moderation.md"

Said = Callable[[api.CheckMessageRequest], Awaitable[api.CheckMessageResponse]]


class Town:
    """Messaging over PostgreSQL, with a hook."""

    def __init__(self, database: Database, hook: MessageHook, policy: HookPolicy, timeout_s: float) -> None:
        store = PostgresStore(database, OutboxRelay(database, MemoryPublisher()), new_id)
        held = PostgresHeld(database, timedelta(days=14))
        judging = Judging(Asking(hook, CLOCK, timeout_s, 16, TEXT_CHARS), held, store.places, policy, CLOCK, new_id)
        self.sends = GroupCommit(store, 100)
        limits = MessageLimits(text_chars=TEXT_CHARS)
        cases = Cases(*(store, self.sends, SendRates(), CLOCK, new_id, limits), judging=judging)
        self.conversations, self.history = cases.conversations, cases.history
        self.sending, self.changing = cases.sending, cases.changing
        self.reviews = Reviews(held, cases.sending, cases.changing, CLOCK)

    async def pair(self, one: UserId = ALICE, other: UserId = BOB) -> str:
        return str((await self.conversations.open_direct(one, other)).id)

    async def say(self, conversation: str, key: str, text: Text, user: UserId = ALICE) -> Message:
        return await self.sending.send(user, conversation, TextRequest(key, text))

    async def texts(self, conversation: str, user: UserId = BOB) -> list[object]:
        messages, _ = await self.history.list_messages(user, conversation, 0, 50)
        return [message.content for message in reversed(messages)]


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    async with connected(Database(DatabaseConfig(migrated_url, pool_size=6), MIGRATIONS)) as database:
        yield database


@asynccontextmanager
async def started(hook: GrpcHook | HttpHook) -> AsyncIterator[GrpcHook | HttpHook]:
    await hook.start()
    try:
        yield hook
    finally:
        await hook.stop()


@asynccontextmanager
async def town_of(
    database: Database, hook: MessageHook, policy: HookPolicy | None = None, timeout_s: float = PATIENCE_S
) -> AsyncIterator[Town]:
    town = Town(database, hook, policy or HookPolicy(CLOSED), timeout_s)
    committer = asyncio.create_task(town.sends.run())
    try:
        yield town
    finally:
        committer.cancel()


class Judge:
    """A real hook over one of the two protocols, which says what `say` does."""

    def __init__(self, hook: GrpcHook | HttpHook, server: HookServicer | HttpHookApp) -> None:
        self.hook = hook
        self.server = server

    @property
    def asked(self) -> list[api.CheckMessageRequest]:
        return self.server.asked

    def say(self, said: Said) -> None:
        self.server.judge = said


@pytest.fixture(params=["grpc", "http"])
async def judge(request: pytest.FixtureRequest) -> AsyncIterator[Judge]:
    async with AsyncExitStack() as stack:
        if request.param == "grpc":
            servicer = HookServicer()
            port = await stack.enter_async_context(grpc_hook(servicer))
            hook = GrpcHook(f"127.0.0.1:{port}", tokens_of("messaging"), secure=False)
            yield Judge(await stack.enter_async_context(started(hook)), servicer)
        else:
            app = HttpHookApp()
            url = await stack.enter_async_context(http_hook(app))
            yield Judge(await stack.enter_async_context(started(HttpHook(url, [SECRET], CLOCK))), app)


def always(answer: api.CheckMessageResponse) -> Said:
    async def say(_: api.CheckMessageRequest) -> api.CheckMessageResponse:
        return answer

    return say


async def test_a_hook_lets_pass_changes_masks_and_refuses(database: Database, judge: Judge) -> None:
    async with town_of(database, judge.hook) as town:
        conversation = await town.pair()
        mention = Text("you pig, bob", (Mention(9, 3, BOB),))
        assert (await town.say(conversation, "1", mention)).content == mention
        judge.say(always(api.CheckMessageResponse(replace=api.Replace(text=TextContent(text="dear")))))
        assert (await town.say(conversation, "2", mention)).content == Text("dear")
        judge.say(always(api.CheckMessageResponse(mask=api.Mask(spans=[api.Span(offset=4, length=3)]))))
        masked = Text("you ***, bob", mention.entities, masked=True)
        assert (await town.say(conversation, "3", mention)).content == masked
        judge.say(always(api.CheckMessageResponse(refuse=api.Refuse(reason="HATE"))))
        with pytest.raises(MessageRefused) as refused:
            await town.say(conversation, "4", mention)
        assert refused.value.error_info == {"hook_reason": "HATE"}
        # An edit is judged as a message is, and the text that it replaces stays known.
        judge.say(always(api.CheckMessageResponse(mask=api.Mask())))
        edited = await town.changing.edit_message(ALICE, conversation, 1, Text("you swine"))
        assert edited.content == Text("***", masked=True)
        assert await town.texts(conversation) == [edited.content, Text("dear"), masked]
        asked = judge.asked[0]
        assert (asked.writing, asked.surface, asked.peer_user_id) == (api.WRITING_MESSAGE, api.SURFACE_DIRECT, "bob")
        assert (asked.message.sender_id, asked.message.client_message_id, asked.message.text.text) == (
            *("alice", "1"),
            "you pig, bob",
        )
        assert (judge.asked[-1].writing, judge.asked[-1].message.seq) == (api.WRITING_EDIT, 1)


async def test_what_is_held_comes_when_it_is_released(database: Database, judge: Judge) -> None:
    async with town_of(database, judge.hook) as town:
        conversation = await town.pair()
        judge.say(always(api.CheckMessageResponse(hold=api.Hold(reason="SPAM"))))
        with pytest.raises(MessageHeld):
            await town.say(conversation, "1", Text("buy this"))
        judge.say(allow)
        await town.say(conversation, "2", Text("later"))
        with pytest.raises(MessageHeld):
            await town.say(conversation, "1", Text("buy this"))
        ((held,), _) = await town.reviews.list_held(0, "")
        assert held.hook_reason == "SPAM"
        released = await town.reviews.release(str(held.id))
        assert await town.say(conversation, "1", Text("buy this")) == released
        assert await town.texts(conversation) == [Text("later"), Text("buy this")]


async def test_what_a_replica_remembers_never_outlives_what_another_one_changed(database: Database) -> None:
    servicer = HookServicer()
    async with (
        grpc_hook(servicer) as port,
        started(GrpcHook(f"127.0.0.1:{port}", None, secure=False)) as hook,
        town_of(database, hook) as one,
        town_of(database, hook) as other,
    ):
        conversation = await one.pair()
        # Both remember it from now on.
        for town, key in ((one, "a"), (other, "b"), (one, "c"), (other, "d")):
            await town.say(conversation, key, Text("hello"))
        servicer.judge = always(api.CheckMessageResponse(hold=api.Hold()))
        with pytest.raises(MessageHeld):
            await one.say(conversation, "held", Text("buy this"))
        servicer.judge = allow
        # The other one asks, and stores nothing: by then it has heard of it.
        for town in (other, one, other):
            with pytest.raises(MessageHeld):
                await town.say(conversation, "held", Text("buy this"))
        assert [asked.message.client_message_id for asked in servicer.asked][4:] == ["held"] * 2
        for town, key in ((other, "e"), (one, "f"), (other, "g")):
            await town.say(conversation, key, Text("hello"))
            await town.say(conversation, f"{key} of bob", Text("hello"), BOB)
        assert len(await one.texts(conversation)) == 10


async def test_a_slow_hook_slows_only_its_sender(database: Database, judge: Judge) -> None:
    hanging, go_on = asyncio.Event(), asyncio.Event()

    async def slow_for_alice(asked: api.CheckMessageRequest) -> api.CheckMessageResponse:
        if asked.message.sender_id == ALICE:
            hanging.set()
            await go_on.wait()
        return api.CheckMessageResponse(allow=api.Allow())

    judge.say(slow_for_alice)
    async with town_of(database, judge.hook) as town:
        conversation = await town.pair()
        slow = [asyncio.create_task(town.say(conversation, f"a{number}", Text("slow"))) for number in range(8)]
        await hanging.wait()
        for number in range(20):
            await town.say(conversation, f"b{number}", Text("fast"), BOB)
        assert not any(task.done() for task in slow)
        go_on.set()
        await asyncio.gather(*slow)
        assert await town.texts(conversation) == [Text("fast")] * 20 + [Text("slow")] * 8


@pytest.mark.parametrize("surfaces", [OPEN, CLOSED], ids=["open", "closed"])
async def test_a_hook_that_does_not_answer_in_time_is_as_none(
    database: Database, judge: Judge, surfaces: dict[Surface, WithoutAnswer]
) -> None:
    async def hang(_: api.CheckMessageRequest) -> api.CheckMessageResponse:
        await asyncio.Event().wait()
        raise AssertionError

    judge.say(hang)
    async with town_of(database, judge.hook, HookPolicy(surfaces), timeout_s=0.2) as town:
        conversation = await town.pair()
        if surfaces is CLOSED:
            with pytest.raises(HookUnavailable):
                await town.say(conversation, "1", Text("hello"))
        else:
            assert (await town.say(conversation, "1", Text("hello"))).content == Text("hello")
        assert await town.texts(conversation) == ([] if surfaces is CLOSED else [Text("hello")])


async def test_a_hook_that_comes_back_is_asked_again(database: Database) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(AsyncExitStack())
        port = await first.enter_async_context(grpc_hook(HookServicer()))
        hook = await stack.enter_async_context(started(GrpcHook(f"127.0.0.1:{port}", None, secure=False)))
        town = await stack.enter_async_context(town_of(database, hook))
        conversation = await town.pair()
        await town.say(conversation, "1", Text("hello"))
        await first.aclose()
        with pytest.raises(HookUnavailable):
            await town.say(conversation, "2", Text("hello"))
        await stack.enter_async_context(grpc_hook(HookServicer(), port))

        async def passes() -> bool:
            try:
                await town.say(conversation, "2", Text("hello"))
            except HookUnavailable:
                return False
            return True

        await eventually(passes, what="the hook that is back")
        assert len(await town.texts(conversation)) == 2


async def test_a_grpc_hook_knows_who_asks() -> None:
    servicer = HookServicer()
    async with (
        grpc_hook(servicer) as port,
        started(GrpcHook(f"127.0.0.1:{port}", tokens_of("messaging"), secure=False)) as hook,
    ):
        await hook.ask(question(), PATIENCE_S)
    (token,) = servicer.tokens
    assert tokens_of("signaling").verify(token.removeprefix("Bearer "), AUDIENCE) == "messaging"


@pytest.mark.parametrize(
    "answer",
    [
        api.CheckMessageResponse(),
        api.CheckMessageResponse(replace=api.Replace(text=TextContent(text="x" * (MAX_ANSWER_BYTES + 1)))),
    ],
    ids=["no verdict", "too large"],
)
async def test_an_answer_that_is_none_is_told_as_one(judge: Judge, answer: api.CheckMessageResponse) -> None:
    judge.say(always(answer))
    with pytest.raises(NoAnswer) as refused:
        await judge.hook.ask(question(), PATIENCE_S)
    assert refused.value.problem is Problem.UNREADABLE


@pytest.mark.parametrize("code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED])
async def test_an_error_of_a_grpc_hook_is_no_answer(code: grpc.StatusCode) -> None:
    class Refusing(HookServicer):
        async def CheckMessage(
            self, request: api.CheckMessageRequest, context: grpc.aio.ServicerContext
        ) -> api.CheckMessageResponse:
            await context.abort(code, "no")
            raise AssertionError

    async with grpc_hook(Refusing()) as port, started(GrpcHook(f"127.0.0.1:{port}", None, secure=False)) as hook:
        with pytest.raises(NoAnswer) as refused:
            await hook.ask(question(), PATIENCE_S)
        assert refused.value.problem is Problem.FAILED


RAW = {
    "empty": b"",
    "no JSON": b"yes",
    "no UTF-8": b"\xff\xfe{}",
    "a list": b"[1]",
    "a word": b'"allow"',
    "no verdict": b"{}",
    "another verdict": b'{"ban": {}}',
    "null": b"null",
    "two verdicts": b'{"allow": {}, "refuse": {}}',
    "nested": b'{"allow":' + b"[" * 20_000,
    "deep": b'{"x":' * 3_000 + b"1" + b"}" * 3_000,
    "a wrong type": b'{"mask": {"spans": "all"}}',
    "a large number": b'{"mask": {"spans": [{"offset": 99999999999999999999}]}}',
    "half a character": b'{"replace": {"text": {"text": "\\ud800"}}}',
}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
async def test_garbage_over_http_is_no_answer(raw: bytes) -> None:
    app = HttpHookApp()
    app.raw = raw
    async with http_hook(app) as url, started(HttpHook(url, [SECRET], CLOCK)) as hook:
        with pytest.raises(NoAnswer) as refused:
            await hook.ask(question(), PATIENCE_S)
        assert refused.value.problem is Problem.UNREADABLE


async def test_what_a_newer_hook_says_beside_its_verdict_is_left_out() -> None:
    app = HttpHookApp()
    app.raw = b'{"allow": {"score": 0.1}, "model": "v2"}'
    async with http_hook(app) as url, started(HttpHook(url, [SECRET], CLOCK)) as hook:
        assert await hook.ask(question(), PATIENCE_S) == Allow()


async def test_a_server_that_closes_resting_connections_as_they_are_used_is_asked_on_another() -> None:
    # By connection: how many questions it answered.
    served: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(served)
        served.append(0)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(re.findall(rb"(?i)content-length: (\d+)", head)[0]))
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"allow": {}}')
            served[number] += 1
            # It hangs up on the next question.
            await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, started(HttpHook(f"http://127.0.0.1:{port}/judge", [SECRET], CLOCK)) as hook:
        for _ in range(3):
            assert await hook.ask(question(), PATIENCE_S) == Allow()
    assert served == [1, 1, 1]


@pytest.mark.parametrize("status", [201, 204, 302, 400, 500])
async def test_another_status_than_200_is_no_answer(status: int) -> None:
    app = HttpHookApp()
    app.raw, app.status = b'{"allow": {}}' if status != 204 else b"", status
    async with http_hook(app) as url, started(HttpHook(url, [SECRET], CLOCK)) as hook:
        with pytest.raises(NoAnswer) as refused:
            await hook.ask(question(), PATIENCE_S)
        assert refused.value.problem is Problem.FAILED


@pytest.mark.parametrize("fault", list(Fault), ids=[fault.value for fault in Fault])
@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_a_hook_that_is_reached_and_is_no_help_gives_no_answer(fault: Fault, protocol: str) -> None:
    async with faulty_server(fault) as server:
        hook: GrpcHook | HttpHook = GrpcHook(server.address, None, secure=False)
        if protocol == "http":
            hook = HttpHook(f"http://{server.address}/judge", [SECRET], CLOCK)
        async with started(hook), asyncio.timeout(PATIENCE_S):
            with pytest.raises(NoAnswer):
                await hook.ask(question(), 0.3)
        assert server.most_taken < 32 * 1024 * 1024


async def test_the_example_of_the_operators_guide_judges(tmp_path: Path) -> None:
    code = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)[0]
    (tmp_path / "hook.py").write_text(code)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(sys.executable, "hook.py", str(port), cwd=tmp_path)
    url = f"http://127.0.0.1:{port}/judge"
    try:
        async with (
            started(HttpHook(url, [b"a secret of thirty-two bytes ..."], CLOCK)) as hook,
            started(HttpHook(url, [SECRET], CLOCK)) as stranger,
        ):

            async def verdict(words: str) -> Verdict | None:
                try:
                    return await hook.ask(replace(question(), content=Text(words)), PATIENCE_S)
                except NoAnswer as error:
                    if error.problem is Problem.UNREACHABLE:
                        return None
                    raise

            await eventually(lambda: verdict("hello"), what="the example")
            assert await verdict("hello") == Allow()
            assert await verdict("you pig") == Mask([(4, 3)])
            assert await verdict("a casino") == Refuse("GAMBLING")
            assert await verdict("a lottery") == Hold("GAMBLING")
            with pytest.raises(NoAnswer):
                await stranger.ask(question(), PATIENCE_S)
    finally:
        process.kill()
        await process.wait()
