"""A file on its way to a message: put by a device, scanned by a webhook that fetches it, kept in PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from services.messaging.attachments.clients import S3Objects
from services.messaging.attachments.core.uploads import Upload, UploadPolicy
from services.messaging.attachments.scanner import WebhookScanner
from services.messaging.attachments.service.attachments import Attachments, UploadRequest
from services.messaging.attachments.service.scanning import ScanWorker
from services.messaging.attachments.sql.store import PostgresAttachments
from services.messaging.kernel.errors import AttachmentNotScanned, AttachmentRefused
from services.messaging.kernel.model import Attachment, ConversationId, DraftKey
from services.messaging.wiring import MIGRATIONS
from services.runtime.clock import SystemClock
from services.runtime.config import DatabaseConfig
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database
from tests.support.attachments import object_server
from tests.support.db import connected
from tests.support.messaging_memory import MemoryStore
from tests.support.messaging_world import ALICE
from tests.support.waiting import eventually, until

VIRUS = b"a virus in a text"
CLOCK = SystemClock()
DEADLINE_S = 60


class Fetching:
    """A scanner that fetches what it is asked about, and refuses what holds a virus. `away`: it fails."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0

    async def handle(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.away:
            return web.Response(status=503)
        said = await request.json()
        async with aiohttp.ClientSession() as session, session.get(URL(said["url"], encoded=True)) as response:
            data = await response.read()
        assert len(data) == said["size_bytes"]
        return web.json_response({"verdict": "refused" if VIRUS in data else "clean"})


@pytest.fixture
async def fetching() -> AsyncIterator[tuple[Fetching, WebhookScanner]]:
    behind = Fetching()
    app = web.Application()
    app.router.add_post("/scan", behind.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    scanner = WebhookScanner(f"http://127.0.0.1:{runner.addresses[0][1]}/scan", [b"k" * 32], CLOCK, DEADLINE_S)
    await scanner.start()
    yield behind, scanner
    await scanner.stop()
    await runner.cleanup()


class Sender:
    """Uploads, and takes files as a message does."""

    def __init__(self, attachments: Attachments) -> None:
        self._attachments = attachments

    async def put(self, data: bytes) -> Upload:
        request = UploadRequest(str(new_id(CLOCK.now())), "a.txt", "text/plain", len(data))
        upload, put = await self._attachments.create_upload(ALICE, request)
        async with (
            aiohttp.ClientSession() as session,
            session.put(URL(put.url, encoded=True), headers=put.headers, data=data) as response,
        ):
            assert response.status == 200
        return upload

    async def take(self, *uploads: Upload) -> tuple[Attachment, ...]:
        key = DraftKey(ConversationId(new_id(CLOCK.now())), ALICE, "k")
        return await self._attachments.take(key, [str(upload.attachment.id) for upload in uploads])

    async def until_told(self, *uploads: Upload) -> tuple[Attachment, ...]:
        """As a client does that is told to wait."""

        async def is_told() -> bool:
            try:
                await self.take(*uploads)
            except AttachmentNotScanned:
                return False
            except AttachmentRefused:
                return True
            return True

        await eventually(is_told, DEADLINE_S, what="the scanner's word")
        return await self.take(*uploads)


@pytest.fixture
async def sender(migrated_url: str, tmp_path: Path, fetching: tuple[Fetching, WebhookScanner]) -> AsyncIterator[Sender]:
    _, scanner = fetching
    async with (
        connected(Database(DatabaseConfig(migrated_url, pool_size=4), MIGRATIONS)) as database,
        object_server(tmp_path) as objects,
    ):
        assert isinstance(objects, S3Objects)
        uploads = PostgresAttachments(database)
        scans = ScanWorker(uploads, objects, scanner, CLOCK, timedelta(seconds=DEADLINE_S))
        running = asyncio.create_task(scans.run())
        policy = UploadPolicy()
        yield Sender(
            Attachments(uploads, MemoryStore(), MemoryStore(), objects, CLOCK, new_id, policy, wake_scans=scans.wake)
        )
        running.cancel()


async def test_what_is_clean_is_sent_and_what_is_not_is_refused(
    sender: Sender, fetching: tuple[Fetching, WebhookScanner]
) -> None:
    clean, infected = await sender.put(b"hello"), await sender.put(b"hello, " + VIRUS)
    with pytest.raises(AttachmentNotScanned):
        await sender.take(clean)
    assert await sender.until_told(clean) == (clean.attachment,)
    with pytest.raises(AttachmentRefused):
        await sender.until_told(infected)
    with pytest.raises(AttachmentRefused):
        await sender.take(clean, infected)
    assert fetching[0].asked == 2


async def test_while_the_scanner_is_away_nothing_goes_and_afterwards_everything_does(
    sender: Sender, fetching: tuple[Fetching, WebhookScanner]
) -> None:
    behind, _ = fetching
    behind.away = True
    upload = await sender.put(b"hello")
    with pytest.raises(AttachmentNotScanned):
        await sender.take(upload)
    await until(lambda: behind.asked > 0, within_s=DEADLINE_S, what="the scanner to be asked")
    with pytest.raises(AttachmentNotScanned):
        await sender.take(upload)
    behind.away = False
    assert await sender.until_told(upload) == (upload.attachment,)
