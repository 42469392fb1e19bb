"""When the garbage collector runs. Packets make no cycles, so it would stop the media for nothing; but what a
participant leaves behind (DTLS, SCTP) is full of them, and far too little of it makes the collector run by itself.
"""

import gc

# Participants that may leave, and the time that may pass after one left, before what they left is collected. Raising
# either keeps 140 KiB of each for longer; lowering it makes more pauses, of 10 ms and more with each participant that
# is there.
MAX_LEFT, MAX_WAIT_S = 100, 30.0


class Collector:
    """Collects what left participants leave behind."""

    def __init__(self) -> None:
        self._left = 0
        self._collected_at = 0.0

    def begin(self) -> None:
        """What was imported is never garbage; and young objects die by themselves."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)

    def note_left(self) -> None:
        """A participant has left."""
        self._left += 1

    def tick(self, now: float) -> None:
        """Collect, if it is time."""
        if self._left >= MAX_LEFT or (self._left and now - self._collected_at >= MAX_WAIT_S):
            self._left, self._collected_at = 0, now
            gc.collect()
