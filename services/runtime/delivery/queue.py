"""What waits for one presence replica. No IO, no clock."""

from collections import deque
from dataclasses import dataclass

# Of one frame. Raising it makes fewer frames; lowering it keeps both event loops for a shorter time.
BATCH = 500
BATCH_BYTES = 1 << 20
# What may wait for a replica that does not read: what finds no room comes by the topic alone. Raising them takes more
# memory for a replica that hangs; lowering them sends less directly in a burst.
QUEUE_LIMIT = 5_000
QUEUE_BYTES = 16 << 20


@dataclass(frozen=True)
class Handed:
    """A serialized presence.v1.Delivery, under the epoch by which its owner was found."""

    epoch: int
    value: bytes
    trace: str = ""


class DeliveryQueue:
    """First in, first out, bounded by number and by bytes."""

    def __init__(self, limit: int = QUEUE_LIMIT, bytes_limit: int = QUEUE_BYTES) -> None:
        self._limit = limit
        self._bytes_limit = bytes_limit
        self._waiting: deque[Handed] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, handed: Handed) -> bool:
        """Let it wait; False where there is no room."""
        if len(self._waiting) >= self._limit or self._bytes + len(handed.value) > self._bytes_limit:
            return False
        self._waiting.append(handed)
        self._bytes += len(handed.value)
        return True

    def take(self) -> list[Handed]:
        """The first that wait, of one epoch, up to the size of a frame."""
        taken: list[Handed] = []
        size = 0
        while self._waiting and len(taken) < BATCH:
            following = self._waiting[0]
            size += len(following.value)
            if taken and (following.epoch != taken[0].epoch or size > BATCH_BYTES):
                break
            taken.append(self._waiting.popleft())
            self._bytes -= len(following.value)
        return taken
