"""What attachments do for their callers."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.messaging import metrics
from services.messaging.attachments.core.hash_lists import is_listed
from services.messaging.attachments.core.uploads import (
    FileCopy,
    ScanState,
    Upload,
    UploadPolicy,
    check_attachment,
    check_scanned,
    check_stored,
    content_disposition,
    copy_key,
    object_key,
    object_key_of,
)
from services.messaging.attachments.ports import AttachmentStore, Hashes, ObjectStore, SignedPut
from services.messaging.kernel import checks
from services.messaging.kernel.access import find_visible, require_let_in
from services.messaging.kernel.errors import (
    AttachmentNotFound,
    AttachmentRefused,
    InvalidField,
    MessageNotFound,
    ViewOnce,
)
from services.messaging.kernel.expiry import as_of
from services.messaging.kernel.model import (
    Attachment,
    AttachmentId,
    ConversationId,
    DraftKey,
    Message,
    UserId,
)
from services.messaging.kernel.ports import ConversationReader, MessageReader
from services.runtime.clock import Clock
from services.runtime.ids import NewId


@dataclass(frozen=True)
class UploadRequest:
    """A file as its sender announces it; lengths in seconds."""

    client_upload_id: str
    file_name: str
    content_type: str
    size_bytes: int
    width: int = 0
    height: int = 0
    length: timedelta = timedelta(0)


class Attachments:
    """The use-cases. `user_id` is always the authenticated caller."""

    def __init__(
        self,
        store: AttachmentStore,
        conversations: ConversationReader,
        messages: MessageReader,
        objects: ObjectStore,
        clock: Clock,
        new_id: NewId,
        policy: UploadPolicy,
        wake_scans: Callable[[], None] | None = None,
        hashes: Hashes | None = None,
    ) -> None:
        self._store = store
        self._conversations = conversations
        self._messages = messages
        self._objects = objects
        self._clock = clock
        self._new_id = new_id
        self._policy = policy
        # Without it there is no scanner, and files are sent as soon as they are what they say.
        self._wake_scans = wake_scans
        # Of files that nobody may have. Without it there is no such list.
        self._hashes = hashes

    async def create_upload(self, user_id: UserId, request: UploadRequest) -> tuple[Upload, SignedPut]:
        """Announce a file; where to put it. Idempotent by client_upload_id. Errors: InvalidField, TooManyUploads."""
        client_id = checks.check_client_id("client_upload_id", request.client_upload_id)
        now, policy = self._clock.now(), self._policy
        wanted = Attachment(
            AttachmentId(self._new_id(now)),
            request.file_name,
            request.content_type,
            request.size_bytes,
            request.width,
            request.height,
            request.length,
        )
        try:
            attachment = check_attachment(wanted, policy)
        except InvalidField:
            # The limits may have changed since: what was announced then stays so.
            known = await self._store.find_announced(user_id, client_id)
            if known is None:
                raise
            attachment = known.attachment
        fresh = Upload(attachment, user_id, client_id, now, now + policy.put_ttl, now + policy.unused_ttl)
        upload = await self._store.put_upload(fresh, policy.waiting)
        stored = upload.attachment
        put = self._objects.sign_put(object_key(stored.id), stored.content_type, stored.size_bytes, policy.put_ttl)
        return upload, put

    async def get_download(
        self, user_id: UserId, conversation_id: str, seq: int, attachment_id: str
    ) -> tuple[str, datetime]:
        """Where an attachment can be fetched, and until when. Errors: InvalidField, ConversationNotFound,
        NotAllowed for who has not let the conversation in, AttachmentNotFound, ViewOnce, AttachmentRefused for what
        nobody may have."""
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        wanted = checks.check_uuid("attachment_id", attachment_id)
        checks.check_seq("seq", seq)
        conversation = require_let_in(await self._conversations.find_conversation(target), user_id)
        try:
            found = find_visible(conversation, user_id, await self._messages.find_message(target, seq))
        except MessageNotFound:
            raise AttachmentNotFound from None
        message = as_of(found, self._clock.now())
        if message.view_once:
            raise ViewOnce
        attachment = next((each for each in message.attachments if each.id == wanted), None)
        if attachment is None:
            raise AttachmentNotFound
        await self.refuse_listed(attachment)
        return self.address_of(attachment)

    @property
    def address_ttl(self) -> timedelta:
        """How long an address is good."""
        return self._policy.get_ttl

    async def refuse_listed(self, attachment: Attachment) -> None:
        """Raises AttachmentRefused for what nobody may have."""
        if self._hashes is not None and is_listed(await self._store.find_digest(attachment.id), self._hashes()):
            # It was sent before it was on the list.
            metrics.HASHES_MATCHED.inc()
            raise AttachmentRefused(f"{attachment.file_name[:100]} is a file that nobody may have here")

    def address_of(self, attachment: Attachment) -> tuple[str, datetime]:
        """Where it can be fetched by whoever may, and until when."""
        ttl = self._policy.get_ttl
        url = self._objects.sign_get(
            object_key_of(attachment),
            ttl,
            content_type=attachment.content_type,
            disposition=content_disposition(attachment),
        )
        return url, self._clock.now() + ttl

    async def take(self, key: DraftKey, attachment_ids: Sequence[str]) -> tuple[Attachment, ...]:
        """See ports.Uploads."""
        limit = self._policy.per_message
        if len(attachment_ids) > limit:
            raise InvalidField("attachment_ids", f"has {len(attachment_ids)} entries; at most {limit} are allowed")
        ids = [AttachmentId(checks.check_uuid("attachment_ids", value)) for value in attachment_ids]
        if len(set(ids)) < len(ids):
            raise InvalidField("attachment_ids", "names an attachment twice")
        if await self._store.is_sent(key):
            return ()
        found = {upload.attachment.id: upload for upload in await self._store.find_uploads(key.sender_id, ids)}
        if len(found) < len(ids):
            raise AttachmentNotFound
        uploads = [found[attachment_id] for attachment_id in ids]
        await self._check(uploads)
        return tuple(upload.attachment for upload in uploads)

    async def share(self, key: DraftKey, message: Message) -> tuple[Attachment, ...]:
        """See the forwarding's ports.Copies."""
        now, policy = self._clock.now(), self._policy
        copies = [
            FileCopy(file.id, AttachmentId(self._new_id(now)), copy_key(key, file.id)) for file in message.attachments
        ]
        uploads = await self._store.put_copies(
            *(key.sender_id, (message.conversation_id, message.seq), copies),
            *(now, now + policy.unused_ttl, policy.waiting),
        )
        by_key = {upload.client_upload_id: upload.attachment for upload in uploads}
        return tuple(by_key[copy.client_upload_id] for copy in copies)

    async def _check(self, uploads: Sequence[Upload]) -> None:
        looks = (self._objects.look_at(object_key_of(upload.attachment)) for upload in uploads)
        seen = list(zip(uploads, await asyncio.gather(*looks), strict=True))
        for upload, stored in seen:
            check_stored(upload, stored)
        if self._wake_scans is None:
            return
        there = [(upload, stored) for upload, stored in seen if stored is not None]
        not_requested = {
            upload.attachment.id: stored.etag for upload, stored in there if upload.scan is ScanState.NOT_REQUESTED
        }
        if not_requested:
            await self._store.await_scans(not_requested, self._clock.now())
            self._wake_scans()
        # What is refused for good is said before what has to wait.
        for upload, stored in sorted(there, key=lambda pair: pair[0].scan is not ScanState.REFUSED):
            check_scanned(upload, stored)
