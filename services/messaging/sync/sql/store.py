"""PostgreSQL: what each person has, and what a device lacks. The statements stand beside it."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg

from services.messaging.conversations.sql.conversations import load_conversations
from services.messaging.conversations.sql.own_states import load_own_states
from services.messaging.kernel.model import ConversationId, Cursor, Delta, PageMark, Summary, UserId
from services.messaging.kernel.own_state import OwnState
from services.messaging.kernel.request import RequestState
from services.messaging.messages.sql.reading import load_last
from services.messaging.sync.core.account import AccountPage, Mark, Snapshot, Step, SyncToken, begin_walk
from services.messaging.sync.core.deltas import build_delta
from services.messaging.sync.sql.deltas import load_behind, load_changed, load_new
from services.messaging.sync.sql.inboxes import (
    count_conversations,
    list_inbox,
    load_heads,
    load_joined,
    load_named_behind,
    load_snapshot,
    walk_inbox,
)
from services.runtime.postgres.database import Connection, Database


class PostgresSync:
    """See ports.SyncStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_conversations(
        self,
        user_id: UserId,
        below: PageMark | None,
        limit: int,
        now: datetime,
        request: RequestState = RequestState.ACCEPTED,
    ) -> Sequence[Summary]:
        async with self._snapshot() as connection:
            found = await list_inbox(connection, user_id, below, limit, request)
            ids = [row["id"] for row in found]
            conversations = await load_conversations(connection, ids)
            last_of = await load_last(connection, user_id, ids)
            own = await load_own_states(connection, user_id, ids, now)
        return [
            Summary(conversations[row["id"]], last_of.get(row["id"]), row["active_at"], own.get(row["id"], OwnState()))
            for row in found
        ]

    async def sync(
        self,
        user_id: UserId,
        cursors: Mapping[ConversationId, Cursor],
        read_since: datetime | None,
        limit: int,
        max_deltas: int,
        now: datetime,
    ) -> Sequence[Delta]:
        async with self._snapshot() as connection:
            behind = await load_behind(connection, user_id, cursors, read_since, max_deltas)
            return await _deltas(connection, user_id, behind, cursors, limit, now)

    async def snapshot(self) -> Snapshot:
        async with self._database.connection() as connection:
            return await load_snapshot(connection)

    async def sync_account(
        self,
        user_id: UserId,
        token: SyncToken | None,
        cursors: Mapping[ConversationId, Cursor],
        limit: int,
        max_conversations: int,
        now: datetime,
    ) -> AccountPage:
        async with self._snapshot() as connection:
            snapshot = await load_snapshot(connection)
            walking = begin_walk(token, snapshot)
            behind = await load_named_behind(connection, user_id, cursors, max_conversations + 1)
            joined = await load_joined(connection, user_id, cursors)
            space = max_conversations - len(behind)
            found = await walk_inbox(connection, user_id, walking, space + 1, cursors) if space > 0 else []
            named_ids = {row["id"] for row in behind}
            ids = list({row["id"]: None for row in found[: max(space, 0)]})
            heads = {row["id"]: row for row in await load_heads(connection, user_id, ids, cursors)}
            lacking = [heads[id_] for id_ in ids if id_ in heads and id_ not in named_ids]
            named = behind[:max_conversations]
            deltas = await _deltas(connection, user_id, [*named, *lacking], cursors, limit, now)
        by_id = {delta.conversation.id: delta for delta in deltas[len(named) :]}
        steps = [
            Step(Mark(row["position"], row["id"]), by_id.get(row["id"]), gone=row["id"] not in heads)
            for row in found[: max(space, 0)]
        ]
        gone = [conversation_id for conversation_id in cursors if conversation_id not in joined]
        return AccountPage(
            *(walking, snapshot.oldest_running, deltas[: len(named)], gone, len(behind) > max_conversations),
            *(steps, space <= 0 or len(found) > space),
        )

    async def has_more_conversations_than(self, user_id: UserId, most: int) -> bool:
        async with self._database.connection() as connection:
            return await count_conversations(connection, user_id, most + 1) > most

    async def joined_of(
        self, user_id: UserId, conversation_ids: Collection[ConversationId]
    ) -> Collection[ConversationId]:
        async with self._database.connection() as connection:
            return await load_joined(connection, user_id, conversation_ids)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Connection]:
        """One snapshot for several statements: a revision, the messages and a token must be of the same moment."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection


async def _deltas(
    connection: Connection,
    user_id: UserId,
    behind: Sequence[asyncpg.Record],
    cursors: Mapping[ConversationId, Cursor],
    limit: int,
    now: datetime,
) -> list[Delta]:
    ids = [row["id"] for row in behind]
    conversations = await load_conversations(connection, ids)
    new = await load_new(connection, behind, limit)
    changed = await load_changed(connection, behind, limit)
    own = await load_own_states(connection, user_id, ids, now)
    return [
        build_delta(conversations[id_], cursors.get(id_), new.get(id_, ()), changed.get(id_, ()), own[id_], limit)
        for id_ in ids
    ]
