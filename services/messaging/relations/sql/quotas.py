"""Statements about how often a day."""

from services.messaging.kernel.quotas import DayQuota
from services.messaging.relations.core.errors import ConversationQuota, RequestQuota
from services.messaging.relations.core.throttling import REPORTS_COUNT_FOR, requests_allowed
from services.runtime.postgres.database import Connection

_COUNT = """
INSERT INTO new_conversations AS n (user_id, day, opened, asked) VALUES ($1, $2, $3, $4)
ON CONFLICT (user_id, day) DO UPDATE SET opened = n.opened + $3, asked = n.asked + $4 RETURNING opened, asked
"""


async def count_new_conversation(connection: Connection, quota: DayQuota, requests: int) -> None:
    """Count one that so many people have to let in, in the transaction that opens it. Raises ConversationQuota and
    RequestQuota, which undo all of it."""
    await _count(connection, quota, 1, requests)


async def count_requests(connection: Connection, quota: DayQuota, requests: int) -> None:
    """Count people who are added to what stands already, as above. Raises RequestQuota."""
    if requests:
        await _count(connection, quota, 0, requests)


async def _count(connection: Connection, quota: DayQuota, opened: int, requests: int) -> None:
    day = quota.day_start.date()
    await connection.execute("DELETE FROM new_conversations WHERE user_id = $1 AND day < $2", quota.user_id, day)
    row = await connection.fetchrow(_COUNT, quota.user_id, day, opened, requests)
    if row is None:
        raise ValueError("the count of a day gave no row")
    if opened and row["opened"] > quota.limit:
        raise ConversationQuota(quota.retry_delay_s)
    if requests and quota.requests is not None:
        allowed = requests_allowed(quota.requests, await _count_reporters(connection, quota))
        if row["asked"] > allowed:
            raise RequestQuota(quota.retry_delay_s)


async def _count_reporters(connection: Connection, quota: DayQuota) -> int:
    """How many different people reported the user lately. What the moderators dismissed does not count."""
    found: int = await connection.fetchval(
        "SELECT count(DISTINCT reporter_id) FROM reports"
        " WHERE reported_ids @> ARRAY[$1::text] AND created_at >= $2 AND state <> 'dismissed'",
        quota.user_id,
        quota.day_start - REPORTS_COUNT_FOR,
    )
    return found
