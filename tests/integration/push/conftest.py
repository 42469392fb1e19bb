"""Replicas of the sender on a real PostgreSQL, and providers that speak the real protocols on real sockets."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from deploy.certificates import Authority
from services.push.clients.http import HttpClient
from services.push.core.model import (
    ConversationId,
    DeviceId,
    Facts,
    MessageId,
    Provider,
    RequestState,
    Token,
    TokenId,
    UserId,
)
from services.push.core.news import MessageSent, News, OwnStateChanged, Told
from services.push.ports import Question
from services.push.providers import Providers, parse
from services.push.sender import Sender
from services.push.service import Devices, Notices, Operating
from services.push.sql.queue import PostgresQueue
from services.push.sql.threads import PostgresThreads
from services.push.sql.tokens import PostgresTokens
from services.push.wiring import MIGRATIONS, provider_senders
from services.runtime.clock import SystemClock
from services.runtime.config import DatabaseConfig
from services.runtime.postgres.database import Database
from tests.support.db import connected
from tests.support.push_providers.apns import APP, Apns
from tests.support.push_providers.fcm import Fcm
from tests.support.push_providers.network import Network
from tests.support.push_providers.web_push import PushService

ME, BOB = UserId("me"), UserId("bob")
CONVERSATION = ConversationId(str(UUID(int=7)))
TIMEOUT_S = 2.0


class Messaging:
    """What messaging would answer: what a test says, and else that nothing stands in the way."""

    def __init__(self) -> None:
        self.facts_of: dict[tuple[str, str], Facts] = {}
        self.asked: list[Question] = []

    async def facts(self, questions: Sequence[Question]) -> Sequence[Facts]:
        """See ports.FactSource."""
        self.asked += questions
        return [self.facts_of.get((one.user_id, one.conversation_id), Facts()) for one in questions]


@dataclass
class Push:
    """One database, the providers, and as many replicas as a test starts."""

    database: Database
    ca_file: str
    apns: Apns
    fcm: Fcm
    web: PushService
    network: Network
    providers: Providers
    messaging: Messaging = field(default_factory=Messaging)
    senders: list[Sender] = field(default_factory=list)
    clients: list[HttpClient] = field(default_factory=list)
    seqs: dict[ConversationId, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        clock = SystemClock()
        self.threads = PostgresThreads(self.database)
        self.tokens = PostgresTokens(self.database)
        self.queue = PostgresQueue(self.database)
        self.notices = Notices(self.threads, self.messaging, clock, self.wake)
        self.devices = Devices(self.tokens, lambda: self.providers.served, clock)
        self.operating = Operating(self.queue, self.wake)

    async def replica(self, *, retry_s: float = 3_600, timeout_s: float = TIMEOUT_S) -> Sender:
        """Another one."""
        clock = SystemClock()
        senders, clients = provider_senders(timeout_s, self.ca_file, lambda: self.providers, clock)
        for client in clients:
            await client.start()
        made = Sender(
            *(self.queue, senders, lambda: self.providers.served, clock, timeout_s, retry_s, 16),
            new_claim=lambda: uuid4().hex,
            chance=random.random,
        )
        await made.start()
        self.senders.append(made)
        self.clients += clients
        return made

    def wake(self) -> None:
        for sender in self.senders:
            sender.wake()

    async def device(self, provider: Provider, user_id: UserId = ME, name: str = "") -> str:
        """A device of its own is registered; its token."""
        address, app, p256dh, auth = name or uuid4().hex, "", b"", b""
        match provider:
            case Provider.APNS | Provider.APNS_VOIP:
                app = APP
            case Provider.WEB_PUSH:
                made = self.web.subscribe()
                address, p256dh, auth = made.endpoint, made.p256dh, made.auth
            case _:
                pass
        device = DeviceId(f"device-{address[-40:].replace('/', '_').replace(':', '_')}")
        token = Token(TokenId(str(uuid4())), user_id, device, provider, address, app, p256dh, auth)
        await self.devices.register(token)
        return address

    async def tell(self, *news: News, user_id: UserId = ME) -> None:
        """News come."""
        await self.notices.take([Told(user_id, one) for one in news])

    async def say(self, text: str = "hello", conversation_id: ConversationId = CONVERSATION, **fields: object) -> int:
        """Bob says something; its number."""
        seq = self.seqs[conversation_id] = self.seqs.get(conversation_id, 0) + 1
        news = MessageSent(
            conversation_id,
            MessageId(str(uuid4())),
            seq,
            BOB,
            datetime.now(UTC),
            text,
            **fields,  # type: ignore[arg-type]
        )
        await self.tell(news)
        return seq

    async def read(self, seq: int, conversation_id: ConversationId = CONVERSATION) -> None:
        """The person read so far on some device."""
        await self.tell(OwnStateChanged(conversation_id, seq, RequestState.ACCEPTED, datetime.now(UTC)))

    async def rows(self, statement: str, *arguments: object) -> list[dict[str, object]]:
        """What stands in the database."""
        async with self.database.connection() as connection:
            return [dict(row) for row in await connection.fetch(statement, *arguments)]

    async def is_idle(self) -> bool:
        """Nothing waits to be sent."""
        return not await self.rows("SELECT 1 FROM deliveries WHERE due IS NOT NULL")

    async def is_unclaimed(self) -> bool:
        """Nothing is being sent."""
        return not await self.rows("SELECT 1 FROM deliveries WHERE claim IS NOT NULL")

    async def stop(self) -> None:
        for provider in (self.apns, self.fcm, self.web, self.network):
            provider.open.set()
        for sender in self.senders:
            await sender.stop()
        for client in self.clients:
            await client.stop()
        for provider in (self.apns, self.fcm, self.web, self.network):
            await provider.server.stop()


@pytest.fixture
async def push(database_url: str, tmp_path: Path) -> AsyncIterator[Push]:
    authority = Authority(tmp_path / "tls")
    certificate = authority.issue("providers")
    made = (
        Apns(certificate),
        Fcm(certificate),
        PushService(certificate),
        Network(certificate),
    )
    for provider in made:
        await provider.server.start()
    apns, fcm, web, network = made
    document = {
        "apns": apns.config(),
        "fcm": fcm.config(),
        "web_push": web.config(),
        "network": network.config(),
    }
    async with connected(Database(DatabaseConfig(database_url, 12), MIGRATIONS)) as database:
        harness = Push(database, str(authority.ca), *made, parse(json.dumps(document).encode()))
        yield harness
        await harness.stop()
