"""An S3-compatible object store: addresses signed with Signature Version 4 (query form), and plain HTTP on the same.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html; buckets are addressed by path.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from aiohttp import hdrs
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from yarl import URL

from services.messaging.attachments.core.file_types import HEAD_BYTES
from services.messaging.attachments.core.uploads import Stored, stored_size
from services.messaging.attachments.ports import SignedPut
from services.messaging.config import ObjectsConfig
from services.messaging.kernel.errors import ObjectsUnavailable
from services.runtime.clock import Clock
from services.runtime.http.reading import read_beginning
from services.runtime.ids import new_id

# Of one of our own requests. Raising it lets a stuck store hold up sends for longer; lowering it takes a slow store for
# a dead one.
TIMEOUT_S = 5.0
# Our own requests are made at once; this is for clocks that differ.
OWN_TTL = timedelta(minutes=5)
# Read at once for a digest. Raising it holds up other work of the replica for longer at a time; lowering it makes large
# files take longer.
DIGEST_CHUNK = 256 * 1024
OK, NO_CONTENT, PARTIAL, NOT_FOUND, CONFLICT, THERE_ALREADY, NO_SUCH_RANGE = 200, 204, 206, 404, 409, 412, 416
ONLY_NEW = {"if-none-match": "*"}


class S3Objects:
    """See ports.ObjectStore. One connection pool; `stop` closes it. What is signed is signed at the clock's time."""

    name = "objects"
    # Texts are sent without it.
    essential = False
    # Raising it tells of an outage later; lowering it asks the store more while nothing happens.
    ready_interval_s = 10.0

    def __init__(self, config: ObjectsConfig, clock: Clock, timeout_s: float = TIMEOUT_S) -> None:
        self._config = config
        self._clock = clock
        self._timeout_s = timeout_s
        self._credentials = Credentials(config.key_id, config.secret)
        self._session: aiohttp.ClientSession | None = None
        self._is_write_once: bool | None = None

    async def start(self) -> None:
        self._open()

    async def stop(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    async def ready(self) -> bool:
        # Any answer of the store to an object that is not there: it needs no right to list the bucket.
        try:
            await self.size_of("probe")
        except ObjectsUnavailable:
            return False
        return True

    def sign_put(self, key: str, content_type: str, size_bytes: int, ttl: timedelta) -> SignedPut:
        headers = {"content-type": content_type, **ONLY_NEW}
        # Every client sends the length by itself; browsers let nobody else set it.
        signed = {**headers, "content-length": str(size_bytes)}
        return SignedPut(self._sign("PUT", self._config.public_endpoint, key, ttl, signed), headers)

    def sign_get(self, key: str, ttl: timedelta, *, content_type: str, disposition: str) -> str:
        query = {"response-content-type": content_type, "response-content-disposition": disposition}
        return self._sign("GET", self._config.public_endpoint, key, ttl, {}, query)

    def sign_read(self, key: str, ttl: timedelta) -> str:
        return self._sign("GET", self._config.endpoint, key, ttl, {})

    async def size_of(self, key: str) -> int | None:
        status, headers, _ = await self._ask("HEAD", key)
        if status == NOT_FOUND:
            return None
        if status != OK:
            raise ObjectsUnavailable(f"the object store answered {status} to HEAD")
        return stored_size(headers.get(hdrs.CONTENT_LENGTH, ""))

    async def digest_of(self, key: str, timeout: timedelta) -> bytes:
        url = self._sign("GET", self._config.endpoint, key, OWN_TTL + timeout, {})
        limit, digest = aiohttp.ClientTimeout(total=timeout.total_seconds()), sha256()
        try:
            async with self._open().get(URL(url, encoded=True), timeout=limit) as response:
                if response.status != OK:
                    raise ObjectsUnavailable(f"the object store answered {response.status} to GET")
                async for chunk in response.content.iter_chunked(DIGEST_CHUNK):
                    digest.update(chunk)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ObjectsUnavailable("the object store cannot be reached") from error
        return digest.digest()

    async def look_at(self, key: str) -> Stored | None:
        await self._require_write_once()
        status, headers, head = await self._ask("GET", key, {"range": f"bytes=0-{HEAD_BYTES - 1}"})
        etag = headers.get(hdrs.ETAG, "")
        if status == NOT_FOUND:
            return None
        if status == NO_SUCH_RANGE:
            return Stored(0, etag, b"")
        if status == PARTIAL:
            return Stored(stored_size(headers.get(hdrs.CONTENT_RANGE, "")), etag, head)
        if status == OK:
            return Stored(stored_size(headers.get(hdrs.CONTENT_LENGTH, "")), etag, head)
        raise ObjectsUnavailable(f"the object store answered {status} to GET")

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        headers = {"content-type": content_type, "content-length": str(len(data))}
        status, _, _ = await self._ask("PUT", key, headers, data)
        if status != OK:
            raise ObjectsUnavailable(f"the object store answered {status} to PUT")

    async def delete(self, key: str) -> None:
        status, _, _ = await self._ask("DELETE", key)
        if status not in (OK, NO_CONTENT, NOT_FOUND):
            raise ObjectsUnavailable(f"the object store answered {status} to DELETE")

    async def _require_write_once(self) -> None:
        """Whether an address that takes an object once does so: what was looked at could else be put anew.

        Tried out once, with an object of our own.
        """
        if self._is_write_once is None:
            key = f"probes/{new_id(self._clock.now())}"
            tries = [await self._ask("PUT", key, {"content-length": "1", **ONLY_NEW}, b"x") for _ in range(2)]
            await self.delete(key)
            first, second = (status for status, _, _ in tries)
            if first != OK or second not in (OK, CONFLICT, THERE_ALREADY):
                raise ObjectsUnavailable(f"the object store answered {first} and {second} to PUT")
            self._is_write_once = second != OK
        if not self._is_write_once:
            raise ObjectsUnavailable("the object store does not know If-None-Match: what was sent could be exchanged")

    async def _ask(
        self, method: str, key: str, headers: dict[str, str] | None = None, data: bytes | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status and headers of the answer, and of what is got at most the first HEAD_BYTES."""
        url = self._sign(method, self._config.endpoint, key, OWN_TTL, headers or {})
        try:
            # The address is signed as it stands: it must not be encoded once more.
            async with self._open().request(method, URL(url, encoded=True), headers=headers, data=data) as response:
                head = await read_beginning(response, HEAD_BYTES) if method == "GET" else b""
                return response.status, response.headers, head
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ObjectsUnavailable("the object store cannot be reached") from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._timeout_s))
        return self._session

    def _sign(
        self,
        method: str,
        endpoint: str,
        key: str,
        ttl: timedelta,
        headers: dict[str, str],
        query: dict[str, str] | None = None,
    ) -> str:
        url = f"{endpoint}/{self._config.bucket}/{quote(key)}"
        if query:
            url += f"?{urlencode(query, quote_via=quote)}"
        request = AWSRequest(method, url, headers=headers)
        expires_s = int(ttl.total_seconds())
        _Signature(self._credentials, "s3", self._config.region, expires_s).sign(request, self._clock.now())
        return str(request.url)


class _Signature(S3SigV4QueryAuth):  # type: ignore[misc]
    """The library's signature, at a time that is given: it takes the host's by itself."""

    def sign(self, request: Any, now: datetime) -> None:
        request.context["timestamp"] = now.strftime("%Y%m%dT%H%M%SZ")
        self._modify_request_before_signing(request)
        to_sign = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(to_sign, request))
