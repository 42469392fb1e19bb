"""PostgreSQL: the rows of uploads, and what is to be deleted from the object store."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import asyncpg

from services.messaging.attachments.core.uploads import (
    UPLOADS_PREFIX,
    FileCopy,
    PendingDelete,
    ScanState,
    Upload,
    upload_id,
)
from services.messaging.attachments.sql.dooming import DOOM_AGAIN
from services.messaging.kernel.errors import AttachmentNotFound, TooManyUploads
from services.messaging.kernel.model import Attachment, AttachmentId, ConversationId, DraftKey, UserId
from services.runtime.postgres.database import Database

_INSERT = """
INSERT INTO attachments (id, owner_id, client_upload_id, file_name, content_type, size_bytes, width, height, length,
    created_at, put_until, unused_until)
SELECT $1::uuid, $2::text, $3::text, $4::text, $5::text, $6::bigint, $7::int, $8::int, $9::interval, $10::timestamptz,
    $11::timestamptz, $12::timestamptz
WHERE EXISTS (SELECT FROM attachments WHERE owner_id = $2 AND client_upload_id = $3)
    OR (SELECT count(*) FROM (
        SELECT FROM attachments WHERE owner_id = $2 AND conversation_id IS NULL LIMIT $13::int
    ) AS waiting) < $13::int
ON CONFLICT (owner_id, client_upload_id) DO UPDATE SET
    put_until = greatest(attachments.put_until, excluded.put_until),
    unused_until = greatest(attachments.unused_until, excluded.unused_until)
RETURNING *
"""

_QUEUE_UNUSED = f"""
WITH late AS (
    SELECT id FROM attachments WHERE conversation_id IS NULL AND unused_until <= $1
    ORDER BY unused_until LIMIT $2 FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM attachments a USING late WHERE a.id = late.id
    RETURNING coalesce(a.object_id, a.id) AS object, a.put_until
),
queued AS (
    INSERT INTO doomed_objects (object_key, put_until)
    SELECT $3 || object, max(put_until) FROM gone GROUP BY object ORDER BY object {DOOM_AGAIN}
)
SELECT count(*) FROM gone
"""  # noqa: S608

_CLAIM_DELETES = """
UPDATE doomed_objects SET due_at = $2
WHERE object_key IN (
    SELECT object_key FROM doomed_objects WHERE due_at <= $1 ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
)
RETURNING object_key, put_until
"""

# Of the objects $1 that the caller has claimed, those that a file has, and those of what was reported: they are
# evidence, and the moderators' to delete. A statement after the claim: its snapshot is newer than the locks, so that it
# sees who let go before, and whoever lets go from then on waits.
_STILL_HELD = """
DELETE FROM doomed_objects d USING unnest($1::text[], $2::uuid[]) AS k (object_key, id)
WHERE d.object_key = k.object_key AND (
    EXISTS (SELECT FROM attachments a WHERE a.id = k.id)
    OR EXISTS (SELECT FROM attachments a WHERE a.object_id = k.id)
    OR EXISTS (SELECT FROM report_messages r WHERE r.attachment_ids @> ARRAY[k.id::text])
)
RETURNING d.object_key
"""

_COPY = """
INSERT INTO attachments (id, owner_id, client_upload_id, file_name, content_type, size_bytes, width, height, length,
    created_at, put_until, unused_until, scan, etag, object_id)
SELECT k.id, $1, k.client_upload_id, a.file_name, a.content_type, a.size_bytes, a.width, a.height, a.length,
    $5, a.put_until, $6, a.scan, a.etag, coalesce(a.object_id, a.id)
FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS k (source_id, id, client_upload_id)
JOIN attachments a ON a.id = k.source_id
ON CONFLICT (owner_id, client_upload_id) DO UPDATE SET
    unused_until = greatest(attachments.unused_until, excluded.unused_until)
