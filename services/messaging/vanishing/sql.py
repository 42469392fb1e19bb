"""PostgreSQL: what the sweeper erases."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.messaging.conversations.sql.conversations import (
    DIRECT_RECIPIENTS,
    load_conversations,
    write_history_start,
)
from services.messaging.kernel.model import ConversationId, Message, UserId, direct_recipients
from services.messaging.messages.sql import erasing
from services.messaging.messages.sql.erasing import delete_messages
from services.messaging.messages.sql.reading import to_messages
from services.messaging.vanishing.core import end_of_old
from services.messaging.wire.events import conversation_changed, message_changed, to_outbox
from services.messaging.wire.storage import is_said
from services.runtime.ids import NewId
from services.runtime.postgres import outbox
from services.runtime.postgres.database import Connection, Database

_DUE = f"""
SELECT m.conversation_id, m.seq FROM messages m WHERE m.expires_at <= $1 AND {is_said("m")}
ORDER BY m.expires_at LIMIT $2 OFFSET $3
"""  # noqa: S608
_STILL_DUE = f"""
SELECT m.* FROM unnest($1::uuid[], $2::bigint[]) AS k (id, number)
JOIN messages m ON m.conversation_id = k.id AND m.seq = k.number
WHERE m.expires_at <= $3 AND {is_said("m")} ORDER BY m.conversation_id, m.seq
"""  # noqa: S608
_LOCK = f"""
SELECT c.id, {DIRECT_RECIPIENTS} AS recipients FROM conversations c WHERE c.id = ANY($1)
ORDER BY c.id FOR UPDATE OF c SKIP LOCKED
"""  # noqa: S608
_OLDEST = """
SELECT c.id, (
    SELECT m.sent_at FROM messages m WHERE m.conversation_id = c.id AND m.seq > c.history_start_seq
    ORDER BY m.seq LIMIT 1
) AS oldest
FROM conversations c WHERE c.id > $1 ORDER BY c.id LIMIT $2
"""
_TO_RELEASE = """
SELECT conversation_id, seq FROM attachments WHERE release_at <= $1 AND conversation_id IS NOT NULL
ORDER BY release_at LIMIT $2
"""
_STILL_TO_RELEASE = """
SELECT m.* FROM unnest($1::uuid[], $2::bigint[]) AS k (id, number)
JOIN messages m ON m.conversation_id = k.id AND m.seq = k.number
WHERE m.view_once AND EXISTS (
    SELECT FROM attachments a WHERE a.conversation_id = m.conversation_id AND a.seq = m.seq AND a.release_at <= $3
) ORDER BY m.conversation_id, m.seq
"""
_BELOW_ALL = UUID(int=0)
_FIRST = """
SELECT m.seq, m.sent_at FROM messages m WHERE m.conversation_id = $1 AND m.seq > $2 ORDER BY m.seq LIMIT $3
"""


class PostgresSweepStore:
    """See ports.SweepStore."""

    def __init__(self, database: Database, relay: outbox.OutboxRelay, new_id: NewId) -> None:
        self._database = database
        self._relay = relay
        self._new_id = new_id

    async def expire_due(self, now: datetime, limit: int, skipped: int = 0) -> int:
        # An unsending or another replica may have been faster.
        return await self._erase_due(_DUE, _STILL_DUE, erasing.expire, now, limit, skipped)

    async def release_due(self, now: datetime, limit: int) -> int:
        # Somebody may have opened it meanwhile, which puts it off.
        return await self._erase_due(_TO_RELEASE, _STILL_TO_RELEASE, erasing.release_files, now, limit)

    async def _erase_due(
        self,
        due: str,
        still: str,
        erase: Callable[[Connection, Sequence[Message]], Awaitable[list[Message]]],
        now: datetime,
        *bounds: int,
    ) -> int:
        """Of what is `due`, what is `still` to be found after the locks is erased and told. Returns how many."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(due, now, *bounds)
            locked = await _lock(connection, {row["conversation_id"] for row in rows})
            mine = [row for row in rows if row["conversation_id"] in locked]
            found = await connection.fetch(
                still, [row["conversation_id"] for row in mine], [row["seq"] for row in mine], now
            )
            erased = await erase(connection, await to_messages(connection, found))
            await self._tell(connection, erased, locked, now)
        self._wake(erased)
        return len(erased)

    async def find_old(
        self, cutoff: datetime, after: ConversationId | None, limit: int
    ) -> tuple[list[ConversationId], ConversationId | None]:
        async with self._database.connection() as connection:
            found = await connection.fetch(_OLDEST, after or _BELOW_ALL, limit)
        old = [ConversationId(row["id"]) for row in found if row["oldest"] is not None and row["oldest"] < cutoff]
        return old, ConversationId(found[-1]["id"]) if len(found) == limit else None

    async def delete_old(self, conversation_id: ConversationId, cutoff: datetime, now: datetime, limit: int) -> int:
        async with self._database.transaction() as connection:
            if not await _lock(connection, [conversation_id]):
                return 0
            before = (await load_conversations(connection, [conversation_id]))[conversation_id]
            first = await connection.fetch(_FIRST, conversation_id, before.history_start_seq, limit)
            last = end_of_old([(row["seq"], row["sent_at"]) for row in first], cutoff)
            if last is None:
                return 0
            gone = [(conversation_id, row["seq"]) for row in first if row["seq"] <= last]
            await delete_messages(connection, gone)
            kept = tuple(pin for pin in before.pins if pin.seq > last)
            after = replace(before, history_start_seq=last, revision=before.revision + 1, pins=kept)
            await write_history_start(connection, after)
            event = conversation_changed(self._new_id(now), after, (), now)
            await outbox.append_many(connection, [to_outbox(conversation_id, event, direct_recipients(before))])
        self._relay.wake(str(conversation_id))
        return len(gone)

    async def _tell(
        self,
        connection: Connection,
        changed: Sequence[Message],
        recipients: Mapping[ConversationId, Sequence[UserId]],
        now: datetime,
    ) -> None:
        events = [
            to_outbox(
                message.conversation_id,
                message_changed(self._new_id(now), message, now),
                recipients[message.conversation_id],
            )
            for message in changed
        ]
        await outbox.append_many(connection, events)

    def _wake(self, changed: Sequence[Message]) -> None:
        for message in changed:
            self._relay.wake(str(message.conversation_id))


async def _lock(connection: Connection, ids: Collection[ConversationId]) -> dict[ConversationId, Sequence[UserId]]:
    """Those of the conversations that nobody else has locked, with their direct recipients: sends go first, what is
    left is found by the next sweep."""
    found = await connection.fetch(_LOCK, list(ids))
    return {row["id"]: row["recipients"] for row in found}
