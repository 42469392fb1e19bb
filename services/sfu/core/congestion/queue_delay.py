"""Does a queue stand before a receiver, and at what rate does it empty?

The trend (overuse.py) needs many packets to tell that a queue grows. After a great fall of the rate few packets arrive,
and feedback comes late or not at all: then the delay of one packet, against the least of the last seconds, tells it at
once. Packets that leave a queue leave it at the rate of the path, however much is sent.
"""

from typing import Final

# A delay this much above the least one is a queue. Raising it sees a fall of the rate later, and not at all where the
# queue is shorter; lowering it takes jitter for a queue.
QUEUE_DELAY_S: Final = 0.15
# The least delay is that of the last one or two of this time. Raising it takes a path that became longer for a queue
# for longer; lowering it takes a queue that stays for the path.
BASE_LIFE_S: Final = 5.0
# The rate is known after this much of the queue, and no more than the second of it is looked at. Raising them is surer
# and later; lowering them takes a few late timers for a rate.
MIN_SPAN_S: Final = 0.02
MAX_SPAN_S: Final = 0.5
# Only packets that arrived over so many times the span that they were sent in show the rate of the path: others show
# what was sent. Raising it leaves small falls to the trend; lowering it takes a busy machine for a narrow path.
GROWTH: Final = 1.25
# A step of the delay that is none of a queue's, but another clock's.
_JUMP_S: Final = 3.0


class QueueDelayDetector:
    """Times in seconds, of either end's own clock, rates in bits per second."""

    def __init__(self) -> None:
        self.has_queue = False
        # What the path carries; None while that is not known. It is that of the queue's beginning: later ones may be
        # as slow as what is sent.
        self.rate_bps: float | None = None
        self._base = self._newer_base = 0.0
        self._base_began: float | None = None
        self._sent_at = self._arrived_at = self._span_s = 0.0
        self._bytes = 0

    def add_feedback(
        self, first: tuple[float, float, int], last: tuple[float, float], size: int, follows: bool
    ) -> None:
        """Take in a feedback: the first packet that arrived (sent, arrived, bytes), when the last was sent and
        arrived, and the bytes of all. `follows`: no feedback is missing before it."""
        sent_at, arrived_at = last
        delay_s = arrived_at - sent_at
        self._note_delay(delay_s, arrived_at)
        had_queue, self.has_queue = self.has_queue, delay_s - self._base > QUEUE_DELAY_S
        sent_since, arrived_since = self._sent_at, self._arrived_at
        self._sent_at, self._arrived_at = sent_at, arrived_at
        if not self.has_queue:
            self._span_s, self._bytes, self.rate_bps = 0.0, 0, None
            return
        if not (had_queue and follows):
            # Without the first, whose own time is not known.
            sent_since, arrived_since, size = first[0], first[1], size - first[2]
        has_waited = arrived_since - sent_since - self._base > QUEUE_DELAY_S / 2
        span_s = arrived_at - arrived_since
        if has_waited and span_s > GROWTH * (sent_at - sent_since) and self._span_s < MAX_SPAN_S:
            self._span_s += span_s
            self._bytes += size
        if self._span_s >= MIN_SPAN_S:
            self.rate_bps = self._bytes * 8 / self._span_s

    def _note_delay(self, delay_s: float, arrived_at: float) -> None:
        began = self._base_began
        if began is None or not -_JUMP_S < delay_s - self._base < _JUMP_S or arrived_at < began:
            self._base = self._newer_base = delay_s
            self._base_began = arrived_at
            return
        if arrived_at - began >= BASE_LIFE_S:
            self._base, self._newer_base = self._newer_base, delay_s
            self._base_began = arrived_at
        self._newer_base = min(self._newer_base, delay_s)
        self._base = min(self._base, delay_s)
