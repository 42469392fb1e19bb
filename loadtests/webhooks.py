"""Receivers on this machine, made known to a running stack for a while: of webhooks, and of notices."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError


class Heard:
    """The events that came, verified, each once by its webhook-id, in order."""

    def __init__(self, secret: str) -> None:
        self._webhook = Webhook(secret)
        self._ids: set[str] = set()
        self._came = asyncio.Event()
        self.events: list[dict[str, Any]] = []

    async def receive(self, request: web.Request) -> web.Response:
        """The handler."""
        try:
            event = self._webhook.verify(await request.read(), dict(request.headers))
        except WebhookVerificationError:
            return web.Response(status=401)
        if (webhook_id := request.headers["webhook-id"]) not in self._ids:
            self._ids.add(webhook_id)
            self.events.append(event)
            self._came.set()
        return web.Response(status=204)

    async def until(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Wait for what has come to be enough; whether it was in time."""
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            return False
        return True


@asynccontextmanager
async def receiver(webhooks_file: str, events: list[str]) -> AsyncIterator[Heard]:
    """Listens, with an endpoint in the stack's file for the length of the block."""
    async with (
        _listening() as (heard, url, secret),
        endpoint(webhooks_file, {"url": url, "secrets": [secret], "events": events}),
    ):
        yield heard


@asynccontextmanager
async def endpoint(webhooks_file: str, told: dict[str, Any]) -> AsyncIterator[None]:
    """An endpoint in the stack's file for the length of the block, under a name of its own."""
    name = f"demo-{secrets.token_hex(4)}"

    def put(found: dict[str, Any] | None) -> None:
        def change(document: Any) -> Any:
            others = [one for one in document["endpoints"] if one["name"] != name]
            return {"endpoints": [*others, *([found] if found else [])]}

        _rewrite(Path(webhooks_file), change)

    try:
        await asyncio.to_thread(put, {"name": name, **told})
        yield
    finally:
        await asyncio.to_thread(put, None)


@asynccontextmanager
async def notice_receiver(providers_file: str) -> AsyncIterator[Heard]:
    """Listens as the network's own sender of notices, for the length of the block."""
    async with _listening() as (heard, url, secret):
        with provider_part(providers_file, "network", {"url": url, "secrets": [secret]}):
            yield heard


@contextmanager
def provider_part(providers_file: str, name: str, part: dict[str, Any]) -> Iterator[None]:
    """This provider is as `part` says for the length of the block; then as it was before."""
    path = Path(providers_file)
    before = json.loads(path.read_text()).get(name)

    def put(value: dict[str, Any] | None) -> None:
        _rewrite(path, lambda parts: {key: one for key, one in {**parts, name: value}.items() if one is not None})

    put(part)
    try:
        yield
    finally:
        put(before)


@asynccontextmanager
async def _listening() -> AsyncIterator[tuple[Heard, str, str]]:
    """What has been heard, where, and by which secret it is signed."""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    heard = Heard(secret)
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/", heard.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield heard, f"http://127.0.0.1:{runner.addresses[0][1]}/", secret
    finally:
        await runner.cleanup()


def _rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    """What one changes in it leaves the rest as others have it."""
    with _locked(path):
        document = change(json.loads(path.read_text()))
        unfinished = path.with_suffix(".unfinished")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(document, file, indent=2)
        # At once: the service never reads half of it.
        unfinished.replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
