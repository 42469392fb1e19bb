"""The scanner of the deployment, as a signed webhook that answers with its verdict.

POST {"attachment_id", "file_name", "content_type", "size_bytes", "etag", "url"}, and "sha256" (hex) where it is known;
the answer is 200 and {"verdict": "clean"} or {"verdict": "refused"}. Everything else is no verdict.
"""

import json
from collections.abc import Sequence

import aiohttp
import structlog

from services.messaging.attachments.core.uploads import ScanState, Upload
from services.runtime.clock import Clock
from services.runtime.http.reading import BodyTooLarge, read_bounded
from services.runtime.http.webhooks import headers_as_before, signed_headers

log = structlog.get_logger()

# A longer answer is no verdict.
MAX_ANSWER_BYTES = 4096
_VERDICTS = {"clean": ScanState.CLEAN, "refused": ScanState.REFUSED}


class WebhookScanner:
    """See ports.Scanner. The address is the deployment's: nothing that people send leads elsewhere."""

    name = "scanner"

    def __init__(self, url: str, secrets: Sequence[bytes], clock: Clock, timeout_s: float) -> None:
        self._url = url
        self._secrets = secrets
        self._clock = clock
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._timeout_s))

    async def stop(self) -> None:
        if self._session:
            await self._session.close()

    async def scan(self, upload: Upload, url: str) -> ScanState | None:
        assert self._session
        body = _body(upload, url)
        at_s = int(self._clock.now().timestamp())
        headers = headers_as_before(self._secrets, at_s, body)
        headers |= signed_headers(self._secrets, str(upload.attachment.id), at_s, body)
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                answer = await read_bounded(response, MAX_ANSWER_BYTES)
                verdict = _verdict(answer) if response.status == 200 else None
                problem = f"status {response.status}"
        except (aiohttp.ClientError, TimeoutError, BodyTooLarge) as error:
            verdict, problem = None, type(error).__name__
        if verdict is None:
            log.warning("scanner_gave_no_word", attachment_id=str(upload.attachment.id), problem=problem)
        return verdict


def _body(upload: Upload, url: str) -> bytes:
    attachment = upload.attachment
    request = {
        "attachment_id": str(attachment.id),
        "file_name": attachment.file_name,
        "content_type": attachment.content_type,
        "size_bytes": attachment.size_bytes,
        "etag": upload.etag,
        "url": url,
    }
    if upload.digest:
        request["sha256"] = upload.digest.hex()
    return json.dumps(request, separators=(",", ":")).encode()


def _verdict(answer: bytes) -> ScanState | None:
    try:
        body = json.loads(answer)
    except (ValueError, RecursionError):
        # No JSON, or nested without end.
        return None
    verdict = body.get("verdict") if isinstance(body, dict) else None
    return _VERDICTS.get(verdict) if isinstance(verdict, str) else None
