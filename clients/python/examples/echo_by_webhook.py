"""A bot that hears by webhooks and answers by the server API, with a key in place of a login.

`pip install aiohttp standardwebhooks`, and parley-client[server]. docs/start/first-bot.md says how to run it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import grpc
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from parley_client.error_details import retry_delay_s
from parley_client.server import ServerClient

BOT = os.environ["BOT"]
WEBHOOK = Webhook(os.environ["WEBHOOK_SECRET"])
SERVER = web.AppKey("server", ServerClient)


async def receive(request: web.Request) -> web.Response:
    """Takes an event. What is answered with 503 comes again."""
    try:
        event = WEBHOOK.verify(await request.read(), dict(request.headers))
    except WebhookVerificationError:
        return web.Response(status=401)
    message = message_for_the_bot(event)
    if message is None:
        return web.Response(status=204)
    try:
        # An event may come twice: under this id it is answered once.
        await request.app[SERVER].send_text(
            BOT,
            message["conversationId"],
            f"You said: {message['text']['text']}",
            client_message_id=f"re-{message['messageId']}",
        )
    except grpc.aio.AioRpcError as error:
        is_passing = retry_delay_s(error) > 0 or error.code() is grpc.StatusCode.UNAVAILABLE
        return web.Response(status=503 if is_passing else 204)
    return web.Response(status=204)


def message_for_the_bot(event: dict[str, Any]) -> dict[str, Any] | None:
    """The text that somebody wrote to the bot alone, if the event tells of one."""
    data = event["data"]
    message: dict[str, Any] = data.get("messageSent", {}).get("message", {})
    is_heard = BOT in data.get("directUserIds", []) and message.get("senderId") != BOT
    return message if is_heard and message.get("text", {}).get("text") else None


async def with_server(app: web.Application) -> AsyncIterator[None]:
    """The connection to Parley, for as long as this program runs."""
    async with ServerClient(os.environ["PARLEY"], os.environ["KEY_FILE"], os.environ["KEY_NAME"]) as server:
        app[SERVER] = server
        yield


def build() -> web.Application:
    """The program, not started."""
    app = web.Application()
    app.router.add_post("/", receive)
    app.cleanup_ctx.append(with_server)
    return app


if __name__ == "__main__":
    web.run_app(build(), host="127.0.0.1", port=int(os.environ.get("PORT", "9998")))
