"""A receiver of webhooks. `pip install aiohttp standardwebhooks`, then `WEBHOOK_SECRET=whsec_… python receiver.py`."""

import os

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

WEBHOOK = Webhook(os.environ["WEBHOOK_SECRET"])
SEEN: set[str] = set()  # Yours is a table with a unique key, in the transaction that keeps the event.


async def receive(request: web.Request) -> web.Response:
    try:
        event = WEBHOOK.verify(await request.read(), dict(request.headers))
    except WebhookVerificationError:
        return web.Response(status=401)
    if (webhook_id := request.headers["webhook-id"]) not in SEEN:
        SEEN.add(webhook_id)
        print(event["timestamp"], event["type"], event["data"], flush=True)  # noqa: T201
    return web.Response(status=204)


app = web.Application()
app.router.add_post("/", receive)
if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(os.environ.get("PORT", "9999")))
