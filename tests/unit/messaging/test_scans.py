"""A file is sent when it is what it says, and when the scanner let it pass."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from services.messaging.attachments.core.uploads import (
    ScanState,
    Upload,
    UploadPolicy,
    object_key,
    scan_retry_delay,
)
from services.messaging.attachments.ports import Hashes
from services.messaging.attachments.scanner import WebhookScanner
from services.messaging.attachments.service.attachments import Attachments
from services.messaging.attachments.service.scanning import ScanWorker
from services.messaging.kernel.errors import AttachmentNotScanned, AttachmentRefused, ConversationNotFound
from services.messaging.messages.service.requests import MessageLimits
from services.runtime.ids import new_id
from tests.support.attachments import announced
from tests.support.clock import ManualClock
from tests.support.file_samples import OTHERS, archive, png
from tests.support.messaging_cases import Cases
from tests.support.messaging_world import ALICE, BOB, MALLORY, World
from tests.unit.messaging.test_attachments import PNG, send_with, uploaded

TIMEOUT = timedelta(seconds=30)


class FakeScanner:
    """Says what it is told to; None is no word."""

    def __init__(self) -> None:
        self.word: ScanState | None = ScanState.CLEAN
        self.asked: list[tuple[Upload, str]] = []

    async def scan(self, upload: Upload, url: str) -> ScanState | None:
        self.asked.append((upload, url))
        return self.word


class Scanned:
    """A world of messaging, with a scanner from now on."""

    def __init__(self, world: World, hashes: Hashes | None = None, *, has_scanner: bool = True) -> None:
        self.world = world
        self.scanner = FakeScanner()
        asked = self.scanner if has_scanner else None
        self.scans = ScanWorker(world.uploads, world.objects, asked, world.clock, TIMEOUT, hashes)
        world.attachments = Attachments(
            *(world.uploads, world.store, world.store, world.objects, world.clock, new_id, UploadPolicy()),
            wake_scans=self.scans.wake,
            hashes=hashes,
        )
        cases = Cases(*(world.store, world.sends, world.rates, world.clock, new_id, MessageLimits(), world.attachments))
        world.sending = cases.sending


@pytest.fixture
def scanned(world: World) -> Scanned:
    return Scanned(world)


@pytest.mark.parametrize("what", OTHERS)
async def test_bytes_that_are_not_what_was_announced_are_not_sent(world: World, what: str) -> None:
    conversation = await world.conversation()
    data = OTHERS[what].ljust(80, b" ")
    upload, _ = await world.attachments.create_upload(ALICE, PNG)
    world.objects.held[object_key(upload.attachment.id)] = data
    with pytest.raises(AttachmentRefused):
        await send_with(world, conversation, upload)


async def test_one_file_that_lies_keeps_the_whole_message_back(world: World) -> None:
    conversation = await world.conversation()
    good, bad = await uploaded(world, client_id="1"), await uploaded(world, client_id="2")
    world.objects.held[object_key(bad.attachment.id)] = archive("a.exe")[:80].ljust(80, b"\0")
    with pytest.raises(AttachmentRefused):
        await send_with(world, conversation, good, bad)
    assert (await send_with(world, conversation, good)).seq == 1


async def test_a_file_waits_for_the_scanner_and_is_sent_when_it_lets_it_pass(scanned: Scanned) -> None:
    world, scanner = scanned.world, scanned.scanner
    conversation, upload = await world.conversation(), await uploaded(scanned.world)
    for _ in range(2):
        with pytest.raises(AttachmentNotScanned):
            await send_with(world, conversation, upload)
    assert await scanned.scans.scan_due() == 1
    assert await scanned.scans.scan_due() == 0
    ((asked, url),) = scanner.asked
    assert (asked.attachment, url) == (upload.attachment, f"memory://read/{object_key(upload.attachment.id)}")
    assert (await send_with(world, conversation, upload)).attachments == (upload.attachment,)


async def test_what_the_scanner_refuses_is_never_sent_nor_asked_about_again(scanned: Scanned) -> None:
    world = scanned.world
    conversation, upload = await world.conversation(), await uploaded(world)
    scanned.scanner.word = ScanState.REFUSED
    with pytest.raises(AttachmentNotScanned):
        await send_with(world, conversation, upload)
    await scanned.scans.scan_due()
    scanned.scanner.word = ScanState.CLEAN
    for key in ("k", "k2"):
        with pytest.raises(AttachmentRefused):
            await send_with(world, conversation, upload, key=key)
    world.clock.advance(3600)
    assert await scanned.scans.scan_due() == 0


async def test_without_a_word_of_the_scanner_nothing_is_sent_and_it_is_asked_less_and_less_often(
    scanned: Scanned,
) -> None:
    world, scanner = scanned.world, scanned.scanner
    conversation, upload = await world.conversation(), await uploaded(world)
    scanner.word = None
    with pytest.raises(AttachmentNotScanned):
        await send_with(world, conversation, upload)
    for attempt in range(1, 10):
        assert await scanned.scans.scan_due() == 1
        with pytest.raises(AttachmentNotScanned):
            await send_with(world, conversation, upload)
        world.clock.advance(scan_retry_delay(attempt).total_seconds() - 0.01)
        assert await scanned.scans.scan_due() == 0
        world.clock.advance(0.02)
    scanner.word = ScanState.CLEAN
    await scanned.scans.scan_due()
    assert (await send_with(world, conversation, upload)).attachments
    assert (await send_with(world, conversation, key="text", text="texts do not wait")).seq == 2


async def test_what_stands_there_after_the_scan_is_not_what_was_scanned(scanned: Scanned) -> None:
    world = scanned.world
    conversation, upload = await world.conversation(), await uploaded(world)
    with pytest.raises(AttachmentNotScanned):
        await send_with(world, conversation, upload)
    await scanned.scans.scan_due()
    other = bytearray(world.objects.held[object_key(upload.attachment.id)])
    other[-20] ^= 1
    world.objects.held[object_key(upload.attachment.id)] = bytes(other)
    with pytest.raises(AttachmentRefused):
        await send_with(world, conversation, upload)


async def test_a_retry_of_what_was_sent_asks_no_scanner(scanned: Scanned) -> None:
    world = scanned.world
    conversation, upload = await world.conversation(), await uploaded(world)
    with pytest.raises(AttachmentNotScanned):
        await send_with(world, conversation, upload)
    await scanned.scans.scan_due()
    sent = await send_with(world, conversation, upload)
    world.objects.away = True
    assert await send_with(world, conversation, upload) == sent
    assert len(scanned.scanner.asked) == 1


async def test_who_dies_while_scanning_leaves_the_file_to_another(scanned: Scanned) -> None:
    world = scanned.world
    conversation, upload = await world.conversation(), await uploaded(world)
    with pytest.raises(AttachmentNotScanned):
        await send_with(world, conversation, upload)
    now = world.clock.now()
    assert len(await world.uploads.claim_scans(now, now + TIMEOUT, 1)) == 1
    assert await scanned.scans.scan_due() == 0
    world.clock.advance(31)
    assert await scanned.scans.scan_due() == 1
    assert (await send_with(world, conversation, upload)).seq == 1


# Lists of hashes.


def listed(world: World, upload: Upload) -> bytes:
    return hashlib.sha256(world.objects.held[object_key(upload.attachment.id)]).digest()


async def test_a_file_on_the_list_is_never_sent_and_the_scanner_is_not_asked(world: World) -> None:
    hashes: set[bytes] = set()
    scanned = Scanned(world, lambda: hashes)
    conversation = await world.conversation()
    upload, other = await uploaded(world, client_id="1"), await uploaded(world, client_id="2")
    world.objects.receive(other, png(other.attachment.size_bytes)[:-1] + b"x")
    hashes.add(listed(world, upload))
    for each in (upload, other):
        with pytest.raises(AttachmentNotScanned):
            await send_with(world, conversation, each, key=str(each.attachment.id))
    await scanned.scans.scan_due()
    with pytest.raises(AttachmentRefused):
        await send_with(world, conversation, upload)
    assert (await send_with(world, conversation, other)).attachments == (other.attachment,)
    ((asked, _),) = scanned.scanner.asked
    assert (asked.attachment.id, asked.digest) == (other.attachment.id, listed(world, other))


async def test_a_file_that_comes_onto_the_list_later_is_fetched_no_more(world: World) -> None:
    hashes: set[bytes] = set()
    scanned = Scanned(world, lambda: hashes)
    conversation, upload = await world.conversation(), await uploaded(world)
    with pytest.raises(AttachmentNotScanned):
        await send_with(world, conversation, upload)
    await scanned.scans.scan_due()
    sent = await send_with(world, conversation, upload)
    place = (conversation, sent.seq, str(upload.attachment.id))
    await world.attachments.get_download(BOB, *place)
    hashes.add(listed(world, upload))
    for user in (ALICE, BOB):
        with pytest.raises(AttachmentRefused):
            await world.attachments.get_download(user, *place)
    # Who may not know of it is told nothing of it.
    with pytest.raises(ConversationNotFound):
        await world.attachments.get_download(MALLORY, *place)


async def test_with_a_list_alone_what_is_not_on_it_is_sent(world: World) -> None:
    hashes: set[bytes] = set()
    scanned = Scanned(world, lambda: hashes, has_scanner=False)
    conversation, upload = await world.conversation(), await uploaded(world)
    with pytest.raises(AttachmentNotScanned):
        await send_with(world, conversation, upload)
    await scanned.scans.scan_due()
    assert (await send_with(world, conversation, upload)).seq == 1


async def test_a_file_whose_bytes_cannot_be_read_waits(world: World) -> None:
    scanned = Scanned(world, lambda: set())
    conversation, upload = await world.conversation(), await uploaded(world)
    with pytest.raises(AttachmentNotScanned):
        await send_with(world, conversation, upload)
    world.objects.away = True
    assert await scanned.scans.scan_due() == 1
    world.objects.away = False
    with pytest.raises(AttachmentNotScanned):
        await send_with(world, conversation, upload)
    world.clock.advance(scan_retry_delay(1).total_seconds())
    assert await scanned.scans.scan_due() == 1
    assert (await send_with(world, conversation, upload)).seq == 1


SECRETS = (b"n" * 32, b"o" * 32)


@dataclass
class Answering:
    """A scanner behind HTTP, with what it was asked."""

    status: int = 200
    body: str = '{"verdict":"clean"}'
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.seen.append((dict(request.headers), await request.read()))
        return web.Response(status=self.status, text=self.body, headers=self.headers)


@pytest.fixture
def answering() -> Answering:
    return Answering()


@pytest.fixture
async def webhook(answering: Answering) -> AsyncIterator[WebhookScanner]:
    app = web.Application()
    app.router.add_post("/scan", answering.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    scanner = WebhookScanner(f"http://127.0.0.1:{runner.addresses[0][1]}/scan", SECRETS, ManualClock(), 60)
    await scanner.start()
    yield scanner
    await scanner.stop()
    await runner.cleanup()


async def test_the_scanner_is_told_what_it_needs_under_a_signature(
    webhook: WebhookScanner, answering: Answering
) -> None:
    upload = replace(announced(ManualClock().now(), ALICE), etag="tag")
    assert await webhook.scan(upload, "http://store/x") is ScanState.CLEAN
    await webhook.scan(replace(upload, digest=b"\x01" * 32), "http://store/x")
    (headers, body), (_, with_digest) = answering.seen
    assert json.loads(with_digest) == json.loads(body) | {"sha256": "01" * 32}
    assert json.loads(body) == {
        "attachment_id": str(upload.attachment.id),
        "file_name": "a.png",
        "content_type": "image/png",
        "size_bytes": 5,
        "etag": "tag",
        "url": "http://store/x",
    }
    signed = headers["Parley-Timestamp"].encode() + b"." + body
    expected = [f"v1={hmac.new(secret, signed, hashlib.sha256).hexdigest()}" for secret in SECRETS]
    assert headers["Parley-Signature"] == ",".join(expected)
    webhook_id, at = str(upload.attachment.id), ManualClock().now()
    said = body.decode()
    standard = [Webhook(secret).sign(webhook_id, at, said) for secret in SECRETS]
    assert (headers["webhook-id"], headers["webhook-signature"]) == (webhook_id, " ".join(standard))


@pytest.mark.parametrize(
    ("status", "body", "word"),
    [
        (200, '{"verdict":"refused","why":"a virus"}', ScanState.REFUSED),
        (200, '{"verdict":"CLEAN"}', None),
        (200, '{"verdict":["clean"]}', None),
        (200, '["clean"]', None),
        (200, "clean", None),
        (200, "", None),
        (200, "x" * 100_000, None),
        (200, "[" * 4_000, None),
        (201, '{"verdict":"clean"}', None),
        (204, "", None),
        (302, '{"verdict":"clean"}', None),
        (400, '{"verdict":"clean"}', None),
        (500, '{"verdict":"clean"}', None),
    ],
)
async def test_only_a_plain_word_is_a_word(
    webhook: WebhookScanner, answering: Answering, status: int, body: str, word: ScanState | None
) -> None:
    answering.status, answering.body = status, body
    answering.headers = {"Location": "/scan"} if status == 302 else {}
    assert await webhook.scan(announced(ManualClock().now(), ALICE), "http://store/x") is word
    assert len(answering.seen) == 1


async def test_a_scanner_that_is_away_gives_no_word() -> None:
    scanner = WebhookScanner("http://127.0.0.1:9/scan", SECRETS, ManualClock(), 5)
    await scanner.start()
    assert await scanner.scan(announced(ManualClock().now(), ALICE), "http://store/x") is None
    await scanner.stop()
