"""Tells an outage of the store from a record whose own statement is at fault: pure, time is an argument.

A statement that is cut off looks the same either way. Told apart they are by what the store does meanwhile: a record is
given up only when it was cut off so many times in a row, over so long, while other statements passed after each time.

Something may hold up all records though it lets the question pass: a table that is locked, or an index that is being
built. So the next record in a row needs twice as long, and so on, until one is handled: a lock of an hour costs a few
records, which can be played again, and records that are really at fault hold the others up for a bounded time.
"""

from dataclasses import dataclass

# In a row. Raising it holds the records behind a faulty one up for longer (a statement may take 10 s each time);
# lowering it gives up records that a short lock held up.
CUT_OFF_ATTEMPTS = 5
# At least so long, which counts where statements are cut off at once. The same is won and lost.
FIRST_PATIENCE_S = 15.0
# However many records in a row were given up.
MAX_PATIENCE_S = 3600.0


@dataclass
class Suspicion:
    """What is held against the record at hand. One for each reader."""

    _attempts: int = 0
    _since_s: float = 0.0
    _given_up: int = 0

    def note_cut_off(self, now_s: float, *, others_pass: bool) -> bool:
        """Its statement was cut off; whether to give the record up. `now_s` is monotonic."""
        if not others_pass:
            # What came before may have been the same outage.
            self._attempts = 0
            return False
        if self._attempts == 0:
            self._since_s = now_s
        self._attempts += 1
        patience_s = min(FIRST_PATIENCE_S * 2**self._given_up, MAX_PATIENCE_S)
        if self._attempts < CUT_OFF_ATTEMPTS or now_s - self._since_s < patience_s:
            return False
        self._given_up = min(self._given_up + 1, 16)
        self._attempts = 0
        return True

    def note_handled(self) -> None:
        """A record was handled: nothing holds all of them up."""
        self._attempts = 0
        self._given_up = 0
