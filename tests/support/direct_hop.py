"""Messaging whose direct way to presence swallows what it takes, as long as the file that PARLEY_DIRECT_LOST names
stands there: the worst that can become of it, since nobody notices.
"""

from __future__ import annotations

from pathlib import Path

from services.runtime.delivery.queue import DeliveryQueue, Handed

LOST = "PARLEY_DIRECT_LOST"


def swallow_while(file: Path) -> None:
    """Of this process, from now on."""
    honest = DeliveryQueue.push

    def push(self: DeliveryQueue, handed: Handed) -> bool:
        return True if file.exists() else honest(self, handed)

    DeliveryQueue.push = push  # type: ignore[method-assign]
