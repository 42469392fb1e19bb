"""`parley-presence`, or `python -m services.presence`."""

import sys

from services.presence.config import Config
from services.presence.wiring import build
from services.runtime.lifecycle import main


def run() -> int:
    """Gives the exit status."""
    return main("presence", Config.from_env, build)


if __name__ == "__main__":
    sys.exit(run())
