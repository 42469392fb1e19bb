"""What a store has to tell, and the facts beside it that other features write, for the fake and PostgreSQL alike."""

from typing import Protocol

from parley.gateway.v1 import messages_pb2 as gateway
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.messaging.v1 import events_pb2
from parley.presence.v1 import events_pb2 as presence

from services.messaging.kernel.model import ConversationId, UserId
from services.messaging.kernel.request import RequestState
from services.messaging.wire import api, topics
from services.runtime.postgres.database import Database
from tests.support.clock import ManualClock
from tests.support.messaging_memory import MemoryStore


class News(Protocol):
    """`events`: of all conversations, in order. `own_states`: (user, what the user's own devices are told)."""

    async def events(self) -> list[events_pb2.ConversationEvent]: ...

    async def own_states(self) -> list[tuple[str, gateway.OwnStateChanged]]: ...

    async def send_receipts(self, user_id: UserId, *, wanted: bool) -> None: ...

    async def stand(self, conversation_id: ConversationId, user_id: UserId, request: RequestState) -> None: ...


class MemoryNews:
    """See News."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def events(self) -> list[events_pb2.ConversationEvent]:
        return [events_pb2.ConversationEvent.FromString(event) for event in self._store.events]

    async def own_states(self) -> list[tuple[str, gateway.OwnStateChanged]]:
        return [
            (
                user_id,
                gateway.OwnStateChanged(conversation_id=str(conversation_id), own_state=api.own_state_message(state)),
            )
            for user_id, conversation_id, state in self._store.own_told
        ]

    async def send_receipts(self, user_id: UserId, *, wanted: bool) -> None:
        (self._store.silent.discard if wanted else self._store.silent.add)(user_id)

    async def stand(self, conversation_id: ConversationId, user_id: UserId, request: RequestState) -> None:
        self._store.set_request(conversation_id, user_id, request, ManualClock().now())


class PostgresNews:
    """See News. Nothing is published, so that the outbox keeps all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def events(self) -> list[events_pb2.ConversationEvent]:
        return [events_pb2.ConversationEvent.FromString(value) for _, value in await self._outbox(topics.EVENTS)]

    async def own_states(self) -> list[tuple[str, gateway.OwnStateChanged]]:
        told = []
        for key, value in await self._outbox(topics.DELIVERY):
            frame = presence.Delivery.FromString(value).frame
            told.append((key, gateway_service.SubscribeResponse.FromString(frame).event.own_state))
        return told

    async def send_receipts(self, user_id: UserId, *, wanted: bool) -> None:
        async with self._database.connection() as connection:
            await connection.execute(
                "INSERT INTO user_settings (user_id, send_receipts) VALUES ($1, $2)"
                " ON CONFLICT (user_id) DO UPDATE SET send_receipts = excluded.send_receipts",
                user_id,
                wanted,
            )

    async def stand(self, conversation_id: ConversationId, user_id: UserId, request: RequestState) -> None:
        async with self._database.connection() as connection:
            await connection.execute(
                "UPDATE members SET request = $3 WHERE conversation_id = $1 AND user_id = $2",
                conversation_id,
                user_id,
                request.value,
            )

    async def _outbox(self, topic: str) -> list[tuple[str, bytes]]:
        async with self._database.connection() as connection:
            rows = await connection.fetch("SELECT key, value FROM outbox WHERE topic = $1 ORDER BY id", topic)
        return [(row["key"], row["value"]) for row in rows]
