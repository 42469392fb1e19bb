"""The network's public keys (RFC 7517): what is known serves at once, one task refreshes it in the background."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import jwt
import structlog

from services.runtime import tasks
from services.runtime.clock import Clock
from services.runtime.errors import KeysUnavailable
from services.runtime.http.reading import read_bounded
from services.runtime.observability import metrics

log = structlog.get_logger()

# The promise: a key that the network has withdrawn serves nobody for longer than this, as long as its address answers.
# Raising it asks the network less often; lowering it makes an outage of its address a matter of everyone sooner.
JWKS_MAX_AGE_S = 600.0
# From this age on, keys that are used are fetched again in the background. At most half of the promise, so that a
# failed fetch has the time to be made good.
JWKS_REFRESH_S = JWKS_MAX_AGE_S / 2
# An unknown key id, or a fetch that failed, causes a fetch at most this often. Raising it makes a new key known later;
# lowering it lets forged ids cause load.
JWKS_MIN_INTERVAL_S = 2.0
# Of one fetch, to the last byte. Raising it lets a token of an unknown key wait longer; lowering it fails slow answers.
JWKS_TIMEOUT_S = 5.0
# Keys older than the promise, because nobody came for so long, are waited for this long before they serve. Raising it
# lets a network that hangs cost the first callers more; lowering it lets a withdrawn key serve until the answer comes.
OVERDUE_WAIT_S = 0.2
# A key takes about 400 bytes.
JWKS_MAX_BYTES = 256 * 1024

FetchJwks = Callable[[], Awaitable[dict[str, Any]]]


class JwksKeys:
    """Public keys by key id. While the address does not answer, the keys that it gave last go on to serve."""

    def __init__(self, fetch: FetchJwks, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, tuple[dict[str, Any], jwt.PyJWK]] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._failed = False
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> jwt.PyJWK | None:
        """The key, or None when the network does not have it; the same object as long as the key is the same.

        Raises KeysUnavailable when the key is not known and the network cannot be asked.
        """
        if key_id in self._keys:
            if self._is_older(self._fetched_at, JWKS_REFRESH_S):
                await self._refresh_known()
        elif task := self._refresh():
            # Whoever gives up does not take the fetch away from the others.
            await asyncio.shield(task)
        known = self._keys.get(key_id)
        if known:
            return known[1]
        if self._failed:
            raise KeysUnavailable("the network's keys cannot be fetched now")
        return None

    async def _refresh_known(self) -> None:
        task = self._refresh()
        if task and not self._failed and self._is_older(self._fetched_at, JWKS_MAX_AGE_S):
            await asyncio.wait({task}, timeout=OVERDUE_WAIT_S)
            # Who hangs is waited for once, not by every call until the fetch has timed out.
            self._failed = self._failed or not task.done()

    def _refresh(self) -> asyncio.Task[None] | None:
        """The fetch that is under way, or a new one unless the last was just now."""
        if self._refreshing is None and self._is_older(self._tried_at, JWKS_MIN_INTERVAL_S):
            self._tried_at = self._clock.monotonic()
            self._refreshing = tasks.detached(self._load(), why="one fetch, which has a limit of time", name="jwks")
        return self._refreshing

    def _is_older(self, instant: float | None, age_s: float) -> bool:
        return instant is None or self._clock.monotonic() - instant >= age_s

    async def _load(self) -> None:
        try:
            self._keys = self._read(await self._fetch())
            self._fetched_at = self._clock.monotonic()
            self._failed = False
            metrics.JWKS_FETCHES.labels("ok").inc()
        # Whatever the address answers, or does not: its document is not ours, and what is known must serve on.
        except Exception as error:
            self._failed = True
            metrics.JWKS_FETCHES.labels("failed").inc()
            log.warning("jwks_fetch_failed", error=type(error).__name__)
        finally:
            self._refreshing = None

    def _read(self, document: Any) -> dict[str, tuple[dict[str, Any], jwt.PyJWK]]:
        """The usable keys of a set; an empty set is an answer too. Raises ValueError for what is no set of keys."""
        entries = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError("not a JWK set")
        keys = {}
        for entry in entries:
            key_id = entry.get("kid")
            if not isinstance(key_id, str) or not key_id:
                continue
            known = self._keys.get(key_id)
            try:
                keys[key_id] = known if known and known[0] == entry else (entry, jwt.PyJWK(entry))
            except (jwt.PyJWTError, ValueError, TypeError, KeyError):
                # A key of a kind that we do not take is for somebody else.
                log.info("jwks_key_skipped", key_type=str(entry.get("kty"))[:16])
        return keys


def http_jwks(url: str, timeout_s: float = JWKS_TIMEOUT_S) -> FetchJwks:
    """A fetch of the JWKS address. Raises aiohttp.ClientError, TimeoutError, ValueError."""

    async def fetch() -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            response.raise_for_status()
            document: dict[str, Any] = json.loads(await read_bounded(response, JWKS_MAX_BYTES))
            return document

    return fetch
