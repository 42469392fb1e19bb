"""What attachments need of the world."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from services.messaging.attachments.core.uploads import FileCopy, PendingDelete, ScanState, Stored, Upload
from services.messaging.attachments.core.view_once import Opened, Opening
from services.messaging.kernel.model import AttachmentId, Conversation, ConversationId, DraftKey, Message, UserId


@dataclass(frozen=True)
class SignedPut:
    """Where to put bytes, with exactly these headers."""

    url: str
    headers: Mapping[str, str]


class ObjectStore(Protocol):
    """An S3-compatible bucket. Signing is local; errors of the others: ObjectsUnavailable."""

    def sign_put(self, key: str, content_type: str, size_bytes: int, ttl: timedelta) -> SignedPut:
        """An address that takes exactly such an object, once: the store refuses another size, another type, and to
        replace what is there."""

    def sign_get(self, key: str, ttl: timedelta, *, content_type: str, disposition: str) -> str:
        """An address that answers with the object under these headers."""

    def sign_read(self, key: str, ttl: timedelta) -> str:
        """An address within the deployment that answers with the object, for services that devices do not reach."""

    async def size_of(self, key: str) -> int | None:
        """The object's size in bytes; None when there is none."""

    async def digest_of(self, key: str, timeout: timedelta) -> bytes:
        """The SHA-256 of all of the object's bytes. Raises ObjectsUnavailable also where there is none."""

    async def look_at(self, key: str) -> Stored | None:
        """The object's size, tag and first bytes (file_types.HEAD_BYTES); None when there is none.

        Raises ObjectsUnavailable also of a store that would let what was looked at be put anew.
        """

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store an object, in place of what is there."""

    async def delete(self, key: str) -> None:
        """Delete an object. Idempotent."""

    async def ready(self) -> bool:
        """Whether the store answers."""


class AttachmentStore(Protocol):
    """The rows of uploads. Errors of every method: StoreUnavailable."""

    async def put_upload(self, upload: Upload, most_waiting: int) -> Upload:
        """Store an upload; of one that its owner has under this client id, the times alone are moved on and what was
        announced stays. Idempotent. Errors: TooManyUploads."""

    async def put_copies(
        self,
        owner_id: UserId,
        place: tuple[ConversationId, int],
        copies: Sequence[FileCopy],
        now: datetime,
        unused_until: datetime,
        most_waiting: int,
    ) -> Sequence[Upload]:
        """Uploads that have the bytes of files of the message at this place, and what the scanner said of them; those
        that stand under their client id stay. In any order. The bytes live as long as one of the files that have them.

        Errors: AttachmentNotFound when the message holds one of the files no more, TooManyUploads.
        """

    async def find_announced(self, owner_id: UserId, client_upload_id: str) -> Upload | None:
        """What was announced under this key, in a message or not."""

    async def find_uploads(self, owner_id: UserId, ids: Sequence[AttachmentId]) -> Sequence[Upload]:
        """Those of the ids that the person announced and that are in no message, in any order."""

    async def await_scans(self, etags: Mapping[AttachmentId, str], now: datetime) -> None:
        """Request scans of unsent files of which none was requested yet, as the objects with these tags. Idempotent."""

    async def claim_scans(self, now: datetime, until: datetime, limit: int) -> Sequence[Upload]:
        """Some files that are due to be scanned, for the caller alone; due again at `until`, should the caller die.
        Their attempts count this one."""

    async def postpone_scan(self, attachment_id: AttachmentId, until: datetime) -> None:
        """The scanner gave no verdict: ask again then."""

    async def end_scan(self, attachment_id: AttachmentId, etag: str, verdict: ScanState, digest: bytes = b"") -> None:
        """Keep the verdict on the object with this tag, and its digest if it was taken, unless there is one already.
        Idempotent."""

    async def find_digest(self, attachment_id: AttachmentId) -> bytes:
        """Of a file, also one in a message; empty for one that was never taken."""

    async def is_sent(self, key: DraftKey) -> bool:
        """Whether a message of this key is stored."""

    async def queue_unused(self, now: datetime, limit: int) -> int:
        """Forget uploads that waited too long for their message, and queue their objects for deletion; how many."""

    async def claim_deletes(self, now: datetime, until: datetime, limit: int) -> Sequence[PendingDelete]:
        """Some objects that are due, for the caller alone; due again at `until`, should the caller die. Those that a
        file has (still), and those of what was reported, are forgotten instead."""

    async def postpone_deletes(self, until: Mapping[str, datetime]) -> None:
        """Make claimed objects due again at these times."""

    async def forget_deletes(self, keys: Collection[str]) -> None:
        """Objects that are deleted for good. Idempotent."""


# Decides under the conversation's lock, also by the person's earlier opening; None for nothing to do. What it raises
# undoes the transaction.
DecideOpening = Callable[[Conversation, Message | None, Opening | None], Opened | None]


class OpeningStore(Protocol):
    """Who opened which view-once message."""

    async def open_once(
        self, conversation_id: ConversationId, seq: int, user_id: UserId, decide: DecideOpening, now: datetime
    ) -> Message:
        """Lock, decide, write with the next revision and its event; the message as it stands then.

        Errors: ConversationNotFound, runtime's StoreUnavailable.
        """


class Scanner(Protocol):
    """What decides whether a file may be sent."""

    async def scan(self, upload: Upload, url: str) -> ScanState | None:
        """CLEAN or REFUSED, of the bytes at this address; None when there was no verdict, whatever the cause."""


# The digests of files that nobody may send or fetch, as they are known now.
Hashes = Callable[[], Collection[bytes]]
