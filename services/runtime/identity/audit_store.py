"""The audit record in a service's own database: table admin_audit, which takes rows and never lets one go."""

import json

from services.runtime.identity.audit import Entry
from services.runtime.postgres.database import Database

_APPEND = """
    INSERT INTO admin_audit (request_id, who, roles, api, method, targets, outcome)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


class PostgresTrail:
    """Appends; id and time are the database's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, entry: Entry) -> None:
        """Commits one row. Raises StoreUnavailable."""
        targets = {name: value.replace("\0", "\ufffd") for name, value in entry.targets.items()}
        row = (entry.request_id, entry.caller, list(entry.roles), entry.api, entry.method, json.dumps(targets))
        async with self._database.connection() as connection:
            await connection.execute(_APPEND, *row, entry.outcome)
