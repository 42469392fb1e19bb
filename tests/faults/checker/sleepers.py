"""Devices that sleep, and who tells them: the network's own sender, now and then only at the second attempt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from parley.notifications.v1 import service_pb2 as api

from loadtests.webhooks import provider_part
from parley_client.client import Device
from tests.faults.checker.history import Notice, Sleeper
from tests.faults.checker.receiving import Receiving
from tests.support.webhook_receiver import SECRET


class Messenger(Receiving[Notice]):
    """What the stack has sent to devices that sleep, of all towns. `clock`: seconds since the run began."""

    def __init__(self, random: Random, clock: Callable[[], float]) -> None:
        super().__init__(read, random, clock)

    @asynccontextmanager
    async def open(self, providers_file: str) -> AsyncIterator[None]:
        """The stack sends by it during the block."""
        await self._receiver.start()
        try:
            with provider_part(providers_file, "network", {"url": self._receiver.url, "secrets": [SECRET]}):
                yield
        finally:
            await self._receiver.stop()

    async def tell(self, device: Device) -> Sleeper:
        """Another device of the same owner, which is told by us from now on."""
        name = f"{device.user_id}-asleep"
        request = api.RegisterTokenRequest(device_id=name, provider=api.PROVIDER_NETWORK, token=name)
        await device.notifications.RegisterToken(request)
        return Sleeper(device.user_id, name, self._clock())

    def to(self, people: Collection[str]) -> Iterator[Notice]:
        """What was taken for these, in the order in which it was taken."""
        return (notice for notice in self._taken if notice.person in people)


def read(webhook_id: str, said: Any, at_s: float) -> Notice:
    """What the checker keeps of what a device is sent."""
    data = said["data"]
    notice = data["notice"]
    return Notice(
        webhook_id,
        data["user_id"],
        data["device_id"],
        notice["thread"],
        notice["version"],
        kind=notice.get("kind", ""),
        seq=notice.get("seq", 0),
        sender=notice.get("from_user_id", ""),
        text=notice.get("text", ""),
        at_s=at_s,
    )
