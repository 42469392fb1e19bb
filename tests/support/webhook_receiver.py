"""A receiver of webhooks that verifies as receivers do, and that can fail, hang, be slow, stop and come back."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


@dataclass(frozen=True)
class Request:
    """One webhook that came and was verified."""

    webhook_id: str
    said: Any
    signatures: int


def accept(_: Request) -> int:
    """Takes everything."""
    return 200


@dataclass
class Receiver:
    """`answer` gives the status, or 0 to hang until the sender goes away."""

    secret: str = SECRET
    answer: Callable[[Request], int] = accept
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    # All that came, and what of it was answered with 200, in order.
    came: list[Request] = field(default_factory=list)
    taken: list[Request] = field(default_factory=list)
    # The ids of those that were not ours.
    disbelieved: list[str] = field(default_factory=list)
    _port: int = 0
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where to send."""
        return f"http://127.0.0.1:{self._port}/hook"

    async def start(self) -> None:
        """Listen, after a stop at the same port again."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/hook", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Refuse connections, as a receiver that restarts. Idempotent."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            said = Webhook(self.secret).verify(body, dict(request.headers))
        except WebhookVerificationError:
            self.disbelieved.append(request.headers.get("webhook-id", ""))
            # And so answers 500.
            raise
        signatures = len(request.headers["webhook-signature"].split(" "))
        came = Request(request.headers["webhook-id"], said, signatures)
        self.came.append(came)
        status = self.answer(came)
        if not status:
            await asyncio.Event().wait()
        if status == 200:
            self.taken.append(came)
        return web.Response(status=status, headers=self.headers, body=self.body)

    def first_times(self, path: Callable[[Any], str], key: str) -> list[str]:
        """The ids of what was taken of one key, by when each was taken first."""
        return list(dict.fromkeys(one.webhook_id for one in self.taken if path(one.said) == key))
