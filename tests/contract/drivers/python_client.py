"""The driver of the Python client: a reference for drivers of other clients with a library."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from parley_client import Entry, Failure, ParleyClient, dev_tokens

Command = dict[str, Any]


class Driver:
    """Commands by their names."""

    def __init__(self) -> None:
        self._client: ParleyClient | None = None

    async def start(self, given: Command) -> Command:
        """A new client of this user and device, in sync."""
        tokens = dev_tokens(given["user"], given["issuer"])
        self._client = ParleyClient(given["user"], tokens=tokens, base_url=given["url"], device_id=given["device"])
        await self._client.start()
        return {}

    async def stop(self, _given: Command) -> Command:
        """As a program that ends."""
        if self._client:
            await self._client.stop()
        self._client = None
        return {}

    async def state(self, _given: Command) -> Command:
        """live, connecting or ended."""
        stream = self._running.stream
        if stream.is_ended:
            return {"state": "ended", "reason": stream.end_reason}
        return {"state": "live" if stream.is_current else "connecting"}

    async def open(self, given: Command) -> Command:
        """The conversation with a person."""
        return {"conversation": await self._running.messaging.open_direct(given["peer"])}

    async def send(self, given: Command) -> Command:
        """Returns once it is acknowledged."""
        sent = await self._running.messaging.send(given["conversation"], given["text"], client_message_id=given["key"])
        return {"seq": sent.seq}

    async def edit(self, given: Command) -> Command:
        """One's own message."""
        await self._running.messaging.edit(given["conversation"], given["seq"], given["text"])
        return {}

    async def unsend(self, given: Command) -> Command:
        """One's own message."""
        await self._running.messaging.unsend(given["conversation"], given["seq"])
        return {}

    async def react(self, given: Command) -> Command:
        """With one emoji."""
        await self._running.messaging.react(given["conversation"], given["seq"], given["emoji"])
        return {}

    async def read(self, given: Command) -> Command:
        """Up to a message."""
        await self._running.messaging.mark_read(given["conversation"], given["seq"])
        return {}

    async def shown(self, given: Command) -> Command:
        """What a user would see of the conversation."""
        history = self._running.messaging.store.history(given["conversation"])
        return {"messages": [message(entry) for entry in history.shown]}

    @property
    def _running(self) -> ParleyClient:
        assert self._client, "it was not started"
        return self._client


def message(entry: Entry) -> Command:
    """As the contract looks at it."""
    reactions = {emoji: list(user_ids) for emoji, user_ids in entry.reactions}
    is_gone = entry.kind in ("unsent", "expired")
    return {"seq": entry.seq, "from": entry.sender_id, "text": entry.text, "gone": is_gone, "reactions": reactions}


async def main() -> None:
    """A command a line, until there are no more."""
    driver, loop = Driver(), asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        given = json.loads(line)
        command = getattr(driver, given["do"], None)
        answer: Command = {"n": given["n"]}
        try:
            answer |= {"done": await command(given)} if command else {"cannot": f"it has no command {given['do']}"}
        except Failure as failure:
            answer["refused"] = failure.reason or failure.code
        print(json.dumps(answer), flush=True)
    await driver.stop({})


if __name__ == "__main__":
    asyncio.run(main())
