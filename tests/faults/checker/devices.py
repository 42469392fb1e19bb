"""The devices of one person: they come and go, are asked through, and show what they were told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from parley_client.client import Device, Edge
from parley_client.entries import Entry
from parley_client.history import History
from parley_client.stream import BackOff, EventStream
from tests.faults.checker.asking import Recorder
from tests.faults.checker.history import Action, Arrival

# Of the newest messages that a device shows: what somebody does is about one of these. Raising it makes fewer people
# change the same message; lowering it makes a read cursor go back less often.
NEWEST = 20


@dataclass
class LiveDevice:
    """A device with its stream."""

    device: Device
    stream: EventStream


class Owner:
    """Who has devices, none once they are all closed. Everything that is asked goes through the recorder."""

    def __init__(
        self, edge: Edge, user_id: str, recorder: Recorder, random: Random, clock: Callable[[], float]
    ) -> None:
        self.user_id = user_id
        self.live: list[LiveDevice] = []
        self.arrivals: list[Arrival] = []
        self._edge = edge
        self._recorder = recorder
        self._random = random
        self._clock = clock

    @property
    def device(self) -> Device:
        """The first device."""
        return self.live[0].device

    async def open(self, name: str) -> LiveDevice:
        """A device that follows its event stream from nothing."""
        device = Device(self._edge, self.user_id, f"{self.user_id}-{name}")
        live = LiveDevice(device, await self._stream(device).__aenter__())
        self.live.append(live)
        return live

    async def close(self, live: LiveDevice) -> None:
        """The device is gone; what its stream brought is noted."""
        self.live.remove(live)
        self.arrivals += arrivals_of(live)
        await live.stream.__aexit__()
        await live.device.close()

    async def restart(self) -> None:
        """The app of one device is opened again, with nothing of what it had. What it asks goes on meanwhile."""
        if self.live:
            live = self._random.choice(self.live)
            self.arrivals += arrivals_of(live)
            await live.stream.__aexit__()
            live.stream = await self._stream(live.device).__aenter__()

    async def _ask(
        self, device: Device, action: Action, call: Callable[[], Awaitable[Any]], **about: Any
    ) -> Any | None:
        return await self._recorder.ask((self.user_id, device.device_id), action, call, **about)

    def _any(self, fits: Callable[[Entry], bool] = lambda _: True) -> tuple[Device, History, Entry] | None:
        """A message that one of the devices shows, of the newest."""
        if not self.live:
            return None
        live = self._random.choice(self.live)
        histories = [history for history in live.stream.inbox.conversations if history.shown]
        if not histories:
            return None
        history = self._random.choice(histories)
        entries = [entry for entry in history.shown[-NEWEST:] if fits(entry)]
        return (live.device, history, self._random.choice(entries)) if entries else None

    def _stream(self, device: Device) -> EventStream:
        return EventStream(device, BackOff(first_s=0.1, most_s=2.0), clock=self._clock)


def arrivals_of(live: LiveDevice) -> list[Arrival]:
    """What the stream of a device has brought."""
    person, device = live.device.user_id, live.device.device_id
    arrived = live.stream.inbox.message_arrived_s.items()
    run = str(id(live.stream))
    return [Arrival(person, device, conversation, seq, at_s, run) for (conversation, seq), at_s in arrived]
