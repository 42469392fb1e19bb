"""Statements about how often a day."""

from services.messaging.relations.core.errors import ConversationQuota
from services.messaging.relations.core.quotas import DayQuota
from services.runtime.db import Connection


async def count_new_conversation(connection: Connection, quota: DayQuota) -> None:
    """Count one, in the transaction that opens it. Raises ConversationQuota, which undoes both."""
    day = quota.day_start.date()
    await connection.execute("DELETE FROM new_conversations WHERE user_id = $1 AND day < $2", quota.user_id, day)
    opened = await connection.fetchval(
        "INSERT INTO new_conversations AS n (user_id, day, opened) VALUES ($1, $2, 1)"
        " ON CONFLICT (user_id, day) DO UPDATE SET opened = n.opened + 1 RETURNING opened",
        quota.user_id,
        day,
    )
    if opened > quota.limit:
        raise ConversationQuota(quota.retry_delay_s)
