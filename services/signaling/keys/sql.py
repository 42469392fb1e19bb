"""PostgreSQL: keys of devices, and sealed keys of calls."""

from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

import asyncpg

from services.runtime.postgres import outbox
from services.runtime.postgres.database import Connection, Database
from services.signaling.core.model import CallId, DeviceId, UserId
from services.signaling.keys.core import Account, CallKey, Device, SealedKey
from services.signaling.keys.ports import Change
from services.signaling.ports import Committed, Record

# Two first devices that come at once: the second waits here for the first's commit.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('device_keys ' || $1::text, 0))"
_ACCOUNTS = """
SELECT accounts.user_id, accounts.version, accounts.account_key, devices.device_id, devices.signing_key,
    devices.kem_key, devices.publish_time, devices.signature, devices.sealed_account_key
FROM account_keys AS accounts LEFT JOIN device_keys AS devices USING (user_id)
WHERE user_id = ANY ($1) ORDER BY user_id, devices.publish_time, devices.device_id
"""
_SAVE_ACCOUNT = """
INSERT INTO account_keys (user_id, version, account_key) VALUES ($1, $2, $3)
ON CONFLICT (user_id) DO UPDATE SET version = excluded.version, account_key = excluded.account_key
"""
_REMOVE_OTHERS = "DELETE FROM device_keys WHERE user_id = $1 AND device_id <> ALL ($2::text[])"
_SAVE_DEVICE = """
INSERT INTO device_keys (user_id, device_id, signing_key, kem_key, publish_time, signature, sealed_account_key)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (user_id, device_id) DO UPDATE SET
    signing_key = excluded.signing_key, kem_key = excluded.kem_key, publish_time = excluded.publish_time,
    signature = excluded.signature, sealed_account_key = excluded.sealed_account_key
"""
# The call stays as it is until the keys are stored: what ends it then takes them away. Senders come one by one.
_RUNS = "SELECT call_id FROM calls WHERE call_id = $1 AND state <> 'ended' FOR NO KEY UPDATE"
_HAND_ON = """
INSERT INTO sealed_call_keys AS known
    (call_id, sender_user_id, sender_device_id, epoch, user_id, device_id, sealed_key)
SELECT $1::uuid, $2::text, $3::text, $4::bigint, keys.*
FROM unnest($5::text[], $6::text[], $7::bytea[]) AS keys (user_id, device_id, sealed_key)
ON CONFLICT (call_id, sender_user_id, user_id) DO UPDATE SET
    sender_device_id = excluded.sender_device_id, device_id = excluded.device_id, epoch = excluded.epoch,
    sealed_key = excluded.sealed_key
WHERE known.epoch < excluded.epoch OR (known.sender_device_id, known.device_id)
    IS DISTINCT FROM (excluded.sender_device_id, excluded.device_id)
RETURNING user_id
"""
# Of devices that are not in the call any more.
_TIDY = """
DELETE FROM sealed_call_keys AS known WHERE call_id = $1 AND NOT EXISTS (
    SELECT FROM participants WHERE call_id = $1 AND state = 'joined' AND user_id = known.user_id
        AND device_id = known.device_id
)
"""
_FOR_DEVICE = """
SELECT * FROM sealed_call_keys WHERE call_id = $1 AND user_id = $2 AND device_id = $3 ORDER BY sender_user_id
"""


class PostgresKeys:
    """See ports.KeyStore."""

    def __init__(self, database: Database, committed: Committed) -> None:
        self._database = database
        self._committed = committed

    async def change(self, user_id: UserId, change: Change, records: Sequence[Record]) -> Account | None:
        """See ports.KeyStore."""
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK, user_id)
            before = next(iter(_accounts(await connection.fetch(_ACCOUNTS, [user_id]))), None)
            after = change(before)
            if after is None or after == before:
                return after
            await _save(connection, before, after)
            await outbox.append(connection, user_id, records)
        self._committed(user_id, records)
        return after

    async def list_accounts(self, user_ids: Sequence[UserId]) -> Sequence[Account]:
        """See ports.KeyStore."""
        async with self._database.connection() as connection:
            return _accounts(await connection.fetch(_ACCOUNTS, list(user_ids)))

    async def pass_on(self, keys: Sequence[tuple[CallKey, Record]]) -> None:
        """See ports.KeyStore."""
        if not keys:
            return
        first, to = keys[0][0], [key.key for key, _ in keys]
        call_id = first.call_id
        async with self._database.transaction() as connection:
            if await connection.fetchval(_RUNS, UUID(call_id)) is None:
                return
            stored = await connection.fetch(
                _HAND_ON,
                *(UUID(call_id), first.sender_id, first.sender_device_id, first.epoch),
                *([key.user_id for key in to], [key.device_id for key in to], [key.sealed_key for key in to]),
            )
            new = {row["user_id"] for row in stored}
            records = [record for key, record in keys if key.key.user_id in new]
            await connection.execute(_TIDY, UUID(call_id))
            if records:
                await outbox.append(connection, call_id, records)
        self._committed(call_id, records)

    async def list_call_keys(self, call_id: CallId, user_id: UserId, device_id: DeviceId) -> Sequence[CallKey]:
        """See ports.KeyStore."""
        async with self._database.connection() as connection:
            found = await connection.fetch(_FOR_DEVICE, UUID(call_id), user_id, device_id)
        return [
            CallKey(
                call_id,
                UserId(row["sender_user_id"]),
                DeviceId(row["sender_device_id"]),
                row["epoch"],
                SealedKey(user_id, device_id, row["sealed_key"]),
            )
            for row in found
        ]


async def _save(connection: Connection, before: Account | None, after: Account) -> None:
    await connection.execute(_SAVE_ACCOUNT, after.user_id, after.version, after.account_key)
    await connection.execute(_REMOVE_OTHERS, after.user_id, [device.device_id for device in after.devices])
    known = before.devices if before else ()
    for device in after.devices:
        if device not in known:
            await connection.execute(
                _SAVE_DEVICE,
                *(after.user_id, device.device_id, device.signing_key, device.kem_key, device.publish_time),
                *(device.signature, device.sealed_account_key),
            )


def _accounts(rows: Sequence[asyncpg.Record]) -> list[Account]:
    return [_account(list(group)) for _, group in groupby(rows, key=lambda row: row["user_id"])]


def _account(rows: Sequence[asyncpg.Record]) -> Account:
    first = rows[0]
    devices = tuple(
        Device(
            DeviceId(row["device_id"]),
            *(row["signing_key"], row["kem_key"], row["publish_time"], row["signature"], row["sealed_account_key"]),
        )
        for row in rows
        if row["device_id"] is not None
    )
    return Account(UserId(first["user_id"]), first["version"], first["account_key"], devices)
