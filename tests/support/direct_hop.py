"""Messaging whose direct way to presence swallows what it takes, as long as the file that PARLEY_DIRECT_LOST names
stands there: the worst that can become of it, since nobody notices.

`python -m tests.support.direct_hop` runs `services.messaging` so.
"""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from typing import Any

from services.runtime.delivery import direct
from services.runtime.delivery.queue import Handed

LOST = "PARLEY_DIRECT_LOST"


def main() -> None:
    """Runs messaging, with a way that can be cut."""
    file = Path(os.environ[LOST])
    honest = direct._Link.push

    def push(self: Any, handed: Handed) -> bool:
        return True if file.exists() else honest(self, handed)

    direct._Link.push = push  # type: ignore[method-assign]
    runpy.run_module("services.messaging", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
