"""Requests to providers, over HTTP/2 where they speak it."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from services.push.core.attempts import Answer, Outcome, outcome_of
from services.runtime.backoff import retry_after_s

# Of an answer, which holds a word or two. Raising it reads more of what a provider says; lowering it may cut a reason.
MAX_ANSWER_BYTES = 16 * 1024
# To one provider; over one of HTTP/2 go hundreds of requests at once. Raising it sends more at once by HTTP/1.1;
# lowering it makes what a slow host holds up wait in us.
MAX_CONNECTIONS = 32
# Raising it keeps idle connections; lowering it makes more handshakes, which providers take for an attack.
KEEP_ALIVE_S = 300.0


@dataclass(frozen=True)
class Response:
    """`status` is 0 when nothing came back, or not in time."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def retry_after_s(self) -> float | None:
        """How long the provider asks to be left alone."""
        return retry_after_s(self.headers.get("retry-after"))

    def answer(self, outcome: Outcome | None = None, reason: str = "") -> Answer:
        """What it means; by the status where the provider says no more."""
        return Answer(outcome or outcome_of(self.status), self.status, reason, self.retry_after_s)


class HttpClient:
    """A part of the service, one for each provider, so that none waits for another's connections.

    It follows no redirection, takes no proxy from the environment, and asks for nothing but what it is told to.
    """

    def __init__(self, name: str, timeout_s: float, ca_file: str = "") -> None:
        self.name = f"push-http-{name}"
        self._timeout_s = timeout_s
        self._ca_file = ca_file
        self._client: httpx.AsyncClient | None = None

    async def start(self) -> None:
        context = ssl.create_default_context(cafile=self._ca_file or None)
        self._client = httpx.AsyncClient(
            http2=True,
            verify=context,
            timeout=httpx.Timeout(self._timeout_s),
            limits=httpx.Limits(
                max_connections=MAX_CONNECTIONS,
                max_keepalive_connections=MAX_CONNECTIONS,
                keepalive_expiry=KEEP_ALIVE_S,
            ),
            follow_redirects=False,
            trust_env=False,
        )

    async def stop(self) -> None:
        if self._client:
            await self._client.aclose()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        """What came back. Never raises for what the other side does."""
        assert self._client
        try:
            async with self._client.stream("POST", url, headers=dict(headers), content=body) as response:
                # The status is the answer, whatever becomes of the rest.
                return Response(response.status_code, dict(response.headers), await _beginning(response))
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError):
            return Response(0)


async def _beginning(response: httpx.Response) -> bytes:
    body = b""
    try:
        async for part in response.aiter_raw():
            body += part
            if len(body) > MAX_ANSWER_BYTES:
                break
    except (httpx.HTTPError, httpx.StreamError):
        pass
    return body[:MAX_ANSWER_BYTES]
