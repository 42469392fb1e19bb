"""Statements about who may come into a group again: bans, and requests that were done already."""

from datetime import datetime

from services.messaging.groups.ports import REQUEST_KEYS_KEPT
from services.messaging.kernel.model import Conversation, ConversationId, UserId
from services.runtime.postgres.database import Connection


async def load_bans(connection: Connection, conversation_id: ConversationId) -> frozenset[UserId]:
    """Who may not come into a group, which is locked."""
    found = await connection.fetch("SELECT user_id FROM group_bans WHERE conversation_id = $1", conversation_id)
    return frozenset(UserId(row["user_id"]) for row in found)


async def write_bans(
    connection: Connection, before: Conversation, after: Conversation, actor: UserId, now: datetime
) -> None:
    """Make the bans of a locked group what they are after a change. Who is banned invites nobody any more."""
    if lifted := list(before.banned - after.banned):
        await connection.execute(
            "DELETE FROM group_bans WHERE conversation_id = $1 AND user_id = ANY($2)", after.id, lifted
        )
    if banned := list(after.banned - before.banned):
        await connection.execute(
            "INSERT INTO group_bans (conversation_id, user_id, banned_by, banned_at)"
            " SELECT $1, banned, $3, $4 FROM unnest($2::text[]) AS banned",
            *(after.id, banned, actor, now),
        )
        await connection.execute(
            "UPDATE invites SET ended_before = expires_at, expires_at = 'epoch'"
            " WHERE conversation_id = $1 AND created_by = ANY($2) AND ended_before IS NULL",
            *(after.id, banned),
        )


async def take_request_key(
    connection: Connection, conversation_id: ConversationId, user_id: UserId, key: str, now: datetime
) -> bool:
    """Note that a request is done, in a locked group; False when it was done before."""
    await connection.execute(
        "DELETE FROM group_request_keys WHERE conversation_id = $1 AND done_at < $2",
        *(conversation_id, now - REQUEST_KEYS_KEPT),
    )
    taken: bool | None = await connection.fetchval(
        "INSERT INTO group_request_keys (conversation_id, user_id, request_key, done_at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT DO NOTHING RETURNING true",
        *(conversation_id, user_id, key, now),
    )
    return taken is not None
