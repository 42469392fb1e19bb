"""Statements about the relationships of people, and whom a change of one concerns."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from services.messaging.kernel.model import ConversationId, UserId, pair_key
from services.messaging.relations.core.reach import Audience, Relationship, Settings
from services.messaging.wire import topics
from services.messaging.wire.deliveries import relations_delivery
from services.messaging.wire.events import pair_closed
from services.runtime.postgres import outbox
from services.runtime.postgres.database import Connection

if TYPE_CHECKING:
    from services.messaging.relations.ports import Pair

# Any fixed number serves, so long as no other lock of this database takes it.
_PAIR_LOCKS = 0x7061697

_BLOCKED = """(
    EXISTS (SELECT FROM blocks b WHERE b.user_id = k.one AND b.blocked_user_id = k.other AND b.stands)
    OR EXISTS (SELECT FROM blocks b WHERE b.user_id = k.other AND b.blocked_user_id = k.one AND b.stands)
)"""
_RELATIONSHIPS = f"""
SELECT k.one, k.other, s.message_audience, s.presence_audience, s.call_audience, s.send_receipts,
    {_BLOCKED} AS blocked,
    EXISTS (SELECT FROM follows f WHERE f.user_id = k.one AND f.followed_user_id = k.other AND f.stands) AS follows,
    EXISTS (SELECT FROM verified_users v WHERE v.user_id = k.other AND v.stands) AS verified,
    EXISTS (
        SELECT FROM members m WHERE m.conversation_id = c.id AND m.user_id = k.one AND m.request = ''
    ) AS let_in,
    EXISTS (
        SELECT FROM messages x WHERE x.conversation_id = c.id AND x.sender_id = k.one
            -- What people write has a key of theirs; lines and records of calls begin so. Also what is erased counts.
            AND NOT starts_with(x.client_message_id, chr(31))
    ) AS contacted,
    (
        SELECT count(*) FROM members m WHERE m.user_id = k.one AND m.added_by = k.other AND m.request <> ''
    ) AS unanswered
FROM unnest($1::text[], $2::text[], $3::text[]) AS k (one, other, pair_key)
LEFT JOIN user_settings s ON s.user_id = k.one
LEFT JOIN conversations c ON c.pair_key = k.pair_key
"""  # noqa: S608


async def lock_pair(connection: Connection, one: UserId, other: UserId) -> str:
    """Hold the two people until the transaction ends: a block and the opening of their conversation come one after
    the other. Gives their pair key."""
    key = pair_key(one, other)
    await connection.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", _PAIR_LOCKS, key)
    return key


async def load_relationships(connection: Connection, pairs: Collection["Pair"]) -> dict["Pair", Relationship]:
    """What decides how far each person lets the other reach them."""
    found = await connection.fetch(
        _RELATIONSHIPS,
        [one for one, _ in pairs],
        [other for _, other in pairs],
        [pair_key(one, other) for one, other in pairs],
    )
    return {
        (row["one"], row["other"]): Relationship(
            settings=to_settings(row),
            blocked=row["blocked"],
            follows=row["follows"],
            verified=row["verified"],
            let_in=row["let_in"],
            contacted=row["contacted"],
            unanswered=row["unanswered"],
        )
        for row in found
    }


async def load_blocked(connection: Connection, user_id: UserId, others: Collection[UserId]) -> set[UserId]:
    """Those of the others with a block between them and the user, either way."""
    found = await connection.fetch(
        f"SELECT k.other FROM (SELECT $1::text AS one, unnest($2::text[]) AS other) AS k WHERE {_BLOCKED}",  # noqa: S608
        user_id,
        list(others),
    )
    return {UserId(row["other"]) for row in found}


async def load_contacts(connection: Connection, user_id: UserId) -> list[UserId]:
    """All with whom the user shares a conversation that both let in."""
    found = await connection.fetch(
        "SELECT DISTINCT other.user_id FROM members mine"
        " JOIN members other ON other.conversation_id = mine.conversation_id"
        " WHERE mine.user_id = $1 AND mine.request = '' AND other.request = '' AND other.user_id <> $1",
        user_id,
    )
    return [UserId(row["user_id"]) for row in found]


async def refresh_blocked(connection: Connection, one: UserId, other: UserId) -> ConversationId | None:
    """Have the direct conversation of a locked pair say whether a block stands: under its row's lock, which sends take
    first, so that none passes once this is committed. Gives the conversation if it was closed by this."""
    blocked = bool(await load_blocked(connection, one, [other]))
    changed: ConversationId | None = await connection.fetchval(
        "UPDATE conversations SET blocked = $2 WHERE pair_key = $1 AND blocked <> $2 RETURNING id",
        pair_key(one, other),
        blocked,
    )
    return changed if blocked else None


async def notify_pair_closed(
    connection: Connection, conversation_id: ConversationId, event_id: UUID, now: datetime
) -> str:
    """Publish that a direct conversation was closed, so that other services drop what they cached. Gives the relay's
    key."""
    key = str(conversation_id)
    event = pair_closed(event_id, conversation_id, now)
    await outbox.append(connection, key, [(topics.EVENTS, key, event)])
    return key


async def notify_relations_changed(
    connection: Connection, user_ids: Collection[UserId], now: datetime, actor: UserId | None = None
) -> list[str]:
    """Have the people's gateways check their watch lists again; only the actor's devices get the event. Gives the
    relay's keys."""
    records = [
        (user_id, topics.DELIVERY, user_id, relations_delivery(user_id, now, is_own=user_id == actor))
        for user_id in user_ids
    ]
    if records:
        await outbox.append_many(connection, records)
    return list(user_ids)


def to_settings(row: asyncpg.Record) -> Settings:
    """A row of user_settings, or the nulls of none."""
    if row["message_audience"] is None:
        return Settings()
    return Settings(
        messages=Audience(row["message_audience"]),
        presence=Audience(row["presence_audience"]),
        calls=Audience(row["call_audience"]),
        send_receipts=row["send_receipts"],
    )
