"""Uploads and objects in memory, held to the same contracts as PostgreSQL's and the S3-compatible ones."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from aiohttp import web

from deploy.embedded.objects import Bucket, ObjectServer
from deploy.embedded.signatures import Key
from services.messaging.attachments.clients import S3Objects
from services.messaging.attachments.core.file_types import HEAD_BYTES
from services.messaging.attachments.core.uploads import (
    FileCopy,
    PendingDelete,
    ScanState,
    Stored,
    Upload,
    object_key,
    object_key_of,
)
from services.messaging.attachments.ports import SignedPut
from services.messaging.config import ObjectsConfig
from services.messaging.kernel.errors import AttachmentNotFound, ObjectsUnavailable, TooManyUploads
from services.messaging.kernel.model import Attachment, AttachmentId, ConversationId, DraftKey, UserId
from services.runtime.clock import Clock, SystemClock
from services.runtime.ids import new_id
from tests.support.file_samples import png
from tests.support.messaging import FakeStore


class MemoryObjects:
    """See attachments.ports.ObjectStore. `away` makes it refuse, as a store that cannot be reached."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.away = False

    def sign_put(self, key: str, content_type: str, size_bytes: int, ttl: timedelta) -> SignedPut:
        return SignedPut(f"memory://put/{key}?{size_bytes}", {"content-type": content_type})

    def sign_get(self, key: str, ttl: timedelta, *, content_type: str, disposition: str) -> str:
        return f"memory://get/{key}?{content_type}&{disposition}"

    async def size_of(self, key: str) -> int | None:
        self._reach()
        return len(self.held[key]) if key in self.held else None

    def sign_read(self, key: str, ttl: timedelta) -> str:
        return f"memory://read/{key}"

    async def digest_of(self, key: str, timeout: timedelta) -> bytes:
        self._reach()
        if key not in self.held:
            raise ObjectsUnavailable("there is none")
        return sha256(self.held[key]).digest()

    async def look_at(self, key: str) -> Stored | None:
        self._reach()
        data = self.held.get(key)
        return Stored(len(data), sha256(data).hexdigest(), data[:HEAD_BYTES]) if data is not None else None

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        self._reach()
        self.held[key] = data

    async def delete(self, key: str) -> None:
        self._reach()
        self.held.pop(key, None)

    async def ready(self) -> bool:
        return not self.away

    def receive(self, upload: Upload, data: bytes | None = None) -> None:
        """The bytes of an upload come in: a picture, unless they are given."""
        self.held[object_key(upload.attachment.id)] = data or png(upload.attachment.size_bytes)

    def _reach(self) -> None:
        if self.away:
            raise ObjectsUnavailable("away")