RETURNING *
"""

_CLAIM_SCANS = """
UPDATE attachments SET scan_due_at = $2, scan_attempts = scan_attempts + 1
WHERE id IN (
    SELECT id FROM attachments WHERE scan = 'waiting' AND scan_due_at <= $1 AND conversation_id IS NULL
    ORDER BY scan_due_at LIMIT $3 FOR UPDATE SKIP LOCKED
)
RETURNING *
"""


class PostgresAttachments:
    """See ports.AttachmentStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put_upload(self, upload: Upload, most_waiting: int) -> Upload:
        wanted = upload.attachment
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                _INSERT,
                wanted.id,
                upload.owner_id,
                upload.client_upload_id,
                wanted.file_name,
                wanted.content_type,
                wanted.size_bytes,
                wanted.width,
                wanted.height,
                wanted.length,
                upload.created_at,
                upload.put_until,
                upload.unused_until,
                most_waiting,
            )
        if row is None:
            raise TooManyUploads(f"{most_waiting} files wait to be sent already")
        return _upload(row)

    async def put_copies(
        self,
        owner_id: UserId,
        place: tuple[ConversationId, int],
        copies: Sequence[FileCopy],
        now: datetime,
        unused_until: datetime,
        most_waiting: int,
    ) -> Sequence[Upload]:
        source_ids = [copy.source_id for copy in copies]
        client_ids = [copy.client_upload_id for copy in copies]
        async with self._database.transaction() as connection:
            # The message lets go of none of them before the copies stand, so that the collector finds those.
            held = await connection.fetch(
                "SELECT id FROM attachments WHERE id = ANY($1) AND conversation_id = $2 AND seq = $3"
                " ORDER BY id FOR SHARE",
                source_ids,
                *place,
            )
            if len(held) < len(copies):
                raise AttachmentNotFound
            waiting = await connection.fetchval(
                "SELECT count(*) FROM (SELECT FROM attachments WHERE owner_id = $1 AND conversation_id IS NULL"
                " AND client_upload_id <> ALL($2) LIMIT $3) AS waiting",
                *(owner_id, client_ids, most_waiting),
            )
            if waiting + len(copies) > most_waiting:
                raise TooManyUploads(f"{most_waiting} files wait to be sent already")
            rows = await connection.fetch(
                _COPY, owner_id, source_ids, [copy.id for copy in copies], client_ids, now, unused_until
            )
        return [_upload(row) for row in rows]

    async def find_announced(self, owner_id: UserId, client_upload_id: str) -> Upload | None:
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                "SELECT * FROM attachments WHERE owner_id = $1 AND client_upload_id = $2", owner_id, client_upload_id
            )
        return _upload(row) if row else None

    async def find_uploads(self, owner_id: UserId, ids: Sequence[AttachmentId]) -> Sequence[Upload]:
        async with self._database.connection() as connection:
            found = await connection.fetch(
                "SELECT * FROM attachments WHERE id = ANY($1) AND owner_id = $2 AND conversation_id IS NULL",
                list(ids),
                owner_id,
            )
        return [_upload(row) for row in found]

    async def await_scans(self, etags: Mapping[AttachmentId, str], now: datetime) -> None:
        async with self._database.connection() as connection:
            await connection.execute(
                "UPDATE attachments a SET scan = 'waiting', etag = k.etag, scan_due_at = $3"
                " FROM unnest($1::uuid[], $2::text[]) AS k (id, etag)"
                " WHERE a.id = k.id AND a.scan = '' AND a.conversation_id IS NULL",
                list(etags),
                list(etags.values()),
                now,
            )

    async def claim_scans(self, now: datetime, until: datetime, limit: int) -> Sequence[Upload]:
        async with self._database.transaction() as connection:
            found = await connection.fetch(_CLAIM_SCANS, now, until, limit)
        return [_upload(row) for row in found]

    async def postpone_scan(self, attachment_id: AttachmentId, until: datetime) -> None:
        async with self._database.connection() as connection:
            await connection.execute("UPDATE attachments SET scan_due_at = $2 WHERE id = $1", attachment_id, until)

    async def end_scan(self, attachment_id: AttachmentId, etag: str, verdict: ScanState, digest: bytes = b"") -> None:
        async with self._database.connection() as connection:
            await connection.execute(
                "UPDATE attachments SET scan = $3, digest = $4 WHERE id = $1 AND etag = $2 AND scan = 'waiting'",
                attachment_id,
                etag,
                verdict.value,
                digest or None,
            )

    async def find_digest(self, attachment_id: AttachmentId) -> bytes:
        async with self._database.connection() as connection:
            return await connection.fetchval("SELECT digest FROM attachments WHERE id = $1", attachment_id) or b""

    async def is_sent(self, key: DraftKey) -> bool:
        async with self._database.connection() as connection:
            found = await connection.fetchval(
                "SELECT true FROM messages WHERE conversation_id = $1 AND sender_id = $2 AND client_message_id = $3",
                key.conversation_id,
                key.sender_id,
                key.client_message_id,
            )
        return bool(found)

    async def queue_unused(self, now: datetime, limit: int) -> int:
        async with self._database.transaction() as connection:
            return int(await connection.fetchval(_QUEUE_UNUSED, now, limit, UPLOADS_PREFIX))

    async def claim_deletes(self, now: datetime, until: datetime, limit: int) -> Sequence[PendingDelete]:
        async with self._database.transaction() as connection:
            found = await connection.fetch(_CLAIM_DELETES, now, until, limit)
            uploads = {row["object_key"]: id_ for row in found if (id_ := upload_id(row["object_key"]))}
            held = await connection.fetch(_STILL_HELD, list(uploads.keys()), list(uploads.values())) if uploads else []
        kept = {row["object_key"] for row in held}
        return [PendingDelete(row["object_key"], row["put_until"]) for row in found if row["object_key"] not in kept]

    async def postpone_deletes(self, until: Mapping[str, datetime]) -> None:
        async with self._database.connection() as connection:
            await connection.execute(
                "UPDATE doomed_objects d SET due_at = k.due_at"
                " FROM unnest($1::text[], $2::timestamptz[]) AS k (object_key, due_at)"
                " WHERE d.object_key = k.object_key",
                list(until),
                list(until.values()),
            )

    async def forget_deletes(self, keys: Collection[str]) -> None:
        async with self._database.connection() as connection:
            await connection.execute("DELETE FROM doomed_objects WHERE object_key = ANY($1)", list(keys))


def _upload(row: asyncpg.Record) -> Upload:
    attachment = Attachment(
        AttachmentId(row["id"]),
        row["file_name"],
        row["content_type"],
        row["size_bytes"],
        row["width"],
        row["height"],
        row["length"],
        row["object_id"],
    )
    return Upload(
        attachment,
        UserId(row["owner_id"]),
        row["client_upload_id"],
        row["created_at"],
        row["put_until"],
        row["unused_until"],
        ScanState(row["scan"]),
        row["etag"],
        row["scan_attempts"],
        row["digest"] or b"",
    )
