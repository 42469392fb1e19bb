"""PostgreSQL: how people keep their conversations. Read only."""

from collections.abc import Sequence

from services.messaging.kernel.request import RequestState
from services.messaging.notices.core import NoticeFacts, NoticeQuestion
from services.runtime.postgres.database import Database

# OFFSET 0: each by its whole key, however much a person has.
_FACTS = """
SELECT m.user_id IS NOT NULL AS is_member, m.request, o.muted_until,
    greatest(m.read_seq, m.own_read_seq) AS read_seq, c.pair_key IS NULL AS is_group, c.title,
    c.blocked OR EXISTS (
        SELECT FROM blocks b WHERE b.user_id = k.user_id AND b.blocked_user_id = k.from_user_id AND b.stands
    ) OR EXISTS (
        SELECT FROM blocks b WHERE b.user_id = k.from_user_id AND b.blocked_user_id = k.user_id AND b.stands
    ) AS is_blocked,
    coalesce(answered.sender_id = k.user_id, false) AS is_reply_to_own
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::bigint[]) WITH ORDINALITY
    AS k (user_id, conversation_id, from_user_id, reply_to_seq, position)
LEFT JOIN LATERAL (
    SELECT * FROM members WHERE conversation_id = k.conversation_id AND user_id = k.user_id OFFSET 0
) AS m ON true
LEFT JOIN LATERAL (SELECT * FROM conversations WHERE id = k.conversation_id OFFSET 0) AS c ON true
LEFT JOIN LATERAL (
    SELECT muted_until FROM own_states WHERE user_id = k.user_id AND conversation_id = k.conversation_id OFFSET 0
) AS o ON true
LEFT JOIN LATERAL (
    SELECT sender_id FROM messages
    WHERE conversation_id = k.conversation_id AND seq = k.reply_to_seq AND seq > m.visible_after_seq OFFSET 0
) AS answered ON true
ORDER BY k.position
"""


class PostgresFacts:
    """See ports.FactReader."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def facts(self, questions: Sequence[NoticeQuestion]) -> Sequence[NoticeFacts]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                _FACTS,
                [question.user_id for question in questions],
                [question.conversation_id for question in questions],
                [question.from_user_id for question in questions],
                [question.reply_to_seq for question in questions],
            )
        return [
            NoticeFacts(
                is_member=True,
                is_group=row["is_group"],
                request=RequestState(row["request"]),
                is_blocked=row["is_blocked"],
                muted_until=row["muted_until"],
                read_seq=row["read_seq"],
                is_reply_to_own=row["is_reply_to_own"],
                title=row["title"],
            )
            if row["is_member"]
            else NoticeFacts()
            for row in rows
        ]
