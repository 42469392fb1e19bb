"""Statements about revoked tokens, and what all services are told of an account."""

from datetime import datetime

from services.messaging.accounts import mapping
from services.messaging.accounts.core.revocations import Revocations
from services.messaging.kernel.model import UserId
from services.messaging.wire import topics
from services.runtime.postgres import outbox
from services.runtime.postgres.database import Connection

_LOCK_SPACE = 0x616363


async def lock(connection: Connection, user_id: UserId) -> None:
    """Hold an account's state until the transaction ends, so that what is told of it stands in order."""
    await connection.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", _LOCK_SPACE, user_id)


async def load(connection: Connection, user_id: UserId) -> Revocations:
    """What is revoked of a person."""
    rows = await connection.fetch("SELECT * FROM revocations WHERE user_id = $1", user_id)
    whole = next((row for row in rows if not row["device_id"]), None)
    return Revocations(
        whole["valid_from"] if whole else None,
        whole["kept_device_id"] if whole else "",
        {row["device_id"]: row["valid_from"] for row in rows if row["device_id"]},
    )


async def save(connection: Connection, user_id: UserId, revocations: Revocations) -> None:
    """Replace what is revoked of a person."""
    await connection.execute("DELETE FROM revocations WHERE user_id = $1", user_id)
    rows = [(user_id, device_id, time, "") for device_id, time in revocations.devices.items()]
    if revocations.valid_from:
        rows.append((user_id, "", revocations.valid_from, revocations.kept_device))
    await connection.executemany(
        "INSERT INTO revocations (user_id, device_id, valid_from, kept_device_id) VALUES ($1, $2, $3, $4)", rows
    )


async def tell(connection: Connection, user_id: UserId, revocations: Revocations, now: datetime) -> None:
    """Tell all services how the account stands: whether it is deleted, and else what is revoked."""
    deletion = await connection.fetchrow(
        "SELECT created_at, finished_at FROM account_jobs WHERE user_id = $1 AND kind = 'deletion'", user_id
    )
    if deletion:
        value = mapping.deleted_account(user_id, deletion["created_at"], now, erased=bool(deletion["finished_at"]))
    else:
        value = mapping.open_account(user_id, revocations, now)
    await outbox.append(connection, user_id, [(topics.ACCOUNTS, user_id, value)])
