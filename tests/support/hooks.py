"""The network's hook as tests have it: one in memory, real ones over gRPC and HTTP, and what is held in memory."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import grpc
from aiohttp import web
from google.protobuf.json_format import MessageToJson, Parse
from parley.hooks.v1 import service_pb2 as api
from parley.hooks.v1 import service_pb2_grpc
from standardwebhooks import Webhook

from services.messaging.hooks.core.holding import Decision, Held, HeldId, HeldState, Place, Queue, decide
from services.messaging.hooks.core.verdicts import Allow, Question, Verdict
from services.messaging.hooks.ports import NoAnswer
from services.messaging.kernel.content import Expired
from services.messaging.kernel.errors import HeldNotFound
from services.messaging.kernel.model import ConversationId, ConversationKind, DraftKey, UserId
from tests.support.messaging import FakeStore

SECRET = b"k" * 32
# How long files of what is held stay.
KEPT = timedelta(days=14)
# What a hook answers to a request; it may take its time.
Judge = Callable[[api.CheckMessageRequest], Awaitable[api.CheckMessageResponse]]


Context = grpc.aio.ServicerContext[api.CheckMessageRequest, api.CheckMessageResponse]


class FakeHook:
    """See hooks.ports.MessageHook. Says what `says` does; an event in `waits` is waited for first."""

    def __init__(self) -> None:
        self.says: Callable[[Question], Verdict | NoAnswer] = lambda _: Allow()
        self.asked: list[Question] = []
        self.timeouts_s: list[float] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def ask(self, question: Question, timeout_s: float) -> Verdict:
        self.asked.append(question)
        self.timeouts_s.append(timeout_s)
        await self.gate.wait()
        verdict = self.says(question)
        if isinstance(verdict, NoAnswer):
            raise verdict
        return verdict


class MemoryPlaces:
    """See hooks.ports.Places. `known`: what is remembered, by sender and conversation."""

    def __init__(self) -> None:
        self.known: dict[tuple[UserId, ConversationId], Place] = {}

    def remembered(self, key: DraftKey) -> Place | None:
        return self.known.get((key.sender_id, key.conversation_id))

    def forget(self, conversation_ids: Collection[ConversationId]) -> None:
        self.known = {key: place for key, place in self.known.items() if key[1] not in conversation_ids}


class MemoryHeld:
    """See hooks.ports.HeldStore, beside a store of messages in memory."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self._held: dict[DraftKey, Held] = {}
        self._decided_at: dict[HeldId, datetime] = {}
        # How often it was looked for a place.
        self.looks = 0

    async def find_place(self, key: DraftKey) -> Place | None:
        self.looks += 1
        found = await self._store.find_conversation(key.conversation_id)
        if found is None:
            return None
        others = [member.user_id for member in found.members if member.user_id != key.sender_id]
        held = self._held.get(key)
        return Place(
            found.kind,
            found.member(key.sender_id) is not None,
            found.blocked,
            found.frozen,
            found.is_unaccepted_by_others(key.sender_id),
            others[0] if others and found.kind is ConversationKind.DIRECT else None,
            held.state if held else None,
        )

    async def hold(self, held: Held, most: int) -> bool:
        before = self._held.get(held.key)
        if not held.seq and (before or await self._store.find_sent(held.key)):
            return True
        waiting = [each for each in self._waiting() if each.key.sender_id == held.key.sender_id]
        if before is None and len(waiting) >= most:
            return False
        if before is None or before.state is not HeldState.RELEASING:
            self._held[held.key] = held
            self._decided_at.pop(held.id, None)
            self._keep_until(held, held.held_at + KEPT)
        return True

    async def list_waiting(self, after: HeldId | None, limit: int) -> Sequence[Held]:
        return [each for each in self._waiting() if after is None or each.id > after][:limit]

    async def decide(self, held_id: HeldId, decision: Decision, now: datetime) -> Held:
        held = next((each for each in self._held.values() if each.id == held_id), None)
        return self._decided(held, decision, now)

    async def withdraw(self, key: DraftKey, now: datetime) -> None:
        self._decided(self._held.get(key), Decision.WITHDRAW, now)

    def _decided(self, held: Held | None, decision: Decision, now: datetime) -> Held:
        if held is None:
            raise HeldNotFound
        after = decide(held.state, decision)
        kept = replace(held, state=after)
        if after in (HeldState.RELEASED, HeldState.REFUSED):
            self._decided_at.setdefault(held.id, now)
            kept = replace(kept, content=Expired(), attachments=(), reply_to_seq=0)
        if after is HeldState.REFUSED:
            self._keep_until(held, now)
        self._held[held.key] = kept
        return replace(held, state=after)

    async def forget(self, waiting_since: datetime, decided_before: datetime, limit: int) -> int:
        late = [
            each
            for each in self._held.values()
            if (
                self._decided_at[each.id] < decided_before
                if each.id in self._decided_at
                else each.held_at < waiting_since
            )
        ][:limit]
        for each in late:
            del self._held[each.key]
        return len(late)

    async def queue(self) -> Queue:
        waiting = self._waiting()
        return Queue(len(waiting), min((each.held_at for each in waiting), default=None))

    def _keep_until(self, held: Held, until: datetime) -> None:
        uploads = self._store.unused_uploads
        for each in held.attachments:
            if each.id in uploads:
                uploads[each.id] = replace(uploads[each.id], unused_until=until)

    def _waiting(self) -> list[Held]:
        waiting = [each for each in self._held.values() if each.id not in self._decided_at]
        return sorted(waiting, key=lambda each: each.id)


async def allow(_: api.CheckMessageRequest) -> api.CheckMessageResponse:
    """Lets everything pass."""
    return api.CheckMessageResponse(allow=api.Allow())


class HookServicer(service_pb2_grpc.MessageHookServiceServicer):
    """A hook over gRPC. `judge` may be changed at any time."""

    def __init__(self, judge: Judge = allow) -> None:
        self.judge = judge
        self.asked: list[api.CheckMessageRequest] = []
        self.tokens: list[str] = []

    async def CheckMessage(self, request: api.CheckMessageRequest, context: Context) -> api.CheckMessageResponse:
        self.asked.append(request)
        self.tokens += [str(value) for key, value in context.invocation_metadata() or () if key == "authorization"]
        return await self.judge(request)


@asynccontextmanager
async def grpc_hook(servicer: HookServicer, port: int = 0) -> AsyncIterator[int]:
    """A server of it, at a port."""
    server = grpc.aio.server()
    service_pb2_grpc.add_MessageHookServiceServicer_to_server(servicer, server)
    found = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield found
    finally:
        await server.stop(None)


class HttpHookApp:
    """A hook over HTTP, which believes signed requests alone. `raw` is answered in place of a judgement."""

    def __init__(self, judge: Judge = allow) -> None:
        self.judge = judge
        self.asked: list[api.CheckMessageRequest] = []
        self.raw: bytes | None = None
        self.status = 200

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        Webhook("whsec_" + base64.b64encode(SECRET).decode()).verify(body, dict(request.headers))
        asked = Parse(body, api.CheckMessageRequest())
        assert request.headers["webhook-id"] == asked.check_id
        self.asked.append(asked)
        if self.raw is not None:
            return web.Response(body=self.raw, status=self.status)
        return web.Response(text=MessageToJson(await self.judge(asked)), status=self.status)


@asynccontextmanager
async def http_hook(hook: HttpHookApp) -> AsyncIterator[str]:
    """A server of it, at an address."""
    app = web.Application()
    app.router.add_post("/judge", hook.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/judge"
    finally:
        await runner.cleanup()
