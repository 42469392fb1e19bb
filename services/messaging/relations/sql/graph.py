"""Statements about the copies of the network's graph."""

from collections.abc import Sequence

from services.messaging.relations.core.graph import GraphEvent, Source
from services.runtime.postgres.database import Connection


async def write_follows(connection: Connection, events: Sequence[GraphEvent]) -> list[GraphEvent]:
    """Write what is newer than what is known; of that, what concerns the presence of somebody."""
    written = await connection.fetch(
        "INSERT INTO follows AS f (user_id, followed_user_id, stands, changed_at)"
        " SELECT * FROM unnest($1::text[], $2::text[], $3::boolean[], $4::timestamptz[])"
        " ON CONFLICT (user_id, followed_user_id) DO UPDATE SET"
        " stands = excluded.stands, changed_at = excluded.changed_at WHERE f.changed_at < excluded.changed_at"
        " RETURNING f.user_id, f.followed_user_id,"
        " EXISTS (SELECT FROM user_settings s WHERE s.user_id = f.user_id AND s.presence_audience = 'followed')"
        " AS matters",
        [event.user_id for event in events],
        [event.other_id for event in events],
        [event.stands for event in events],
        [event.time for event in events],
    )
    matter = {(row["user_id"], row["followed_user_id"]) for row in written if row["matters"]}
    return [event for event in events if (event.user_id, event.other_id) in matter]


async def write_verified(connection: Connection, events: Sequence[GraphEvent]) -> None:
    """Write what is newer than what is known."""
    await connection.execute(
        "INSERT INTO verified_users AS v (user_id, stands, changed_at)"
        " SELECT * FROM unnest($1::text[], $2::boolean[], $3::timestamptz[])"
        " ON CONFLICT (user_id) DO UPDATE SET stands = excluded.stands, changed_at = excluded.changed_at"
        " WHERE v.changed_at < excluded.changed_at",
        [event.user_id for event in events],
        [event.stands for event in events],
        [event.time for event in events],
    )


async def write_block(connection: Connection, source: Source, event: GraphEvent) -> bool:
    """Write a block of a locked pair, or that it was taken back; whether it is another than before.

    The network's events may come late, so that the later time holds; in Parley the pair's lock gives the order.
    """
    before = await connection.fetchrow(
        "SELECT stands, changed_at FROM blocks WHERE user_id = $1 AND blocked_user_id = $2 AND source = $3",
        event.user_id,
        event.other_id,
        source.value,
    )
    stood = bool(before and before["stands"])
    is_known = before and before["changed_at"] >= event.time if source is Source.NETWORK else stood == event.stands
    if is_known:
        return False
    await connection.execute(
        "INSERT INTO blocks (user_id, blocked_user_id, source, stands, changed_at) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (user_id, blocked_user_id, source) DO UPDATE SET"
        " stands = excluded.stands, changed_at = excluded.changed_at",
        event.user_id,
        event.other_id,
        source.value,
        event.stands,
        event.time,
    )
    return stood != event.stands