class FakeAttachments:
    """See attachments.ports.AttachmentStore, beside a store of messages in memory."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self._due: dict[str, datetime] = {}
        self._scan_due: dict[AttachmentId, datetime] = {}

    async def put_upload(self, upload: Upload, most_waiting: int) -> Upload:
        every = {**self._store.unused_uploads, **self._store.attached_uploads}
        known = [u for u in every.values() if (u.owner_id, u.client_upload_id) == _key(upload)]
        waiting = [u for u in self._store.unused_uploads.values() if u.owner_id == upload.owner_id]
        if known:
            upload = replace(known[0], put_until=upload.put_until, unused_until=upload.unused_until)
        elif len(waiting) >= most_waiting:
            raise TooManyUploads
        if not known or upload.attachment.id in self._store.unused_uploads:
            self._store.unused_uploads[upload.attachment.id] = upload
        return upload

    async def put_copies(
        self,
        owner_id: UserId,
        place: tuple[ConversationId, int],
        copies: Sequence[FileCopy],
        now: datetime,
        unused_until: datetime,
        most_waiting: int,
    ) -> Sequence[Upload]:
        message = await self._store.find_message(*place)
        held = {attachment.id for attachment in message.attachments} if message else set()
        if not held.issuperset(copy.source_id for copy in copies):
            raise AttachmentNotFound
        client_ids = {copy.client_upload_id for copy in copies}
        waiting = [u for u in self._store.unused_uploads.values() if u.owner_id == owner_id]
        if len([u for u in waiting if u.client_upload_id not in client_ids]) + len(copies) > most_waiting:
            raise TooManyUploads
        return [await self._copied(owner_id, copy, now, unused_until) for copy in copies]

    async def _copied(self, owner_id: UserId, copy: FileCopy, now: datetime, unused_until: datetime) -> Upload:
        known = await self.find_announced(owner_id, copy.client_upload_id)
        if known:
            return known
        source = self._store.attached_uploads[copy.source_id]
        object_id = source.attachment.object_id or source.attachment.id
        upload = replace(
            source,
            attachment=replace(source.attachment, id=copy.id, object_id=object_id),
            owner_id=owner_id,
            client_upload_id=copy.client_upload_id,
            created_at=now,
            unused_until=unused_until,
            scan_attempts=0,
        )
        self._store.unused_uploads[copy.id] = upload
        return upload

    async def find_announced(self, owner_id: UserId, client_upload_id: str) -> Upload | None:
        every = {**self._store.unused_uploads, **self._store.attached_uploads}.values()
        return next((u for u in every if _key(u) == (owner_id, client_upload_id)), None)

    async def find_uploads(self, owner_id: UserId, ids: Sequence[AttachmentId]) -> Sequence[Upload]:
        uploads = self._store.unused_uploads
        return [uploads[id_] for id_ in ids if id_ in uploads and uploads[id_].owner_id == owner_id]

    async def await_scans(self, etags: Mapping[AttachmentId, str], now: datetime) -> None:
        for id_, etag in etags.items():
            upload = self._store.unused_uploads.get(id_)
            if upload and upload.scan is ScanState.NOT_REQUESTED:
                self._store.unused_uploads[id_] = replace(upload, scan=ScanState.WAITING, etag=etag)
                self._scan_due[id_] = now

    async def claim_scans(self, now: datetime, until: datetime, limit: int) -> Sequence[Upload]:
        waiting = [u for u in self._store.unused_uploads.values() if u.scan is ScanState.WAITING]
        due = [u for u in waiting if self._scan_due[u.attachment.id] <= now][:limit]
        claimed = [replace(u, scan_attempts=u.scan_attempts + 1) for u in due]
        self._store.unused_uploads.update({u.attachment.id: u for u in claimed})
        self._scan_due.update({u.attachment.id: until for u in claimed})
        return claimed

    async def postpone_scan(self, attachment_id: AttachmentId, until: datetime) -> None:
        self._scan_due[attachment_id] = until

    async def end_scan(self, attachment_id: AttachmentId, etag: str, verdict: ScanState, digest: bytes = b"") -> None:
        upload = self._store.unused_uploads.get(attachment_id)
        if upload and upload.scan is ScanState.WAITING and upload.etag == etag:
            self._store.unused_uploads[attachment_id] = replace(upload, scan=verdict, digest=digest)

    async def find_digest(self, attachment_id: AttachmentId) -> bytes:
        every = {**self._store.unused_uploads, **self._store.attached_uploads}
        return every[attachment_id].digest if attachment_id in every else b""

    async def is_sent(self, key: DraftKey) -> bool:
        messages = await self._store.list_messages(key.conversation_id, 0, None, 1_000_000)
        return any((m.sender_id, m.client_message_id) == (key.sender_id, key.client_message_id) for m in messages)

    async def queue_unused(self, now: datetime, limit: int) -> int:
        late = [u for u in self._store.unused_uploads.values() if u.unused_until <= now][:limit]
        for upload in late:
            del self._store.unused_uploads[upload.attachment.id]
            self._store.queue_delete(upload)
        return len(late)

    async def claim_deletes(self, now: datetime, until: datetime, limit: int) -> Sequence[PendingDelete]:
        every = {**self._store.unused_uploads, **self._store.attached_uploads}.values()
        for key in {object_key_of(upload.attachment) for upload in every}:
            self._store.pending_deletes.pop(key, None)
        due = [d for d in self._store.pending_deletes.values() if self._due.get(d.object_key, now) <= now][:limit]
        self._due.update({each.object_key: until for each in due})
        return due

    async def postpone_deletes(self, until: Mapping[str, datetime]) -> None:
        self._due.update(until)

    async def forget_deletes(self, keys: Collection[str]) -> None:
        for key in keys:
            self._store.pending_deletes.pop(key, None)


def _key(upload: Upload) -> tuple[UserId, str]:
    return upload.owner_id, upload.client_upload_id


def announced(now: datetime, owner: UserId, client_id: str = "u", *, size_bytes: int = 5) -> Upload:
    """An upload that may be put for a quarter of an hour, and waits for a day."""
    attachment = Attachment(AttachmentId(new_id(now)), "a.png", "image/png", size_bytes, 4, 3)
    return Upload(attachment, owner, client_id, now, now + timedelta(minutes=15), now + timedelta(days=1))


OBJECTS_KEY = Key("test", "a secret of tests")


@asynccontextmanager
async def object_server(
    folder: Path, now: Callable[[], datetime] | None = None, clock: Clock | None = None
) -> AsyncIterator[S3Objects]:
    """The embedded object store on a free port, and the production adapter to it.

    `now` turns the server's clock, `clock` is the adapter's.
    """
    async with object_endpoint(folder, [OBJECTS_KEY], now) as endpoint:
        objects = s3_objects(endpoint, OBJECTS_KEY, clock)
        await objects.start()
        try:
            yield objects
        finally:
            await objects.stop()


@asynccontextmanager
async def object_endpoint(
    folder: Path, keys: Collection[Key], now: Callable[[], datetime] | None = None
) -> AsyncIterator[str]:
    """Where the embedded object store is, which knows the keys that are in `keys` at the time."""
    server = ObjectServer(Bucket(folder), "bucket", keys, now or SystemClock().now)
    runner = web.AppRunner(server.app())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def s3_objects(endpoint: str, key: Key, clock: Clock | None = None) -> S3Objects:
    """The production adapter to the store there, not started."""
    config = ObjectsConfig(endpoint, endpoint, "bucket", "local", key.key_id, key.secret)
    return S3Objects(config, clock or SystemClock())
