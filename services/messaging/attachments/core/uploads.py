"""What may be uploaded, under which name it is kept, and how it is handed out."""

import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from hashlib import sha256
from urllib.parse import quote
from uuid import UUID

from services.messaging.attachments.core.file_types import is_of_type
from services.messaging.kernel.characters import check_storable, is_blank
from services.messaging.kernel.errors import (
    AttachmentNotScanned,
    AttachmentNotUploaded,
    AttachmentRefused,
    InvalidField,
)
from services.messaging.kernel.file_names import MAX_FILE_NAME_CHARS, safe_file_name
from services.messaging.kernel.media_types import media_type
from services.messaging.kernel.model import Attachment, AttachmentId, DraftKey, UserId

UPLOADS_PREFIX = "uploads/"
MAX_PIXELS_A_SIDE = 100_000
MAX_LENGTH = timedelta(hours=24)
# After the first time without a verdict, doubled each time. Raising it makes files wait after the scanner is back;
# lowering it asks a scanner that is away more often.
SCAN_RETRY = timedelta(seconds=1)
SCAN_RETRY_MOST = timedelta(seconds=60)

# Pictures, sounds and videos that browsers show without running anything. All else is kept as a file, whatever may be
# uploaded: SVG and HTML hold scripts, a PDF is drawn by programs that were attacked before.
SHOWN_TYPES = (
    *("image/jpeg", "image/png", "image/gif", "image/webp", "image/avif", "image/heic", "image/heif"),
    *("audio/mpeg", "audio/mp4", "audio/aac", "audio/ogg", "audio/wav", "audio/webm", "audio/flac", "audio/amr"),
    *("audio/3gpp", "video/mp4", "video/webm", "video/quicktime", "video/3gpp", "video/matroska"),
)
DEFAULT_TYPES = (
    *SHOWN_TYPES,
    *("application/pdf", "text/plain", "text/csv", "application/zip"),
)


@dataclass(frozen=True)
class UploadPolicy:
    """Limits of uploads."""

    # Raising it takes more storage and longer transfers; lowering it refuses people's videos.
    max_bytes: int = 100 * 1024 * 1024
    # More types: more that receivers' programs may be attacked with. Fewer: people's files are refused.
    types: frozenset[str] = frozenset(DEFAULT_TYPES)
    # Of one message. Raising it makes bigger messages and events, and as many more requests to the object store with
    # each send.
    per_message: int = 10
    # Announced by one person and in no message yet. Raising it lets one person fill more storage without sending
    # anything.
    waiting: int = 100
    # How long bytes can be put. Raising it keeps a leaked address good for longer; lowering it makes slow devices come
    # too late.
    put_ttl: timedelta = timedelta(minutes=15)
    # How long an upload may wait for its message. Raising it keeps more dead storage; lowering it takes the files away
    # from drafts.
    unused_ttl: timedelta = timedelta(days=1)
    # How long a download's address is good. Raising it lets the address be passed on for longer; lowering it makes slow
    # devices ask twice.
    get_ttl: timedelta = timedelta(minutes=5)


class ScanState(Enum):
    """Of a file's scan: none was requested, no verdict yet, it may be sent, it may not."""

    NOT_REQUESTED = ""
    WAITING = "waiting"
    CLEAN = "clean"
    REFUSED = "refused"


# More than any store holds. Raising it has no use; lowering it finds large files empty.
MAX_SIZE_DIGITS = 18


@dataclass(frozen=True)
class Stored:
    """An object as the store has it: its size, its tag, and its first bytes."""

    size_bytes: int
    etag: str
    head: bytes


def stored_size(length: str) -> int:
    """The size of an object in a store's headers: `10`, or `bytes 0-9/10`. 0 for what says none, such as a star."""
    whole = length.rpartition("/")[2].strip()
    # Python takes digits of any script, and refuses to read thousands of them.
    return int(whole) if whole.isascii() and whole.isdecimal() and len(whole) <= MAX_SIZE_DIGITS else 0


@dataclass(frozen=True)
class Upload:
    """A file as it was announced, by whom, and until when its bytes can be put and it may wait for a message."""

    attachment: Attachment
    owner_id: UserId
    client_upload_id: str
    created_at: datetime
    put_until: datetime
    unused_until: datetime
    scan: ScanState = ScanState.NOT_REQUESTED
    # Of the object that was, or is to be, scanned.
    etag: str = ""
    # How often the scanner was asked and gave no verdict.
    scan_attempts: int = 0
    # SHA-256 of its bytes; empty where it was not taken.
    digest: bytes = b""


@dataclass(frozen=True)
class PendingDelete:
    """An object to be deleted; until `put_until` somebody may put it again."""

    object_key: str
    put_until: datetime


