"""Has files scanned before a message can have them. Any replica may; each file is one replica's at a time."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import structlog

from services.messaging import metrics
from services.messaging.attachments.core.hash_lists import is_listed
from services.messaging.attachments.core.uploads import ScanState, Upload, object_key_of, scan_retry_delay
from services.messaging.attachments.ports import AttachmentStore, Hashes, ObjectStore, Scanner
from services.messaging.kernel.errors import ObjectsUnavailable
from services.runtime.clock import Clock
from services.runtime.errors import StoreUnavailable
from services.runtime.observability.failures import describe

log = structlog.get_logger()

# Files of one replica that are scanned at once. Raising it gets through a burst sooner; lowering it puts less on a slow
# scanner.
AT_ONCE = 8
# For what waits for its next try, and what a dead replica left. Raising it makes those wait longer; lowering it makes
# more idle queries.
SWEEP_S = 5.0
# Beyond the scanner's own time: the scanner may go on reading after its answer was given up.
CLAIM_SLACK = timedelta(seconds=30)


class ScanWorker:
    """The work between `await_scans` and a verdict. Without a verdict a file goes on waiting, and is not sent."""

    def __init__(
        self,
        store: AttachmentStore,
        objects: ObjectStore,
        scanner: Scanner | None,
        clock: Clock,
        timeout: timedelta,
        hashes: Hashes | None = None,
    ) -> None:
        """`timeout` is the scanner's, and as much again the digest's. Without a scanner what is on no list is clean."""
        self._store = store
        self._objects = objects
        self._scanner = scanner
        self._clock = clock
        self._timeout = timeout
        self._claim = 2 * timeout + CLAIM_SLACK
        self._hashes = hashes
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is something to scan."""
        self._woken.set()

    async def run(self) -> None:
        """Scan for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_S):
                    await self._woken.wait()
            self._woken.clear()
            try:
                while await self.scan_due() == AT_ONCE:
                    pass
            except StoreUnavailable as error:
                log.warning("scanning_waits", error=describe(error))

    async def scan_due(self) -> int:
        """One round; how many files it asked about. Errors: StoreUnavailable."""
        now = self._clock.now()
        due = await self._store.claim_scans(now, now + self._claim, AT_ONCE)
        await asyncio.gather(*(self._scan(upload) for upload in due))
        return len(due)

    async def _scan(self, upload: Upload) -> None:
        attachment_id = upload.attachment.id
        digested = await self._digested(upload)
        verdict = await self._verdict(digested) if digested else None
        metrics.SCANS.labels(verdict.value if verdict else "failed").inc()
        if digested is None or verdict is None:
            await self._store.postpone_scan(attachment_id, self._clock.now() + scan_retry_delay(upload.scan_attempts))
        else:
            await self._store.end_scan(attachment_id, upload.etag, verdict, digested.digest)

    async def _digested(self, upload: Upload) -> Upload | None:
        """The upload with the digest of its bytes, where there is a list of digests. None: they cannot be read now."""
        if self._hashes is None:
            return upload
        key = object_key_of(upload.attachment)
        try:
            return replace(upload, digest=await self._objects.digest_of(key, self._timeout))
        except ObjectsUnavailable as error:
            log.warning("digest_not_taken", attachment_id=str(upload.attachment.id), error=describe(error))
            return None

    async def _verdict(self, upload: Upload) -> ScanState | None:
        if self._hashes is not None and is_listed(upload.digest, self._hashes()):
            # The scanner has no say in this.
            metrics.HASHES_MATCHED.inc()
            return ScanState.REFUSED
        if self._scanner is None:
            return ScanState.CLEAN
        return await self._scanner.scan(upload, self._objects.sign_read(object_key_of(upload.attachment), self._claim))
