"""Which layers of a video its publisher is asked to send: those that somebody takes, or has taken lately."""

from collections.abc import Set
from typing import Final

# A layer is paused when nobody took it for this long. Raising it sends for longer what nobody takes; lowering it pauses
# layers that receivers with changing paths come back to, and each return costs all of them a key frame.
HOLD_S: Final = 5.0
# A layer that is asked for again is expected for this long. Raising it leaves its receivers on a poorer one for longer
# where the publisher's own path does not bear it; lowering it gives up layers that come late.
AWAIT_S: Final = 3.0
# From then on its rate is measured over full seconds again. Raising it goes by the old rate for longer; lowering it
# takes a part of a second for a whole one.
SETTLE_S: Final = 2.5


class LayerDemand:
    """The layers of one publication by rid. All are asked for at first, and those that nothing is known of.

    One that does not come though it is asked for stays so: its publisher cannot send it now, and begins when it can.
    """

    def __init__(self) -> None:
        # Those that the publisher was told to pause. It may go on with them, as one that does not know of it does.
        self.paused: frozenset[str] = frozenset()
        self._taken_at: dict[str, float] = {}
        self._asked_at: dict[str, float] = {}

    def update(self, taken: Set[str], flowing: Set[str], now: float) -> bool:
        """Ask at once for all that receivers take or wait for (`taken`), and pause what comes and nobody took for long
        enough; whether the publisher is to be told."""
        for rid in taken:
            self._taken_at[rid] = now
        for rid in [
            rid for rid in self._taken_at if rid not in taken and rid not in flowing and rid not in self.paused
        ]:
            # When it comes again, that is looked at for a while.
            del self._taken_at[rid]
        asked = self.paused & taken
        for rid in asked:
            self._asked_at[rid] = now
        unneeded = {rid for rid in flowing if now - self._taken_at.setdefault(rid, now) >= HOLD_S}
        paused = (self.paused - taken) | unneeded
        changed = paused != self.paused
        self.paused = paused
        return changed

    def pause(self, rid: str) -> None:
        """It does not come until somebody takes it."""
        self.paused |= {rid}

    def may_come(self, rid: str, now: float) -> bool:
        """Whether a layer that does not come is only paused, or on its way."""
        return rid in self.paused or now - self._asked_at.get(rid, -1e9) < AWAIT_S

    def is_settled(self, rid: str, now: float) -> bool:
        """Whether it has been asked for so long that what comes of it is all of it."""
        return rid not in self.paused and now - self._asked_at.get(rid, -1e9) >= SETTLE_S