def object_key(attachment_id: AttachmentId) -> str:
    """The name of an upload's object in the bucket."""
    return f"{UPLOADS_PREFIX}{attachment_id}"


def upload_id(key: str) -> AttachmentId | None:
    """The upload whose object has this name; None for objects that are no upload's."""
    return AttachmentId(UUID(key.removeprefix(UPLOADS_PREFIX))) if key.startswith(UPLOADS_PREFIX) else None


def object_key_of(attachment: Attachment) -> str:
    """The name of the object that has an attachment's bytes: of a forwarded file, that of the first upload."""
    return object_key(attachment.object_id or attachment.id)


@dataclass(frozen=True)
class FileCopy:
    """A further upload that is to have the bytes of a file that a message holds."""

    source_id: AttachmentId
    id: AttachmentId
    client_upload_id: str


def copy_key(key: DraftKey, source_id: AttachmentId) -> str:
    """The client_upload_id of a file's copy in the message of this key: outside of what clients may choose."""
    named = f"{key.conversation_id} {key.client_message_id} {source_id}"
    return f"\x1fforward/{sha256(named.encode()).hexdigest()[:32]}"


def check_attachment(attachment: Attachment, policy: UploadPolicy) -> Attachment:
    """The attachment as it is kept, if it may be uploaded. Raises InvalidField."""
    said = check_file_name(attachment.file_name)
    content_type = check_content_type(attachment.content_type, said, policy)
    file_name = safe_file_name(said, content_type)
    if not 0 < attachment.size_bytes <= policy.max_bytes:
        raise InvalidField("size_bytes", f"must be 1 to {policy.max_bytes}")
    for field, value in (("width", attachment.width), ("height", attachment.height)):
        if not 0 <= value <= MAX_PIXELS_A_SIDE:
            raise InvalidField(field, f"must be 0 to {MAX_PIXELS_A_SIDE}")
    if not timedelta(0) <= attachment.length <= MAX_LENGTH:
        raise InvalidField("length", f"must be 0 to {int(MAX_LENGTH.total_seconds())} s")
    return replace(attachment, file_name=file_name, content_type=content_type)


def check_stored(upload: Upload, stored: Stored | None) -> None:
    """Whether what is in the store is what was announced. Raises AttachmentNotUploaded, AttachmentRefused."""
    attachment = upload.attachment
    if stored is None or stored.size_bytes != attachment.size_bytes:
        raise AttachmentNotUploaded
    if not is_of_type(stored.head, attachment.content_type):
        raise AttachmentRefused(f"what is in {attachment.file_name[:100]} is not {attachment.content_type}")


def check_scanned(upload: Upload, stored: Stored) -> None:
    """Whether the scanner let this very object pass. Raises AttachmentNotScanned, AttachmentRefused."""
    if upload.scan in (ScanState.NOT_REQUESTED, ScanState.WAITING):
        raise AttachmentNotScanned
    if upload.scan is ScanState.REFUSED or upload.etag != stored.etag:
        raise AttachmentRefused(f"the scanner refused {upload.attachment.file_name[:100]}")


def scan_retry_delay(attempts: int) -> timedelta:
    """How long a file waits after the scanner gave no verdict `attempts` times."""
    return min(SCAN_RETRY * (1 << min(attempts - 1, 16)), SCAN_RETRY_MOST)


def check_content_type(value: str, file_name: str, policy: UploadPolicy) -> str:
    """The one name of a file's type, if it can be sent. Raises InvalidField, saying what is wrong with it."""
    name = media_type(value, file_name)
    if name is None:
        raise InvalidField("content_type", "must be a media type, such as image/jpeg")
    if name not in {media_type(allowed, "") for allowed in policy.types}:
        raise InvalidField("content_type", f"{name[:100]} is not one of the types that can be sent")
    return name


def check_file_name(value: str) -> str:
    """A name that can be made safe (safe_file_name): without folders and control characters. Raises InvalidField."""
    check_storable("file_name", value)
    is_clean = not any(char in "/\\" or unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in value)
    if not 0 < len(value) <= MAX_FILE_NAME_CHARS or not is_clean or is_blank(value):
        raise InvalidField("file_name", f"must have 1 to {MAX_FILE_NAME_CHARS} characters, no slash, no controls")
    return value


def content_disposition(attachment: Attachment) -> str:
    """The header by which a browser shows or keeps the file (RFC 6266): its name in ASCII, and in full (RFC 8187).

    Names that were kept by older releases are made safe here, too.
    """
    name = safe_file_name(attachment.file_name, attachment.content_type)
    plain = "".join(char if char.isascii() and char.isprintable() and char not in '"\\%;' else "_" for char in name)
    kind = "inline" if attachment.content_type in SHOWN_TYPES else "attachment"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
