"""What is on its way to which device, and the check of what each stream brought. Pure: time is an argument."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

# A device that is online and has not got it by then has lost it, unless a Sync brought it.
LATE_S = 30.0


@dataclass(frozen=True)
class Missing:
    """A message that a device which was there all the time was not told of by its stream."""

    device: str
    client_message_id: str
    due_s: float


@dataclass
class OnTheirWay:
    """Messages that are awaited, by device. `acknowledged`: (client_message_id, seq) by conversation."""

    acknowledged: dict[str, list[tuple[str, int]]] = field(default_factory=lambda: defaultdict(list))
    _awaited: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    _places: dict[str, tuple[str, int]] = field(default_factory=dict)

    def send(self, client_message_id: str, due_s: float, devices: Iterable[str]) -> None:
        """A message is due; these devices are there, and are to get it."""
        for device in devices:
            self._awaited[device][client_message_id] = due_s

    def acknowledge(self, client_message_id: str, conversation_id: str, seq: int) -> None:
        """The message is stored."""
        self.acknowledged[conversation_id].append((client_message_id, seq))
        self._places[client_message_id] = (conversation_id, seq)

    def give_up(self, client_message_id: str) -> None:
        """The send was refused: nobody is to get it."""
        for awaited in self._awaited.values():
            awaited.pop(client_message_id, None)

    def place_of(self, client_message_id: str) -> tuple[str, int] | None:
        """Conversation and seq of a message that was acknowledged."""
        return self._places.get(client_message_id)

    def arrive(self, device: str, client_message_id: str) -> float | None:
        """A stream brought it. When it was due; None when this device was not there then, or has it already."""
        return self._awaited[device].pop(client_message_id, None)

    def leave(self, device: str, now_s: float) -> list[Missing]:
        """A device goes. What it has waited for in vain; of what is on its way nobody knows whether it would come."""
        awaited = self._awaited.pop(device, {})
        return [
            Missing(device, key, due_s)
            for key, due_s in awaited.items()
            if now_s - due_s > LATE_S and key in self._places
        ]

    def devices(self) -> list[str]:
        """Those that wait for something."""
        return [device for device, awaited in self._awaited.items() if awaited]


@dataclass
class StreamCheck:
    """One stream of one device: each copy of a message once, and new messages in order."""

    doubled: int = 0
    reordered: int = 0
    _seen: set[tuple[str, int, int]] = field(default_factory=set)
    _highest: dict[str, int] = field(default_factory=dict)

    def begin(self) -> None:
        """The stream starts afresh: what it brings from now on is told anew."""
        self._seen.clear()
        self._highest.clear()

    def take(self, conversation_id: str, seq: int, revision: int) -> bool:
        """A message came, or a newer copy of one. Whether it is a message that the stream had not brought yet."""
        key = (conversation_id, seq, revision)
        if key in self._seen:
            self.doubled += 1
            return False
        self._seen.add(key)
        if revision:
            return False
        highest = self._highest.get(conversation_id, 0)
        self.reordered += seq < highest
        self._highest[conversation_id] = max(seq, highest)
        return True


@dataclass
class TypingNotices:
    """Who is to see whom type: the first notice of a burst, on each device of the others."""

    _awaited: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)

    def is_awaited(self, conversation_id: str, user_id: str) -> bool:
        """Whether the person types already."""
        return (conversation_id, user_id) in self._awaited

    def begin(self, conversation_id: str, user_id: str, due_s: float, devices: Iterable[str]) -> None:
        """Somebody begins to type."""
        self._awaited[conversation_id, user_id] = dict.fromkeys(devices, due_s)

    def see(self, conversation_id: str, user_id: str, device: str) -> float | None:
        """A device was told. When the typing was due, the first time."""
        return self._awaited.get((conversation_id, user_id), {}).pop(device, None)

    def end(self, conversation_id: str, user_id: str) -> list[float]:
        """The message is sent. When the typing was due, for each device that has not seen it."""
        return list(self._awaited.pop((conversation_id, user_id), {}).values())

    def stop(self, user_id: str) -> None:
        """The person goes, whatever was being typed."""
        for key in [key for key in self._awaited if key[1] == user_id]:
            del self._awaited[key]

    def leave(self, device: str) -> None:
        """The device goes."""
        for awaited in self._awaited.values():
            awaited.pop(device, None)
