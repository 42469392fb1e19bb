"""The network's own server: it takes the webhooks of a run, now and then only at the second attempt."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.checker.history import Hook
from tests.faults.checker.receiving import Receiving
from tests.support.webhook_receiver import SECRET

EVENTS = ("message.*", "call.*", "account.*")


class Listener(Receiving[Hook]):
    """One endpoint of the stack, under a name that no run before had. `clock`: seconds since the run began."""

    def __init__(self, name: str, random: Random, clock: Callable[[], float]) -> None:
        super().__init__(read, random, clock)
        self._name = name

    @asynccontextmanager
    async def open(self, endpoints_file: Path) -> AsyncIterator[None]:
        """It is told of all that happens during the block."""
        await self._receiver.start()
        try:
            endpoint = {"name": self._name, "url": self._receiver.url, "secrets": [SECRET], "events": EVENTS}
            _write(endpoints_file, [endpoint])
            yield
        finally:
            _write(endpoints_file, [])
            await self._receiver.stop()

    def about(self, keys: Collection[str]) -> Iterator[Hook]:
        """What was taken about these conversations, calls and people, in the order in which it was taken."""
        return (hook for hook in self._taken if hook.about in keys)


def read(webhook_id: str, said: Any, at_s: float) -> Hook:
    """What the checker keeps of a webhook's body."""
    data, type_ = said["data"], said["type"]
    match type_.partition(".")[0]:
        case "message":
            message = (data.get("messageSent") or data.get("messageChanged"))["message"]
            place, revision = int(message["seq"]), int(message.get("revision", 0))
            sender, subject = message.get("senderId", ""), message.get("clientMessageId", "")
            return Hook(webhook_id, type_, data["conversationId"], place, revision, sender, subject, at_s=at_s)
        case "call":
            version = int(data["callChanged"]["call"].get("version", 0))
            return Hook(webhook_id, type_, data["callId"], version, at_s=at_s)
        case _:
            return Hook(webhook_id, type_, data["userId"], at_s=at_s)


def _write(file: Path, endpoints: list[dict[str, Any]]) -> None:
    """At once: the service reads it whenever it has changed."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps({"endpoints": endpoints}))
    new.chmod(0o600)
    new.replace(file)
