"""Where the objects of attachments are built."""

from dataclasses import dataclass
from datetime import timedelta

import structlog

from services.messaging.attachments.clients import S3Objects
from services.messaging.attachments.core.hash_lists import read_hashes
from services.messaging.attachments.core.uploads import UploadPolicy
from services.messaging.attachments.ports import Hashes
from services.messaging.attachments.scanner import WebhookScanner
from services.messaging.attachments.service.attachments import Attachments
from services.messaging.attachments.service.collecting import Collector
from services.messaging.attachments.service.scanning import ScanWorker
from services.messaging.attachments.sql.store import PostgresAttachments
from services.messaging.config import Config
from services.messaging.kernel.ports import ConversationReader, MessageReader
from services.runtime.clock import Clock
from services.runtime.ids import new_id
from services.runtime.lifecycle import Part, Worker
from services.runtime.postgres.database import Database
from services.runtime.watched import Watched

log = structlog.get_logger()


@dataclass(frozen=True)
class AttachmentsFeature:
    """The objects of the feature, not started; `outward` are those that ask others, in the order of their start."""

    attachments: Attachments
    objects: S3Objects
    collector: Collector
    outward: tuple[Part, ...]


def upload_policy(config: Config) -> UploadPolicy:
    """The limits of uploads that are configured."""
    return UploadPolicy(
        max_bytes=config.upload_bytes,
        types=frozenset(config.upload_types),
        per_message=config.attachments,
        waiting=config.uploads_waiting,
        put_ttl=timedelta(seconds=config.upload_ttl_s),
        unused_ttl=timedelta(seconds=config.upload_unused_s),
        get_ttl=timedelta(seconds=config.download_ttl_s),
    )


def file_hashes(config: Config) -> Hashes | None:
    """The list of hashes that is configured. Raises ConfigError for one that cannot be read."""
    path = config.scanner.hashes_file
    return Watched("hashes", [path], lambda read: read_hashes(read[0])).get if path else None


def scanning(
    config: Config, uploads: PostgresAttachments, objects: S3Objects, clock: Clock, hashes: Hashes | None
) -> tuple[WebhookScanner | None, ScanWorker | None]:
    """The scanner that is configured, and the work of asking it and of looking into the list of hashes. Without a
    scanner files are not scanned, which is said."""
    scanner = None
    if config.scanner.url:
        scanner = WebhookScanner(config.scanner.url, config.scanner.secrets, clock, config.scanner.timeout_s)
    else:
        log.info("files_are_not_scanned", because="PARLEY_SCANNER_URL is not set")
    if scanner is None and hashes is None:
        return None, None
    timeout = timedelta(seconds=config.scanner.timeout_s)
    return scanner, ScanWorker(uploads, objects, scanner, clock, timeout, hashes)


def build_attachments(
    config: Config, database: Database, clock: Clock, conversations: ConversationReader, messages: MessageReader
) -> AttachmentsFeature:
    """The feature. Raises ConfigError for a list of hashes that cannot be read."""
    objects = S3Objects(config.objects, clock)
    uploads = PostgresAttachments(database)
    hashes = file_hashes(config)
    scanner, scans = scanning(config, uploads, objects, clock, hashes)
    attachments = Attachments(
        *(uploads, conversations, messages, objects, clock, new_id, upload_policy(config)),
        wake_scans=scans.wake if scans else None,
        hashes=hashes,
    )
    outward: list[Part] = [objects]
    if scanner:
        outward.append(scanner)
    if scans:
        outward.append(Worker("scans", scans.run))
    return AttachmentsFeature(attachments, objects, Collector(uploads, objects, clock), tuple(outward))
