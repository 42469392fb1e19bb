"""A bot that hears by its event stream, as any device does, and answers: python echo_by_stream.py BOT [URL]."""

from __future__ import annotations

import asyncio
import sys

from parley_client import ParleyClient, dev_tokens


async def echo(me: str, url: str) -> None:
    """Answers whatever was not read yet, then whatever comes, until it is stopped."""
    # In production, a function of yours in place of dev_tokens, which brings your network's token for the bot.
    async with ParleyClient(me, tokens=dev_tokens(me, url), base_url=url) as bot:
        print(f"{me} listens", flush=True)
        async for message in bot.messages():
            if message.text is None:
                # A voice message, or the record of a call.
                continue
            # A bot that is killed hears its last message again: under this id it is answered once all the same.
            answer_id = f"re-{message.message_id}"
            await bot.messaging.send(message.conversation_id, f"You said: {message.text}", client_message_id=answer_id)


if __name__ == "__main__":
    asyncio.run(echo(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:8080"))
