"""PostgreSQL: rounds of calls, in the calls' own rows."""

from collections.abc import Sequence
from datetime import datetime

from services.runtime.postgres.database import Database
from services.signaling.core.model import CallId
from services.signaling.relays.core import Round

_BEGIN = """
UPDATE calls SET relay_revision = relay_revision + 1, relay_secret = coalesce(relay_secret, $2), relay_look_time = $3
WHERE call_id = $1 AND spread AND state <> 'ended' RETURNING relay_revision, relay_secret
"""
_SETTLE = "UPDATE calls SET relay_settled_version = $3 WHERE call_id = $1 AND relay_revision = $2 AND version = $3"
_CLAIM = """
UPDATE calls SET relay_look_time = $1 WHERE call_id IN (
    SELECT call_id FROM calls
    WHERE spread AND state <> 'ended' AND relay_settled_version IS DISTINCT FROM version
        AND (relay_look_time IS NULL OR relay_look_time <= $2)
    ORDER BY relay_look_time NULLS FIRST LIMIT $3 FOR UPDATE SKIP LOCKED
) RETURNING call_id
"""
_COUNT = """
SELECT count(DISTINCT call_id) FROM calls JOIN participants USING (call_id)
WHERE spread AND calls.state <> 'ended' AND participants.state = 'joined' AND media_worker_id IS NOT NULL
"""


class PostgresRelays:
    """See ports.RelayStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, call_id: CallId, secret: bytes, now: datetime) -> Round | None:
        """See ports.RelayStore."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_BEGIN, call_id, secret, now)
        return Round(row["relay_revision"], row["relay_secret"]) if row else None

    async def settle(self, call_id: CallId, revision: int, version: int) -> None:
        """See ports.RelayStore."""
        async with self._database.connection() as connection:
            await connection.execute(_SETTLE, call_id, revision, version)

    async def claim(self, now: datetime, before: datetime, limit: int) -> Sequence[CallId]:
        """See ports.RelayStore."""
        async with self._database.connection() as connection:
            found = await connection.fetch(_CLAIM, now, before, limit)
        return [CallId(str(row["call_id"])) for row in found]

    async def count(self) -> int:
        """See ports.RelayStore."""
        async with self._database.connection() as connection:
            return int(await connection.fetchval(_COUNT))
