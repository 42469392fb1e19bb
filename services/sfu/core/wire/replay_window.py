"""Which numbers of one sender have come before (as RFC 4303 section 3.4.3): each counts once."""

from typing import Final

# How far behind the newest a number may come. Raising it takes what was long on its way; lowering it drops what a path
# reorders.
WINDOW: Final = 1024
_MASK: Final = (1 << WINDOW) - 1


class ReplayWindow:
    """The numbers of one session of a sender; a later session begins anew, an earlier one is over."""

    def __init__(self) -> None:
        self._session = -1
        self._newest = -1
        # By age: the lowest bit is that of the newest number.
        self._seen = 0

    def is_fresh(self, session: int, number: int) -> bool:
        """Whether a number may be the first of its kind; nothing is noted yet."""
        if session != self._session:
            return session > self._session
        age = self._newest - number
        return age < 0 or (age < WINDOW and not self._seen >> age & 1)

    def note(self, session: int, number: int) -> None:
        """A fresh number has come, and is authentic."""
        if session != self._session:
            self._session, self._newest, self._seen = session, number, 1
            return
        age = self._newest - number
        if age < 0:
            self._seen = (self._seen << -age & _MASK if -age < WINDOW else 0) | 1
            self._newest = number
        else:
            self._seen |= 1 << age
