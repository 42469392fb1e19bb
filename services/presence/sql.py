"""The last state of each person, in PostgreSQL."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from services.presence.core.model import UserId
from services.presence.core.states import OngoingCall, PresenceStatus
from services.presence.core.user_states import StoredState
from services.presence.ports import StateRow
from services.runtime.postgres.database import Database

_SAVE = """
INSERT INTO user_states (user_id, partition, standing, last_seen_time, call_id, call_version, changed_time)
SELECT user_id, partition, standing,
    CASE WHEN last_seen_time > clock_timestamp() THEN clock_timestamp() ELSE last_seen_time END,
    call_id, call_version, least(changed_time, clock_timestamp())
FROM unnest($1::text[], $2::int[], $3::smallint[], $4::timestamptz[], $5::text[], $6::bigint[], $7::timestamptz[])
    AS given (user_id, partition, standing, last_seen_time, call_id, call_version, changed_time)
ON CONFLICT (user_id) DO UPDATE SET
    partition = excluded.partition, standing = excluded.standing, last_seen_time = excluded.last_seen_time,
    call_id = excluded.call_id, call_version = excluded.call_version, changed_time = excluded.changed_time
WHERE user_states.changed_time <= excluded.changed_time OR user_states.changed_time > clock_timestamp()
"""
_DELETE = "DELETE FROM user_states WHERE user_id = ANY($1::text[])"
_LAST_SEEN = "SELECT user_id, last_seen_time FROM user_states WHERE user_id = ANY($1::text[])"
_PRESENT = """
SELECT user_id, standing, call_id, call_version FROM user_states WHERE standing <> 0 AND partition = ANY($1::int[])
"""


class PostgresStates:
    """See ports.StateStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, rows: Sequence[StateRow]) -> None:
        """See ports.StateStore."""
        # In one order, so that two replicas that write the same users around a rebalance cannot deadlock.
        ordered = sorted(rows, key=lambda row: row.user_id)
        gone = [row.user_id for row in ordered if row.state is None]
        async with self._database.connection() as connection:
            await connection.execute(_SAVE, *_columns([row for row in ordered if row.state is not None]))
            if gone:
                await connection.execute(_DELETE, gone)

    async def load_last_seen(self, user_ids: Sequence[UserId]) -> Mapping[UserId, float | None]:
        """See ports.StateStore."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_LAST_SEEN, list(user_ids))
        known = {row["user_id"]: row["last_seen_time"] for row in rows}
        return {user_id: time.timestamp() if (time := known.get(user_id)) else None for user_id in user_ids}

    async def load_present(self, partitions: Collection[int]) -> Sequence[StoredState]:
        """See ports.StateStore."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_PRESENT, sorted(partitions))
        return [
            StoredState(
                UserId(row["user_id"]),
                PresenceStatus(row["standing"]),
                OngoingCall(row["call_id"], row["call_version"]) if row["call_id"] else None,
            )
            for row in rows
        ]

    async def read(self, user_id: UserId) -> dict[str, Any] | None:
        """See ports.StateStore."""
        async with self._database.connection() as connection:
            row = await connection.fetchval("SELECT to_jsonb(t) FROM user_states t WHERE user_id = $1", user_id)
        return dict(json.loads(row)) if row else None


def _columns(rows: Sequence[StateRow]) -> tuple[list[object], ...]:
    table = [
        (
            row.user_id,
            row.partition,
            row.state.status.value,
            _time(row.state.last_seen),
            row.call.call_id if row.call else None,
            row.call.version if row.call else None,
            _time(row.time),
        )
        for row in rows
        if row.state is not None
    ]
    return tuple([entry[column] for entry in table] for column in range(7))


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
