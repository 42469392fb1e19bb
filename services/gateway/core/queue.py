"""The frames that wait for one device, and those that can be sent again. `now` is monotonic seconds."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

# Field 2 of SubscribeResponse, a varint: appended to a serialized message it sets the field.
_POSITION_TAG = b"\x10"


@dataclass(frozen=True)
class QueueLimits:
    """Bounds for one device. Raising them takes more memory for slow devices; lowering them cuts slow devices off, or
    makes them sync, earlier."""

    frames: int
    bytes_: int
    # What is kept of what was written, and while the device is away.
    replay_frames: int
    replay_bytes: int


class Entry(NamedTuple):
    """A durable frame, its position, and when it came."""

    position: int
    frame: bytes
    at: float


class DeviceQueue:
    """What waits for one device: bounded; durable frames in order and numbered, of the ephemeral only the latest of
    each key, and these are dropped first.

    When a durable frame finds no room, `overflowed` is set, and it and what waits is handed back as lost: the device
    must sync. What was written is kept for a while, so that a stream that broke can go on.
    Every device has a queue, so one in which nothing waits holds no containers.
    """

    __slots__ = (
        "_control",
        "_latest",
        "_limits",
        "_lost_from",
        "_sent",
        "_sent_bytes",
        "_unsent",
        "_unsent_bytes",
        "detached",
        "dropped_ephemeral",
        "position",
    )

    def __init__(self, limits: QueueLimits) -> None:
        self._limits = limits
        self._control: list[bytes] | None = None
        self._unsent: deque[Entry] | None = None
        self._unsent_bytes = 0
        self._sent: deque[Entry] | None = None
        self._sent_bytes = 0
        self._latest: dict[str, bytes] | None = None
        # The position of the first frame that was lost; 0 while none is.
        self._lost_from = 0
        # Of the newest durable frame.
        self.position = 0
        # Nobody reads: only what is durable is kept, and not much of it.
        self.detached = False
        self.dropped_ephemeral = 0

    def __len__(self) -> int:
        return len(self._control or ()) + len(self._unsent or ()) + len(self._latest or ())

    @property
    def overflowed(self) -> bool:
        """Whether durable frames were lost."""
        return self._lost_from > 0

    @property
    def bytes_waiting(self) -> int:
        """Weight of the durable frames that wait."""
        return self._unsent_bytes

    @property
    def unwritten_from(self) -> int:
        """The position of the first durable frame that waits; when none does, of the one that comes next."""
        return self._unsent[0].position if self._unsent else self.position + 1

    @property
    def kept(self) -> int:
        """Written frames that can be sent again."""
        return len(self._sent or ())

    @property
    def oldest_at(self) -> float | None:
        """Since when the first durable frame waits."""
        return self._unsent[0].at if self._unsent else None

    def push_control(self, frame: bytes) -> None:
        """A frame of the gateway's own about the stream itself: it goes first and is not repeated."""
        self._control = [*(self._control or ()), frame]

    def push(self, frame: bytes, now: float) -> Sequence[bytes]:
        """Queue a durable frame. Gives those that were lost, which is none as long as there is room."""
        self.position += 1
        if self.overflowed:
            return (frame,)
        if self._is_full(len(frame)):
            self._drop_latest()
        if self._is_full(len(frame)):
            lost = [entry.frame for entry in self._unsent or ()]
            self._lost_from = self.position - len(lost)
            self._unsent, self._unsent_bytes = None, 0
            return [*lost, frame]
        if self._unsent is None:
            self._unsent = deque()
        self._unsent.append(Entry(self.position, frame, now))
        self._unsent_bytes += len(frame)
        return ()

    def push_latest(self, key: str, frame: bytes) -> None:
        """Queue an ephemeral frame in place of an older one of the same key. Without room it is dropped."""
        if self.detached or self.overflowed:
            return
        latest = self._latest or {}
        if key not in latest and len(self) >= self._limits.frames:
            self.dropped_ephemeral += 1
            return
        latest[key] = frame
        self._latest = latest

    def pop(self) -> bytes | None:
        """The next frame to be written, durable ones with their position; None when nothing waits."""
        if self._control:
            frame, *rest = self._control
            self._control = rest or None
            return frame
        if self._unsent:
            entry = self._unsent.popleft()
            self._unsent_bytes -= len(entry.frame)
            self._unsent = self._unsent or None
            self._keep(entry)
            return entry.frame + _POSITION_TAG + _varint(entry.position)
        if self._latest:
            frame = self._latest.pop(next(iter(self._latest)))
            self._latest = self._latest or None
            return frame
        return None

    def forget_written(self, before: float) -> None:
        """What came before this and was written has arrived, or its stream would have been found dead."""
        sent = self._sent
        while sent and sent[0].at < before:
            self._sent_bytes -= len(sent.popleft().frame)
        self._sent = sent or None

    def detach(self) -> None:
        """The stream broke: ephemeral frames are dropped, because they are stale when the device is back."""
        self.detached = True
        self._latest = self._control = None

    def resume(self, position: int) -> bool:
        """Go on after this position: what was written past it is written again. False when that is not kept."""
        kept = [*(self._sent or ()), *(self._unsent or ())]
        first = kept[0].position if kept else (self._lost_from or self.position + 1)
        last = self._lost_from - 1 if self.overflowed else self.position
        if not first - 1 <= position <= last:
            return False
        missing = [entry for entry in kept if entry.position > position]
        self._unsent = deque(missing) or None
        self._unsent_bytes = sum(len(entry.frame) for entry in missing)
        self._sent, self._sent_bytes = None, 0
        self._lost_from = 0
        self.detached = False
        return True

    def _is_full(self, size: int) -> bool:
        limits = self._limits
        if self.detached:
            return len(self) >= limits.replay_frames or self._unsent_bytes + size > limits.replay_bytes
        return len(self) >= limits.frames or self._unsent_bytes + size > limits.bytes_

    def _drop_latest(self) -> None:
        self.dropped_ephemeral += len(self._latest or ())
        self._latest = None

    def _keep(self, entry: Entry) -> None:
        if self._sent is None:
            self._sent = deque()
        self._sent.append(entry)
        self._sent_bytes += len(entry.frame)
        while self._sent and (
            len(self._sent) > self._limits.replay_frames or self._sent_bytes > self._limits.replay_bytes
        ):
            self._sent_bytes -= len(self._sent.popleft().frame)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
