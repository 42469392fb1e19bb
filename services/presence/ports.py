"""What presence needs of the world."""

from typing import Protocol

from services.presence.core import Frame


class Link(Protocol):
    """One attached gateway's way out."""

    def push(self, frame: Frame) -> bool:
        """Queue a frame. False when the queue is full; the link is then closed and the gateway comes back anew."""
