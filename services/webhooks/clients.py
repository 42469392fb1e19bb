"""Requests to endpoints. Their addresses are the operators': nothing that people send leads anywhere."""

from contextlib import suppress

import aiohttp

from services.runtime.backoff import retry_after_s
from services.runtime.clock import Clock
from services.runtime.http.reading import BodyTooLarge, read_bounded
from services.runtime.http.webhooks import signed_headers
from services.webhooks.core.attempts import Answer
from services.webhooks.core.filters import body_for
from services.webhooks.core.model import Delivery, Endpoint

# Of an answer's body, which says nothing to us: it is read so that the connection can serve again.
MAX_ANSWER_BYTES = 16 * 1024
USER_AGENT = "Parley-Webhooks"


class HttpPost:
    """See ports.Post. `clock` is the database's, so that a host's wrong clock signs no time that receivers refuse."""

    name = "webhooks-http"

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        # How many there are at once, each endpoint's setting says.
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT},
        )

    async def stop(self) -> None:
        if self._session:
            await self._session.close()

    async def post(self, endpoint: Endpoint, delivery: Delivery) -> Answer:
        """See ports.Post."""
        assert self._session
        timestamp_s = int(self._clock.now().timestamp())
        body = body_for(endpoint, delivery)
        headers = signed_headers(endpoint.secrets, delivery.webhook_id, timestamp_s, body)
        try:
            async with self._session.post(endpoint.url, data=body, headers=headers, allow_redirects=False) as response:
                # The status is the answer, whatever becomes of the rest.
                with suppress(aiohttp.ClientError, TimeoutError, BodyTooLarge):
                    await read_bounded(response, MAX_ANSWER_BYTES)
                return Answer(response.status, retry_after_s(response.headers.get("Retry-After")))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            # ValueError: an address that only the resolver or the connection finds fault with.
            return Answer(None)
